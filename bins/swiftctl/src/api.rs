//! The answers of a node, as far as tables need them. JSON output passes the answer on as it came.

mod problem;

use std::collections::BTreeMap;

use serde::Deserialize;

pub(crate) use problem::Problem;

/// `GET /v1/status`.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) node_id: String,
    pub(crate) network_id: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) role: Option<String>,
    #[serde(default)]
    pub(crate) address: Option<String>,
    pub(crate) height: u64,
    #[serde(default)]
    pub(crate) head_hash: String,
    #[serde(default)]
    pub(crate) head_time_ms: Option<u64>,
    #[serde(default)]
    pub(crate) validators: Vec<Validator>,
    #[serde(default)]
    pub(crate) quorum: Option<Quorum>,
    #[serde(default)]
    pub(crate) last_certificate: Option<LastCertificate>,
    #[serde(default)]
    pub(crate) members: u64,
    #[serde(default)]
    pub(crate) files: u64,
    #[serde(default)]
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) store: Option<Store>,
    #[serde(default)]
    pub(crate) scrub: Option<Scrub>,
    #[serde(default)]
    pub(crate) peers_online: u64,
    #[serde(default)]
    pub(crate) evidence: u64,
    #[serde(default)]
    pub(crate) problem: Option<String>,
    #[serde(default)]
    pub(crate) at_risk: Option<AtRisk>,
}

/// Files with one copy, or none, on nodes that can be reached.
#[derive(Debug, Deserialize)]
pub(crate) struct AtRisk {
    pub(crate) count: u64,
    #[serde(default)]
    pub(crate) looked_at: u64,
    #[serde(default)]
    pub(crate) files: Vec<LoneFile>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(crate) struct LoneFile {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) copies: u64,
}

/// Who takes part in deciding the next block.
#[derive(Debug, Deserialize)]
pub(crate) struct Validator {
    pub(crate) node_id: String,
    pub(crate) weight: u64,
    #[serde(default)]
    pub(crate) online: bool,
    #[serde(default)]
    pub(crate) signed_last: bool,
}

/// Whether they can decide.
#[derive(Debug, Deserialize)]
pub(crate) struct Quorum {
    pub(crate) total: u64,
    pub(crate) needed: u64,
    pub(crate) reachable: u64,
    pub(crate) has_quorum: bool,
    #[serde(default)]
    pub(crate) faults_tolerated: u64,
    #[serde(default)]
    pub(crate) warning: Option<String>,
}

/// Who made the last block final.
#[derive(Debug, Deserialize)]
pub(crate) struct LastCertificate {
    pub(crate) round: u64,
    pub(crate) signers: Vec<String>,
}

/// The answer to a change of a member.
#[derive(Debug, Deserialize)]
pub(crate) struct Changed {
    pub(crate) block: u64,
    #[serde(default)]
    pub(crate) already: bool,
    #[serde(default)]
    pub(crate) warning: Option<String>,
}

/// What the node stores.
#[derive(Debug, Deserialize)]
pub(crate) struct Store {
    #[serde(default)]
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) wanted: u64,
    #[serde(default)]
    pub(crate) quota_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) trashed_bytes: u64,
    #[serde(default)]
    pub(crate) reserved_bytes: u64,
    #[serde(default)]
    pub(crate) free_floor_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) free_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) available_bytes: Option<u64>,
}

/// `GET /v1/scrub`, and a part of the status.
#[derive(Debug, Deserialize)]
pub(crate) struct Scrub {
    #[serde(default)]
    pub(crate) running: Option<Scrubbing>,
    #[serde(default)]
    pub(crate) last: Option<ScrubPass>,
    #[serde(default)]
    pub(crate) unrepaired: u64,
    #[serde(default)]
    pub(crate) rotten: Vec<Rotten>,
    #[serde(default)]
    pub(crate) file: Option<ScrubbedFile>,
}

/// A scrub under way.
#[derive(Debug, Deserialize)]
pub(crate) struct Scrubbing {
    #[serde(default)]
    pub(crate) file: Option<String>,
    #[serde(default)]
    pub(crate) done_bytes: u64,
    #[serde(default)]
    pub(crate) total_bytes: u64,
    #[serde(default)]
    pub(crate) found_bad: u64,
}

/// A scrub of everything that ended.
#[derive(Debug, Deserialize)]
pub(crate) struct ScrubPass {
    pub(crate) started_ms: u64,
    #[serde(default)]
    pub(crate) ended_ms: Option<u64>,
    #[serde(default)]
    pub(crate) contents: u64,
    #[serde(default)]
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) found_bad: u64,
}

/// What was found rotten.
#[derive(Debug, Deserialize)]
pub(crate) struct Rotten {
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) file_id: String,
    #[serde(default)]
    pub(crate) bad_chunks: u64,
    #[serde(default)]
    pub(crate) found_ms: u64,
    #[serde(default)]
    pub(crate) repaired: bool,
}

/// How a file that is looked at is.
#[derive(Debug, Deserialize)]
pub(crate) struct ScrubbedFile {
    #[serde(default)]
    pub(crate) verified_ms: u64,
    #[serde(default)]
    pub(crate) waiting: bool,
    #[serde(default)]
    pub(crate) rotten: Option<Rotten>,
}

/// The answer to the wish for a scrub.
#[derive(Debug, Deserialize)]
pub(crate) struct ScrubBegun {
    pub(crate) started_ms: u64,
}

/// A file's record.
#[derive(Debug, Deserialize)]
pub(crate) struct FileRecord {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) file_id: String,
    #[serde(default)]
    pub(crate) publisher: String,
    #[serde(default)]
    pub(crate) height: u64,
    #[serde(default)]
    pub(crate) time_ms: u64,
    #[serde(default)]
    pub(crate) held_bytes: u64,
    #[serde(default)]
    pub(crate) complete: bool,
    #[serde(default)]
    pub(crate) copies: Option<u64>,
}

/// The answer to a write that concerns a file.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) file_id: String,
    pub(crate) size: u64,
    pub(crate) block: u64,
    #[serde(default)]
    pub(crate) already: bool,
    #[serde(default = "one")]
    pub(crate) copies: u64,
}

fn one() -> u64 {
    1
}

/// `GET /v1/files/NAME?copies`.
#[derive(Debug, Deserialize)]
pub(crate) struct Copies {
    pub(crate) complete: Vec<String>,
    /// Hold no whole copy, and do not want one.
    #[serde(default)]
    pub(crate) not_keeping: Vec<String>,
    #[serde(default)]
    pub(crate) online: Vec<String>,
    #[serde(default)]
    pub(crate) absent: Vec<String>,
}

/// What is in the trash.
#[derive(Debug, Deserialize)]
pub(crate) struct Trashed {
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) size: u64,
    pub(crate) file_id: String,
    #[serde(default)]
    pub(crate) held_bytes: u64,
    #[serde(default)]
    pub(crate) complete: bool,
    #[serde(default)]
    pub(crate) removed_ms: u64,
    #[serde(default)]
    pub(crate) removed_by: Option<String>,
    #[serde(default)]
    pub(crate) on_behalf_of: Option<String>,
    #[serde(default)]
    pub(crate) expires_ms: u64,
    #[serde(default)]
    pub(crate) used: bool,
}

/// What emptying the trash came to.
#[derive(Debug, Deserialize)]
pub(crate) struct Emptied {
    pub(crate) contents: u64,
    pub(crate) bytes: u64,
}

/// `GET /v1/keep`, and the answer to a change of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Kept {
    pub(crate) keep: KeepRule,
    #[serde(default)]
    pub(crate) set_at_start: Option<KeepRule>,
    #[serde(default)]
    pub(crate) already: bool,
}

/// What a node keeps: a word, or patterns.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum KeepRule {
    /// `all` or `none`.
    Word(String),
    /// Of names.
    Patterns(Vec<String>),
}

/// `GET /v1/promises`.
#[derive(Debug, Deserialize)]
pub(crate) struct Promises {
    pub(crate) given: Vec<KeepPromise>,
    pub(crate) held: Vec<KeepPromise>,
}

/// That a file is kept until a time: for another node, or by one.
#[derive(Debug, Deserialize)]
pub(crate) struct KeepPromise {
    pub(crate) file_id: String,
    #[serde(default)]
    pub(crate) file: Option<String>,
    #[serde(default, alias = "by")]
    pub(crate) to: Option<String>,
    pub(crate) until_ms: u64,
}

/// The answer to a pin or its end.
#[derive(Debug, Deserialize)]
pub(crate) struct PinChanged {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) already: bool,
}

/// A member.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) node_id: String,
    #[serde(default)]
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) address: String,
    #[serde(default)]
    pub(crate) joined_height: u64,
    #[serde(default)]
    pub(crate) validator_weight: u64,
    #[serde(default)]
    pub(crate) online: bool,
    #[serde(default)]
    pub(crate) is_self: bool,
    #[serde(default)]
    pub(crate) holds: Option<Holds>,
    #[serde(default)]
    pub(crate) keeps: Option<String>,
}

/// What a member holds whole.
#[derive(Debug, Deserialize)]
pub(crate) struct Holds {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// What is coming in or going out.
#[derive(Debug, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) file: String,
    #[serde(default)]
    pub(crate) direction: Direction,
    #[serde(default)]
    pub(crate) done_bytes: u64,
    #[serde(default)]
    pub(crate) total_bytes: u64,
    #[serde(default)]
    pub(crate) bytes_per_second: u64,
    #[serde(default)]
    pub(crate) remaining_seconds: Option<u64>,
    #[serde(default)]
    pub(crate) peers: Vec<TransferPeer>,
    #[serde(default)]
    pub(crate) priority: Option<String>,
    #[serde(default)]
    pub(crate) readers: u64,
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) detail: Option<String>,
}

/// One of `GET /v1/peers`.
#[derive(Debug, Deserialize)]
pub(crate) struct Peer {
    pub(crate) node_id: String,
    pub(crate) address: String,
    #[serde(default)]
    pub(crate) connected: bool,
    #[serde(default)]
    pub(crate) heard_ms: Option<u64>,
    #[serde(default)]
    pub(crate) received_bytes: u64,
    #[serde(default)]
    pub(crate) sent_bytes: u64,
    #[serde(default)]
    pub(crate) offences: BTreeMap<String, u64>,
    #[serde(default)]
    pub(crate) last_offence: Option<LastOffence>,
    #[serde(default)]
    pub(crate) isolated_until_ms: Option<u64>,
}

/// The last thing that a peer did wrong.
#[derive(Debug, Deserialize)]
pub(crate) struct LastOffence {
    pub(crate) kind: String,
    pub(crate) at_ms: u64,
    #[serde(default)]
    pub(crate) detail: String,
}

/// `GET /v1/limits`.
#[derive(Debug, Deserialize)]
pub(crate) struct Limits {
    #[serde(flatten)]
    pub(crate) now: LimitValues,
    pub(crate) at_start: LimitValues,
}

/// Limits; none is no limit.
#[derive(Debug, Deserialize)]
pub(crate) struct LimitValues {
    pub(crate) up_bytes_per_second: Option<u64>,
    pub(crate) down_bytes_per_second: Option<u64>,
    pub(crate) connections: Option<u64>,
}

/// A file that is wanted sooner or later than others.
#[derive(Debug, Deserialize)]
pub(crate) struct PriorityRow {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) size: u64,
    pub(crate) priority: String,
}

/// Which way a file moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// To the node.
    #[default]
    In,
    /// From the node.
    Out,
}

/// What moves between the node and another.
#[derive(Debug, Deserialize)]
pub(crate) struct TransferPeer {
    pub(crate) node_id: String,
    #[serde(default)]
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) bytes_per_second: u64,
}

/// `POST /v1/invites`.
#[derive(Debug, Deserialize)]
pub(crate) struct Invite {
    pub(crate) ticket: String,
    pub(crate) role: String,
    pub(crate) expires_ms: u64,
}

/// A client's token, without its secret.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) expires_ms: Option<u64>,
    #[serde(default)]
    pub(crate) expired: bool,
}

/// A token just made. Not for printing, but where it is asked for.
#[derive(Deserialize)]
pub(crate) struct NewToken {
    pub(crate) token: String,
}
