//! Going on when a quorum of the validators is lost for good: an admin founds the network anew.
//!
//! A certificate needs validators that are gone, so the old chain has no next block. [`Refounding`] makes a new genesis
//! block that names the old network's last block and imports the state after it. The new network's id commits to both,
//! so whoever joins it later checks all of it from the id alone; and whoever has the old ledger checks by itself, with
//! [`examine`], that nothing was left out or put in. Nobody can be made to accept: each operator decides for its node.

mod acceptance;
mod file;

use std::path::Path;

pub use acceptance::{AcceptError, Standing, examine};
pub use file::{RecoveryFile, RecoveryFileError, write_recovery_file};

use crate::{
    audit::{Audit, AuditError},
    db::{DbError, LedgerBuilder, LedgerCounts, LedgerDb, LedgerReader},
    execution::Head,
    genesis::{Genesis, GenesisBody, NetworkParams, Origin},
    hash::NetworkId,
    identity::{NodeId, NodeKey},
    limits::PROTOCOL_VERSION,
    replica::TRANSACTION_VALIDITY_MS,
    rules::known_at,
    snapshot::{Commitment, SnapshotFrame, SnapshotWriter},
    state::{Member, MemoryState, StateError, StateView},
    store::LedgerStore,
    stream::{ChainPosition, FrameDecoder},
    transaction::{Action, NodeChange, Role, SignedTransaction, Transaction},
};

/// Bytes of the own chain that are checked at a time.
const FRAMES_LEN: usize = 1024 * 1024;

/// Why this node cannot found its network anew. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The ledger cannot be read, or the new one not be written.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// This node's chain does not verify.
    #[error("this node's own ledger does not verify, so nobody can go on from it: {0}")]
    Audit(#[from] AuditError),
    /// The tables are not what the chain adds up to.
    #[error(
        "this node's ledger is damaged: its {0} are not what its own blocks add up to; recover from another node"
    )]
    Tables(&'static str),
    /// Only an admin can.
    #[error("{node} is {} in network {network}; only an admin can found it anew", .role.map_or("no member".into(), |role| role.to_string()))]
    NotAnAdmin {
        /// This node.
        node: NodeId,
        /// The old network.
        network: NetworkId,
        /// What it is there.
        role: Option<Role>,
    },
    /// The rules that hold are not known here.
    #[error(
        "the network follows protocol version {0}, this program knows {PROTOCOL_VERSION}: use a newer one"
    )]
    Version(u16),
}

/// A network as it would be founded anew from this node's ledger, which was checked for that from its first byte.
#[derive(Clone, Debug)]
pub struct Refounding {
    origin: Origin,
    head: Head,
    founder: NodeId,
    member: Member,
    params: NetworkParams,
    counts: LedgerCounts,
}

impl Refounding {
    /// Checks the whole ledger of the node `founder`, and that it may found the network anew. Needs memory for all that
    /// is live in the ledger.
    pub fn plan(founder: NodeId, old: &LedgerReader) -> Result<Self, RecoverError> {
        let (network, head) = (old.network(), old.head()?);
        let audit = audit(old, None)?;
        if *audit.head() != head {
            return Err(RecoverError::Tables("last block and head"));
        }
        let (chain, tables) = (audit.state(), old.state());
        let Commitment { state, frames } = old.snapshot(|_| Ok::<_, DbError>(()))?;
        if commitment(chain) != (Commitment { state, frames }) {
            return Err(RecoverError::Tables("members and files"));
        }
        let (params, protocol) = (chain.params()?, chain.protocol()?);
        if (params, protocol) != (tables.params()?, tables.protocol()?) {
            return Err(RecoverError::Tables("parameters"));
        }
        known_at(protocol, head.height + 1).map_err(RecoverError::Version)?;
        let member = chain.member(&founder)?;
        let role = member.as_ref().map(|member| member.role);
        let Some(member) = member.filter(|member| member.role == Role::Admin) else {
            return Err(RecoverError::NotAnAdmin { node: founder, network, role });
        };
        let origin = Origin { network, height: head.height, hash: head.hash, state, frames };
        Ok(Self { origin, head, founder, member, params, counts: old.counts()? })
    }

    /// What the new network goes on from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The last block of the old network.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Members, files and bytes that are taken along.
    pub fn counts(&self) -> LedgerCounts {
        self.counts
    }

    /// Where the founder is dialled, as the members know it.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Signs the genesis block of the new network. `key` is the founder's, `nonce` random.
    pub fn sign(&self, key: &NodeKey, nonce: [u8; 16], now_ms: u64) -> Genesis {
        let body = GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce,
            time_ms: self.head.next_time_ms(now_ms),
            founder: self.founder,
            address: self.member.address.clone(),
            params: self.params,
            origin: Some(self.origin),
        };
        Genesis::sign(key, body)
    }
}

/// Makes the ledger of a network that was founded anew from `old`, which it was planned from.
pub fn create_ledger(path: &Path, genesis: &Genesis, old: &LedgerReader) -> Result<LedgerDb, DbError> {
    let mut builder = LedgerBuilder::new(path, genesis)?;
    old.snapshot(|frame: SnapshotFrame| builder.push(&frame))?;
    builder.finish()
}

/// What became of a node's own writes that waited in the old network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarriedOver {
    /// They wait in the new one.
    pub carried: usize,
    /// They mean nothing there: tickets of the old network, its heights, its validators.
    pub dropped: usize,
}

/// Puts the writes that wait in a node's old ledger into its new one, signed anew: what clients were promised is not
/// forgotten. Durable when this returns.
pub fn carry_over(
    key: &NodeKey,
    old: &impl LedgerStore,
    new: &mut impl LedgerStore,
    now_ms: u64,
) -> Result<CarriedOver, DbError> {
    let mut outcome = CarriedOver::default();
    let (network, author) = (new.network(), key.id());
    let valid_until_ms = new.head()?.next_time_ms(now_ms).saturating_add(TRANSACTION_VALIDITY_MS);
    let mut sequence = 0;
    new.begin()?;
    for entry in old.outbox()? {
        let Transaction { action, on_behalf_of, .. } = entry.signed.transaction;
        if !has_meaning(&action) {
            outcome.dropped += 1;
            continue;
        }
        sequence += 1;
        let body = Transaction { network, author, sequence, valid_until_ms, on_behalf_of, action };
        new.enqueue(&SignedTransaction::sign(key, body))?;
        outcome.carried += 1;
    }
    new.commit()?;
    Ok(outcome)
}

/// Whether an action that was meant for the old network can be meant for the new one.
fn has_meaning(action: &Action) -> bool {
    match action {
        // Its signatures are over the old network's id.
        Action::AddNode { .. } => false,
        // It names a height of the old network.
        Action::Upgrade { .. } => false,
        // What it takes back cannot come into the new network.
        Action::Void {} => false,
        // It was meant for the set that is lost.
        Action::UpdateNode { change: NodeChange::ValidatorWeight(_), .. } => false,
        Action::UpdateNode { change: NodeChange::Address(_) | NodeChange::Role(_), .. }
        | Action::RemoveNode { .. }
        | Action::AddFile { .. }
        | Action::RemoveFile { .. } => true,
    }
}

/// Checks a ledger's own chain up to a height, or to its head.
fn audit(ledger: &LedgerReader, up_to: Option<u64>) -> Result<Audit, RecoverFault> {
    let mut audit = Audit::new(ledger.genesis());
    let mut decoder = FrameDecoder::default();
    let mut next = ChainPosition::Snapshot { frame: 0 };
    loop {
        let (frames, then) = ledger.frames(next, FRAMES_LEN)?;
        decoder.push(&frames);
        while let Some(frame) = decoder.next_frame().map_err(AuditError::from)? {
            if up_to == Some(audit.head().height) && audit.check_whole().is_ok() {
                return Ok(audit);
            }
            audit.push_frame(frame)?;
        }
        if frames.is_empty() {
            audit.check_whole().map_err(AuditError::from)?;
            return Ok(audit);
        }
        next = then;
    }
}

/// Why a chain could not be checked.
#[derive(Debug, thiserror::Error)]
enum RecoverFault {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl From<RecoverFault> for RecoverError {
    fn from(fault: RecoverFault) -> Self {
        match fault {
            RecoverFault::Db(error) => error.into(),
            RecoverFault::Audit(error) => error.into(),
        }
    }
}

/// What a genesis block would say of this state.
fn commitment(state: &MemoryState) -> Commitment {
    let mut writer = SnapshotWriter::default();
    for change in state.imported() {
        // Only its hash is wanted, which the writer keeps.
        drop(writer.push(change));
    }
    writer.finish().1
}
