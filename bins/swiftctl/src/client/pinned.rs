//! TLS to one node and nobody else: the node's id is its key, so there is no authority to ask.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    version::TLS13,
};
use swift_chain::NodeId;

/// What a node tells clients from other nodes by.
const ALPN: &[u8] = b"swift-client/1";
/// What precedes the 32 bytes of every Ed25519 key in DER (RFC 8410): there is one encoding only.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The node that is meant, and who else has answered in its place.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    node: NodeId,
    met: Arc<Mutex<Option<NodeId>>>,
}

impl Pin {
    pub(crate) fn new(node: NodeId) -> Self {
        Self { node, met: Arc::default() }
    }

    /// The node that is meant.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// Another node that showed its key instead.
    pub(crate) fn met(&self) -> Option<NodeId> {
        *self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// TLS that accepts the key of the node that is meant, in this version and no earlier one. No session is resumed:
    /// that would skip the proof.
    pub(crate) fn tls(&self, provider: Arc<CryptoProvider>) -> Result<ClientConfig, Error> {
        let verifier = Verifier { algorithms: provider.signature_verification_algorithms, pin: self.clone() };
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        // Whoever listens on the way need not learn the name.
        config.enable_sni = false;
        Ok(config)
    }
}

/// Takes one raw Ed25519 key (RFC 7250) and nothing else.
#[derive(Debug)]
struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    pin: Pin,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        raw_key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = node_of(raw_key).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if shown == self.pin.node {
            return Ok(ServerCertVerified::assertion());
        }
        *self.pin.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Never asked: TLS 1.2 is not offered.
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        raw_key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let raw_key = SubjectPublicKeyInfoDer::from(raw_key.as_ref());
        verify_tls13_signature_with_raw_key(message, &raw_key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The node whose raw key this is; nothing when it is no Ed25519 key.
fn node_of(raw_key: &CertificateDer<'_>) -> Option<NodeId> {
    let key = raw_key.strip_prefix(&ED25519_PREFIX)?;
    key.try_into().ok().map(NodeId::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_ed25519_key_names_a_node() {
        let good = [&ED25519_PREFIX[..], &[7; 32]].concat();
        assert_eq!(node_of(&CertificateDer::from(good.clone())), Some(NodeId::from_bytes([7; 32])));
        for bad in [&good[..43], &[&good[..], &[0]].concat(), &good[1..], &[], &[0x30; 44]] {
            assert_eq!(node_of(&CertificateDer::from(bad.to_vec())), None, "{bad:?}");
        }
    }
}
