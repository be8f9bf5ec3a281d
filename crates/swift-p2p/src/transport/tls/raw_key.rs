//! Ed25519 keys as TLS carries them without a certificate: SubjectPublicKeyInfo (RFC 7250, RFC 8410).

use std::sync::Arc;

use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use swift_chain::{NodeId, NodeKey};

use super::TlsError;

/// What precedes the 32 bytes of every Ed25519 key in DER (RFC 8410, section 4): there is one encoding only.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The node whose raw key this is; nothing when it is no Ed25519 key.
pub(in crate::transport) fn node_of(raw_key: &CertificateDer<'_>) -> Option<NodeId> {
    let key = raw_key.strip_prefix(&ED25519_PREFIX)?;
    key.try_into().ok().map(NodeId::from_bytes)
}

/// The node's key as the TLS stack wants it: rustls carries a raw public key in the place of a certificate chain.
pub(super) fn certified(key: &NodeKey, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_der()?));
    let public = CertificateDer::from([&ED25519_PREFIX[..], key.id().as_bytes()].concat());
    Ok(Arc::new(CertifiedKey::new(vec![public], provider.key_provider.load_private_key(private)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_key_reads_back_as_its_node() {
        let key = NodeKey::from_seed([3; 32]);
        let certified = certified(&key, &super::super::provider()).unwrap();
        assert_eq!(node_of(&certified.cert[0]), Some(key.id()));
        // The stack derives the same public key from the private one.
        assert_eq!(certified.key.public_key().unwrap().as_ref(), certified.cert[0].as_ref());
    }

    #[test]
    fn what_is_no_ed25519_key_names_no_node() {
        let good = [&ED25519_PREFIX[..], &[7; 32]].concat();
        assert!(node_of(&CertificateDer::from(good.clone())).is_some());
        for bad in [&good[..43], &[&good[..], &[0]].concat(), &good[1..], &[], &[0x30; 44]] {
            assert_eq!(node_of(&CertificateDer::from(bad.to_vec())), None, "{bad:?}");
        }
    }
}
