//! How a network begins: block 0, whose hash is the network's name.

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    encoding::{self, DecodeError},
    hash::{BlockHash, Hash, NetworkId, sha256},
    identity::{NodeId, NodeKey, Signature, Statement},
    limits::{FILE_LEN_MAX, GENESIS_LEN_MAX, PROTOCOL_VERSION, SNAPSHOT_FRAMES_MAX, TIME_MS_MAX},
};

/// Limits a founder sets for good. A member that misuses its key stays within them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkParams {
    /// Live names one author may hold.
    pub live_files_per_author_max: u64,
    /// Bytes of live files one author may hold.
    pub live_bytes_per_author_max: u64,
    /// Transactions of one author in one block.
    pub transactions_per_author_and_block_max: u32,
}

impl Default for NetworkParams {
    fn default() -> Self {
        Self {
            live_files_per_author_max: 10_000_000,
            live_bytes_per_author_max: 64 * FILE_LEN_MAX,
            // As many as a block holds.
            transactions_per_author_and_block_max: 1000,
        }
    }
}

/// The network that a recovered one goes on from: its validators were lost for good, so one of its admins founded it
/// anew with the state it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The old network.
    pub network: NetworkId,
    /// The block whose state is imported.
    pub height: u64,
    /// That block's hash.
    pub hash: BlockHash,
    /// Merkle root over the frames of the imported state.
    pub state: Hash,
    /// Number of these frames.
    pub frames: u32,
}

/// What the founder signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisBody {
    /// Rules that hold from block 1 on.
    pub protocol_version: u16,
    /// Random: two networks of one founder are two.
    pub nonce: [u8; 16],
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// The first member, admin and validator.
    pub founder: NodeId,
    /// Where the founder can be dialled.
    pub address: Address,
    /// Limits of the network.
    pub params: NetworkParams,
    /// What it goes on from; none for a network that begins with nothing.
    pub origin: Option<Origin>,
}

impl Statement for GenesisBody {
    const TAG: &'static str = "swiftserve/genesis/1";
}

/// Block 0 with a signature that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    signed: SignedGenesis,
    id: NetworkId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SignedGenesis {
    body: GenesisBody,
    signature: Signature,
}

/// Bytes that are no genesis block this crate can follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// No canonical encoding.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The founder did not sign it.
    #[error("the genesis block's signature is not its founder's")]
    Signature,
    /// No block could follow: its time is impossible, or no member may ever put anything into a block.
    #[error("the genesis block is for a network in which nothing can happen: {0}")]
    Useless(&'static str),
    /// It names an imported state that no network can have.
    #[error("the genesis block names an imported state of no or too many frames")]
    Origin,
    /// Its rules are not known here.
    #[error(
        "the network follows protocol version {0}, this program knows {PROTOCOL_VERSION}: use a newer one"
    )]
    Version(u16),
}

impl Genesis {
    /// Founds a network. It has no id yet, so the signature stands under an id of zeros.
    pub fn sign(key: &NodeKey, body: GenesisBody) -> Self {
        let signature = key.sign(&NetworkId::default(), &body);
        Self::with_id(SignedGenesis { body, signature })
    }

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::encode(&self.signed)
    }

    /// Reads and checks a genesis block. That it is the one meant is for the caller to compare, by [`Self::id`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GenesisError> {
        let signed: SignedGenesis = encoding::decode("genesis block", bytes, GENESIS_LEN_MAX)?;
        let body = &signed.body;
        if !body.founder.verify(&NetworkId::default(), body, &signed.signature) {
            return Err(GenesisError::Signature);
        }
        if body.protocol_version != PROTOCOL_VERSION {
            return Err(GenesisError::Version(body.protocol_version));
        }
        if body.time_ms > TIME_MS_MAX {
            return Err(GenesisError::Useless("its time is beyond what a block can carry"));
        }
        if body.params.transactions_per_author_and_block_max == 0 {
            return Err(GenesisError::Useless("no author may put a transaction into a block"));
        }
        if body.origin.is_some_and(|origin| !(1..=SNAPSHOT_FRAMES_MAX).contains(&origin.frames)) {
            return Err(GenesisError::Origin);
        }
        Ok(Self::with_id(signed))
    }

    /// The network's id: SHA-256 of a domain prefix and the canonical bytes.
    pub fn id(&self) -> NetworkId {
        self.id
    }

    /// What the founder signed.
    pub fn body(&self) -> &GenesisBody {
        &self.signed.body
    }

    fn with_id(signed: SignedGenesis) -> Self {
        let id = NetworkId::from_bytes(sha256(&[b"swiftserve/network/1\0", &encoding::encode(&signed)]));
        Self { signed, id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(key: &NodeKey) -> GenesisBody {
        GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: [7; 16],
            time_ms: 1,
            founder: key.id(),
            address: "127.0.0.1:8000".parse().unwrap(),
            params: NetworkParams::default(),
            origin: None,
        }
    }

    fn origin(frames: u32) -> Option<Origin> {
        let (network, hash) = (NetworkId::from_bytes([3; 32]), BlockHash::from_bytes([4; 32]));
        Some(Origin { network, height: 5, hash, state: Hash::from_bytes([6; 32]), frames })
    }

    #[test]
    fn a_genesis_block_reads_back_with_the_same_id() {
        let key = NodeKey::from_seed([1; 32]);
        let genesis = Genesis::sign(&key, body(&key));
        assert_eq!(Genesis::from_bytes(&genesis.to_bytes()), Ok(genesis));
    }

    #[test]
    fn a_recovered_network_names_what_it_goes_on_from() {
        let key = NodeKey::from_seed([1; 32]);
        let genesis = Genesis::sign(&key, GenesisBody { origin: origin(1), ..body(&key) });
        assert_eq!(Genesis::from_bytes(&genesis.to_bytes()), Ok(genesis.clone()));
        assert_ne!(genesis.id(), Genesis::sign(&key, body(&key)).id());
        for frames in [0, SNAPSHOT_FRAMES_MAX + 1] {
            let absurd = Genesis::sign(&key, GenesisBody { origin: origin(frames), ..body(&key) });
            assert_eq!(Genesis::from_bytes(&absurd.to_bytes()), Err(GenesisError::Origin));
        }
    }

    #[test]
    fn another_nonce_is_another_network() {
        let key = NodeKey::from_seed([1; 32]);
        let one = Genesis::sign(&key, body(&key));
        let two = Genesis::sign(&key, GenesisBody { nonce: [8; 16], ..body(&key) });
        assert_ne!(one.id(), two.id());
    }

    #[test]
    fn a_foreign_signature_and_an_unknown_version_are_refused() {
        let (key, other) = (NodeKey::from_seed([1; 32]), NodeKey::from_seed([2; 32]));
        let forged = Genesis::sign(&other, body(&key));
        assert_eq!(Genesis::from_bytes(&forged.to_bytes()), Err(GenesisError::Signature));
        let endless = Genesis::sign(&key, GenesisBody { time_ms: u64::MAX, ..body(&key) });
        assert!(matches!(Genesis::from_bytes(&endless.to_bytes()), Err(GenesisError::Useless(_))));
        let params = NetworkParams { transactions_per_author_and_block_max: 0, ..NetworkParams::default() };
        let mute = Genesis::sign(&key, GenesisBody { params, ..body(&key) });
        assert!(matches!(Genesis::from_bytes(&mute.to_bytes()), Err(GenesisError::Useless(_))));
        let newer = Genesis::sign(&key, GenesisBody { protocol_version: 2, ..body(&key) });
        assert_eq!(Genesis::from_bytes(&newer.to_bytes()), Err(GenesisError::Version(2)));
    }
}
