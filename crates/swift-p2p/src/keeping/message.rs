//! What members say to each other about keeping files, byte by byte bounded.

use serde::{Deserialize, Serialize};
use swift_chain::{NetworkId, NodeId, NodeKey, Signature, Statement};
use swift_chunks::FileId;

use crate::swarm::message::Message;

/// Bytes of an encoded [`KeepRequest`].
pub const KEEP_REQUEST_BYTES_MAX: usize = 64;
/// Bytes of an encoded [`KeepAnswer`].
pub const KEEP_ANSWER_BYTES_MAX: usize = 256;

/// Asks a holder to keep a file, so that the asker may let go of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepRequest {
    /// Which file.
    pub file: FileId,
    /// Only if the holder keeps it anyway.
    pub only_if_kept: bool,
}

/// That a node keeps a file for another until a time, by the clock of the one who promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Which file.
    pub file: FileId,
    /// Who keeps it.
    pub promiser: NodeId,
    /// For whom.
    pub asker: NodeId,
    /// Until when, in milliseconds since 1970.
    pub until_ms: u64,
}

impl Statement for Promise {
    const TAG: &'static str = "swiftserve/keep-promise/1";
}

/// A promise that can be shown to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPromise {
    /// What is promised.
    pub promise: Promise,
    /// By the promiser.
    pub signature: Signature,
}

/// Why a holder does not promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepRefusal {
    /// It is asking others to keep the file for itself.
    Busy,
    /// It does not have all of the file.
    NotHeld,
    /// It has the file, but does not keep it by itself.
    NotKept,
    /// It cannot tell, or not store its promise.
    Unable,
}

/// The answer to a [`KeepRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepAnswer {
    /// It keeps the file.
    Promised(SignedPromise),
    /// It does not promise.
    Refused(KeepRefusal),
}

impl SignedPromise {
    /// Promises with the promiser's key.
    pub fn sign(key: &NodeKey, network: &NetworkId, promise: Promise) -> Self {
        Self { promise, signature: key.sign(network, &promise) }
    }

    /// As it is kept on record.
    pub fn to_record(&self) -> Vec<u8> {
        // Numbers and arrays of bytes: nothing that could fail.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads a record; nothing if it is none.
    pub fn from_record(bytes: &[u8]) -> Option<Self> {
        postcard::take_from_bytes(bytes).ok().filter(|(_, rest)| rest.is_empty()).map(|(signed, _)| signed)
    }

    /// Whether the promiser it names has signed it, for this network.
    pub fn is_genuine(&self, network: &NetworkId) -> bool {
        self.promise.promiser.verify(network, &self.promise, &self.signature)
    }
}

impl Message for KeepRequest {
    const BYTES_MAX: usize = KEEP_REQUEST_BYTES_MAX;

    fn is_bounded(&self) -> bool {
        true
    }
}

impl Message for KeepAnswer {
    const BYTES_MAX: usize = KEEP_ANSWER_BYTES_MAX;

    fn is_bounded(&self) -> bool {
        true
    }
}
