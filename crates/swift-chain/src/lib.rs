//! The ledger of SwiftServe: who is a member, which files exist, and who said so.
//!
//! A permissioned blockchain. Members sign [`Transaction`]s; validators put them into [`Block`]s and certify these by a
//! quorum's signatures; every node checks every block by itself with [`verify_block`]. File content never comes here:
//! the ledger carries a file's 32-byte id and its manifest's hash and looks into neither.
//!
//! The crate is made of values and state machines. It opens no socket, starts no thread, reads no clock and draws no
//! random numbers; these are arguments. What it stores, it stores in one SQLite file ([`LedgerDb`]), one transaction a
//! step. [`Replica`] is a node's whole ledger behind one method, [`Replica::step`]; [`Audit`] checks a chain with
//! nothing but its bytes, and a [`Receipt`] proves one transaction of it.
//!
//! # Build a chain, then audit it
//!
//! ```
//! use swift_chain::*;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! // Found a network: the founder is its first member, admin and validator.
//! let key = NodeKey::from_seed([7; 32]); // 32 random bytes of yours
//! let genesis = Genesis::sign(&key, GenesisBody {
//!     protocol_version: PROTOCOL_VERSION,
//!     nonce: [1; 16],
//!     time_ms: 1_700_000_000_000,
//!     founder: key.id(),
//!     address: "127.0.0.1:8000".parse()?,
//!     params: NetworkParams::default(),
//!     origin: None,
//! });
//! let db = LedgerDb::create(&folder.path().join("ledger.db"), &genesis)?;
//! let mut replica = Replica::new(key, db)?;
//!
//! // Publish a file: one step, one block, durable when the step returns.
//! let file = FileEntry {
//!     name: "notes.txt".parse()?,
//!     size: 5,
//!     file_id: Hash::from_bytes([2; 32]),
//!     manifest_hash: Hash::from_bytes([3; 32]),
//! };
//! let action = Action::AddFile { file, replaces: None };
//! let submit = Input::Submit { request: RequestId(1), action, on_behalf_of: None };
//! replica.step(Now::at_ms(1_700_000_000_500), vec![submit])?;
//! assert_eq!(replica.head().height, 1);
//!
//! // Anyone with the bytes and the network's id can check all of it.
//! let (chain, _) = replica.reader().frames(0, usize::MAX)?;
//! let audit = Audit::read(chain.as_slice(), Some(genesis.id()), |_| {})?;
//! assert_eq!(audit.head(), replica.head());
//! assert_eq!(audit.state().files().count(), 1);
//!
//! // And who published the file, without the chain.
//! let name: FileName = "notes.txt".parse()?;
//! let record = replica.reader().file(&name.key())?.ok_or("no such file")?;
//! let bytes = Receipt::of_file(replica.reader(), &record)?.to_bytes();
//! let expected = Expectation { network: Some(genesis.id()), ..Expectation::default() };
//! let proven = Receipt::from_bytes(&bytes)?.verify(&expected)?;
//! assert_eq!((proven.author, proven.file()), (genesis.body().founder, Some(&record.entry)));
//! # Ok(()) }
//! ```

mod address;
mod audit;
mod block;
mod certificate;
pub mod consensus;
mod db;
mod encoding;
mod evidence;
mod execution;
mod genesis;
mod hash;
mod identity;
pub mod limits;
mod mempool;
mod merkle;
mod name;
mod quorum;
pub mod rebuilding;
mod receipt;
pub mod recovery;
mod replica;
mod rules;
mod snapshot;
mod state;
mod store;
mod stream;
mod ticket;
mod transaction;
mod unseen;
mod validators;

pub use address::{Address, AddressError};
pub use audit::{Audit, AuditError};
pub use block::{Block, Header, SealedBlock};
pub use certificate::{Certificate, CertificateError, Vote, VoteKind};
pub use db::{
    DbError, Direction, FileFilter, FileOrder, FilePage, FilePlace, FileSearch, Flaw, HistoryEntry,
    HistoryFilter, HistoryPage, HistoryPlace, LedgerBuilder, LedgerCounts, LedgerDb, LedgerReader,
    RecheckError, Rechecked, SqlState,
};
pub use encoding::DecodeError;
pub use evidence::{Evidence, EvidenceError, EvidenceFileError, Fork};
pub use execution::{
    BlockEffect, BlockError, CertifiedBlock, Draft, Head, ValidBlock, check_block, draft_block, verify_block,
};
pub use genesis::{Genesis, GenesisBody, GenesisError, NetworkParams, Origin};
pub use hash::{BlockHash, Hash, HashParseError, NetworkId, TransactionId};
pub use identity::{NodeId, NodeIdError, NodeKey, NodeKeyError, Signature, Statement};
pub use limits::PROTOCOL_VERSION;
pub use mempool::{Mempool, MempoolError};
pub use merkle::MerklePath;
pub use name::{FileName, NameError, NameKey};
pub use quorum::{QuorumAdvice, QuorumHealth};
pub use receipt::{
    CheckpointOutcome, Expectation, Proven, Receipt, ReceiptBuildError, ReceiptError, ReceiptFormatError,
    ValidatorChange,
};
pub use replica::{
    FollowError, Input, Now, Output, Poisoned, Replica, RequestId, Settled, SubmitError,
    TRANSACTION_VALIDITY_MS,
};
pub use rules::{AlreadyTrue, BlockContext, JudgeError, Rejection, judge, judge_action};
pub use snapshot::{Commitment, SnapshotCheck, SnapshotError, SnapshotFrame};
pub use state::{
    AuthorRecord, Change, FileRecord, Member, MemoryState, Overlay, ProtocolSchedule, StateError, StateView,
};
pub use store::{LedgerStore, MemoryLedger, OutboxEntry};
pub use stream::{
    ChainFrame, ChainPosition, FrameDecoder, StreamError, block_frame, genesis_frame, snapshot_frame,
};
pub use ticket::{Checkpoint, CheckpointParseError, TICKET_ADDRESSES_MAX, Ticket, TicketError};
pub use transaction::{
    Action, CheckedTransaction, FileEntry, Invitation, InvitationTerms, JoinRequest, Label, LabelError,
    NodeChange, Role, RoleError, SignedTransaction, Transaction, TransactionError,
};
pub use unseen::is_unseen;
pub use validators::{Validator, ValidatorSet, ValidatorSetError};
