//! What is asked of the other side's key. Both verifiers take raw Ed25519 keys over TLS 1.3 and nothing else.

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use swift_chain::NodeId;

use super::node_of;

/// The server's verifier: any node's key will do. What its holder may do is the ledger's affair, at each request.
#[derive(Debug)]
pub(super) struct AnyNode {
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyNode {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

/// The client's verifier: this node's key and no other.
#[derive(Debug)]
pub(super) struct ThatNode {
    algorithms: WebPkiSupportedAlgorithms,
    node: NodeId,
}

impl ThatNode {
    pub(super) fn new(provider: &CryptoProvider, node: NodeId) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, node }
    }
}

fn shown(raw_key: &CertificateDer<'_>) -> Result<NodeId, Error> {
    node_of(raw_key).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

fn possession(
    message: &[u8],
    raw_key: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let raw_key = SubjectPublicKeyInfoDer::from(raw_key.as_ref());
    verify_tls13_signature_with_raw_key(message, &raw_key, signature, algorithms)
}

/// Never asked: no configuration here offers TLS 1.2.
fn no_tls12() -> Error {
    Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
}

impl ClientCertVerifier for AnyNode {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        raw_key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        shown(raw_key).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        raw_key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        possession(message, raw_key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ServerCertVerifier for ThatNode {
    fn verify_server_cert(
        &self,
        raw_key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if shown(raw_key)? == self.node {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        raw_key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        possession(message, raw_key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
