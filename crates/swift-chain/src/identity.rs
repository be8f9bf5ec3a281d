//! Who a node is: an Ed25519 key, and nothing else. Addresses say only where a node was last seen.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use ed25519_dalek::{
    Signer, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{encoding, hash::NetworkId};

/// A node's identity: its Ed25519 public key (RFC 8032).
///
/// Its text is 52 characters of lower-case base32 (RFC 4648, no padding), which fits a DNS label, so that it can be
/// the host of a URL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

/// A text or key that is no node id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeIdError {
    /// The text is not base32 of 32 bytes.
    #[error("{0:?} is not a node id: expected 52 characters a-z and 2-7")]
    Text(String),
    /// The 32 bytes are no point of the curve that can sign anything.
    #[error("these 32 bytes are not a usable Ed25519 public key")]
    Key,
}

impl NodeId {
    /// Wraps a public key's 32 bytes; a key that is no valid curve point verifies nothing.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The public key's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first characters, for people; never compare by it.
    pub fn short(&self) -> String {
        self.to_string()[..10].to_owned()
    }

    /// The public key as SubjectPublicKeyInfo PEM (RFC 8410), or an error when it is no curve point.
    pub fn to_pem(&self) -> Result<String, NodeIdError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| NodeIdError::Key)?;
        key.to_public_key_pem(LineEnding::LF).map_err(|_| NodeIdError::Key)
    }

    /// Whether `signature` is this node's over `statement` in `network`, by strict verification: no small-order keys,
    /// no malleable encodings.
    pub fn verify<T: Statement>(&self, network: &NetworkId, statement: &T, signature: &Signature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&signed_bytes(network, statement), &signature).is_ok()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", self.short())
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, NodeIdError> {
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| NodeIdError::Text(text.chars().take(80).collect()))
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

/// An Ed25519 signature, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Wraps 64 bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&data_encoding::HEXLOWER.encode(&self.0));
        }
        // serde has no arrays of 64; two of 32 have the same bytes.
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&self.0[..32]);
        s.copy_from_slice(&self.0[32..]);
        (r, s).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = [0; 64];
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let decoded = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(de::Error::custom)?;
            return decoded.try_into().map(Self).map_err(|_| de::Error::custom("a signature has 64 bytes"));
        }
        let (r, s) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        bytes[..32].copy_from_slice(&r);
        bytes[32..].copy_from_slice(&s);
        Ok(Self(bytes))
    }
}

/// Something that is signed: what kind of statement it is, and all its fields but the signature.
///
/// The tag keeps a signature over one kind from being read as one over another; no tag is a prefix of a second one.
pub trait Statement: Serialize {
    /// Names the kind of statement and the version of its fields, for example `swiftserve/transaction/1`.
    const TAG: &'static str;
}

/// What is signed: tag, a zero byte, network id, canonical fields.
fn signed_bytes<T: Statement>(network: &NetworkId, statement: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(T::TAG.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(network.as_bytes());
    bytes.extend_from_slice(&encoding::encode(statement));
    bytes
}

/// A private key file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8 PEM: {0}")]
pub struct NodeKeyError(String);

/// A node's private key. Zeroed when dropped; its `Debug` shows the public half only.
#[derive(Clone)]
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// Makes a key of 32 bytes from the caller's random source.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// Reads PKCS#8 PEM (RFC 8410).
    pub fn from_pem(pem: &str) -> Result<Self, NodeKeyError> {
        SigningKey::from_pkcs8_pem(pem).map(Self).map_err(|error| NodeKeyError(error.to_string()))
    }

    /// Writes PKCS#8 PEM (RFC 8410). The text is the secret itself: keep it in a file only its owner can read.
    pub fn to_pem(&self) -> Result<String, NodeKeyError> {
        let pem = self.0.to_pkcs8_pem(LineEnding::LF).map_err(|error| NodeKeyError(error.to_string()))?;
        Ok(pem.to_string())
    }

    /// The PKCS#8 DER of the key, for a TLS stack.
    pub fn to_der(&self) -> Result<Vec<u8>, NodeKeyError> {
        let der = self.0.to_pkcs8_der().map_err(|error| NodeKeyError(error.to_string()))?;
        Ok(der.as_bytes().to_vec())
    }

    /// The public half.
    pub fn id(&self) -> NodeId {
        NodeId(self.0.verifying_key().to_bytes())
    }

    /// Signs a statement for one network.
    pub fn sign<T: Statement>(&self, network: &NetworkId, statement: &T) -> Signature {
        Signature(self.0.sign(&signed_bytes(network, statement)).to_bytes())
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey of {:?}", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Greeting(u32);
    impl Statement for Greeting {
        const TAG: &'static str = "test/greeting/1";
    }

    #[derive(Serialize)]
    struct Farewell(u32);
    impl Statement for Farewell {
        const TAG: &'static str = "test/farewell/1";
    }

    #[test]
    fn a_signature_holds_for_one_statement_in_one_network_by_one_key() {
        let (key, other) = (NodeKey::from_seed([1; 32]), NodeKey::from_seed([2; 32]));
        let (here, there) = (NetworkId::from_bytes([1; 32]), NetworkId::from_bytes([2; 32]));
        let signature = key.sign(&here, &Greeting(7));
        assert!(key.id().verify(&here, &Greeting(7), &signature));
        assert!(!key.id().verify(&here, &Greeting(8), &signature));
        assert!(!key.id().verify(&there, &Greeting(7), &signature));
        assert!(!key.id().verify(&here, &Farewell(7), &signature));
        assert!(!other.id().verify(&here, &Greeting(7), &signature));
    }

    #[test]
    fn a_small_order_key_verifies_nothing() {
        // The identity point: with cofactored verification some signature would fit every message.
        let mut identity = [0; 32];
        identity[0] = 1;
        let network = NetworkId::default();
        let mut signature = [0; 64];
        signature[0] = 1;
        let signature = Signature::from_bytes(signature);
        assert!(!NodeId::from_bytes(identity).verify(&network, &Greeting(1), &signature));
    }

    #[test]
    fn keys_and_ids_read_back_from_their_texts() {
        let key = NodeKey::from_seed([9; 32]);
        let again = NodeKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.id(), key.id());
        assert_eq!(key.id().to_string().len(), 52);
        assert_eq!(key.id().to_string().parse(), Ok(key.id()));
        assert!(key.id().to_pem().unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
        assert!(NodeKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_err());
    }
}
