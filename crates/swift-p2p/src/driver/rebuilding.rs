//! Making a ledger anew that was damaged: from this node's own blocks as far as they prove right, and from other
//! members'.
//!
//! Every block is checked from the network's id on, whoever it is from. So a member that lies can leave blocks out and
//! nothing else, which is why several are asked; and the node hears from every member before it signs again.

use std::{collections::BTreeSet, fmt, path::PathBuf, sync::Arc};

use swift_chain::{Address, ChainFrame, DbError, LedgerDb, NetworkId, NodeId, NodeKey, rebuilding::Wreck};
use tracing::info;

use super::{
    join::{Intake, JoinError, remove, take_chain},
    members::Members,
};
use crate::transport::{Dialer, TlsError};

/// So many members that have no block beyond the others' are enough: what they lack the node fetches when it runs.
const ANSWERS_ENOUGH: usize = 3;

/// Why a ledger could not be made anew. What is at its place is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The new ledger cannot be stored.
    #[error(transparent)]
    Store(#[from] JoinError),
    /// The new ledger cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Nobody can be asked.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no beginning of the chain.
    #[error(
        "the beginning of the damaged ledger cannot be read, and no member gave it: {attempts}; name members that run \
         with --peer NODE@HOST:PORT, or restore a backup"
    )]
    NoBeginning {
        /// Who was asked.
        attempts: Attempts,
    },
}

/// A member that was asked for blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The member.
    pub node: NodeId,
    /// Where it was asked.
    pub address: Address,
    /// How many blocks it gave, or why no more.
    pub outcome: Result<u64, String>,
}

/// Members that were asked for blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts(pub Vec<Attempt>);

impl Attempts {
    /// Whether a member gave all that it has.
    pub fn any_answered(&self) -> bool {
        self.0.iter().any(|attempt| attempt.outcome.is_ok())
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none is known");
        }
        for (number, Attempt { node, address, outcome }) in self.0.iter().enumerate() {
            let gap = if number == 0 { "" } else { "; " };
            match outcome {
                Ok(blocks) => write!(f, "{gap}{node} at {address} gave {blocks} blocks")?,
                Err(reason) => write!(f, "{gap}{node} at {address}: {reason}")?,
            }
        }
        Ok(())
    }
}

/// What a ledger is made anew from.
pub struct RebuildSetup<'w> {
    /// This node's key: members answer members.
    pub key: NodeKey,
    /// Its network, which everything is checked against.
    pub network: NetworkId,
    /// What is left of the damaged ledger.
    pub wreck: Option<&'w Wreck>,
    /// Members that are asked first.
    pub peers: Vec<(NodeId, Address)>,
    /// Where the new ledger is made.
    pub path: PathBuf,
}

/// A ledger made anew.
pub struct RebuiltLedger {
    /// The ledger.
    pub ledger: LedgerDb,
    /// How many of its blocks are this node's own.
    pub own_blocks: u64,
    /// Who was asked for the others.
    pub attempts: Attempts,
}

/// Makes a ledger anew at a path of its own. Blocks between the last that came and the end of the chain may be missing.
pub async fn rebuild_ledger(setup: RebuildSetup<'_>) -> Result<RebuiltLedger, RebuildError> {
    let RebuildSetup { key, network, wreck, peers, path } = setup;
    remove(&path)?;
    let (me, dialer) = (key.id(), Dialer::new(&key, network, Arc::new(Members::default()))?);
    let mut making = Making { intake: Intake::new(key, network, path), own_blocks: 0, attempts: Vec::new() };
    making.take_own(wreck)?;
    let mut known = peers;
    known.extend(wreck.map(Wreck::members).unwrap_or_default());
    let mut asked = BTreeSet::from([me]);
    while let Some((node, address)) = making.next_to_ask(&known, &asked)? {
        asked.insert(node);
        making.ask(&dialer, node, address).await?;
    }
    // Behind a block that was missing here, and that another had, there may be more of this node's own.
    making.take_own(wreck)?;
    let Making { intake, own_blocks, attempts } = making;
    let attempts = Attempts(attempts);
    if intake.replica().is_none() {
        return Err(RebuildError::NoBeginning { attempts });
    }
    Ok(RebuiltLedger { ledger: intake.finish()?.into_store(), own_blocks, attempts })
}

struct Making {
    intake: Intake,
    own_blocks: u64,
    attempts: Vec<Attempt>,
}

impl Making {
    fn height(&self) -> Option<u64> {
        self.intake.replica().map(|replica| replica.head().height)
    }

    /// Takes blocks of the damaged ledger as far as they prove right.
    fn take_own(&mut self, wreck: Option<&Wreck>) -> Result<(), JoinError> {
        let Some(wreck) = wreck else { return Ok(()) };
        if self.height().is_none() && !self.begin_with_own(wreck)? {
            return self.intake.begin_again();
        }
        while let Some(height) = self.height()
            && let Some(sealed) = wreck.block(height + 1)
        {
            match self.intake.push(ChainFrame::Block(Box::new(sealed))) {
                Ok(()) => {}
                // Damaged: another has the right one.
                Err(JoinError::Invalid(_)) => break,
                Err(error) => return Err(error),
            }
            if self.height() != Some(height + 1) {
                break;
            }
            self.own_blocks += 1;
        }
        Ok(())
    }

    /// Whether the beginning of the chain was whole.
    fn begin_with_own(&mut self, wreck: &Wreck) -> Result<bool, JoinError> {
        let Some(genesis) = wreck.genesis() else { return Ok(false) };
        match self.intake.push(ChainFrame::Genesis(Box::new(genesis))) {
            Ok(()) => {}
            Err(JoinError::OtherNetwork { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        for number in 0.. {
            if self.height().is_some() {
                break;
            }
            let Some(frame) = wreck.snapshot_frame(number) else { return Ok(false) };
            match self.intake.push(ChainFrame::Snapshot(frame)) {
                Ok(()) => {}
                Err(JoinError::Db(DbError::Snapshot(_))) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// A member that was not asked yet, while not enough have answered: whoever was named, then who is in the ledger as
    /// far as it came.
    fn next_to_ask(
        &self,
        known: &[(NodeId, Address)],
        asked: &BTreeSet<NodeId>,
    ) -> Result<Option<(NodeId, Address)>, DbError> {
        let is_enough = |attempt: &&Attempt| attempt.outcome == Ok(0);
        if self.attempts.iter().filter(is_enough).count() >= ANSWERS_ENOUGH {
            return Ok(None);
        }
        let mut candidates = known.to_vec();
        if let Some(replica) = self.intake.replica() {
            let members = replica.reader().members()?;
            candidates.extend(members.into_iter().map(|(node, member)| (node, member.address)));
        }
        Ok(candidates.into_iter().find(|(node, _)| !asked.contains(node)))
    }

    /// Asks a member for what is missing.
    async fn ask(&mut self, dialer: &Dialer, node: NodeId, address: Address) -> Result<(), JoinError> {
        let before = self.height();
        let taken = match dialer.client_at(node, address.clone()) {
            Ok(client) => take_chain(&client, &mut self.intake).await,
            Err(error) => Err(JoinError::Unreachable(error.to_string())),
        };
        let outcome = match taken {
            Ok(()) => Ok(self.height().unwrap_or(0) - before.unwrap_or(0)),
            // This node's own disk.
            Err(error @ (JoinError::Poisoned(_) | JoinError::Io { .. } | JoinError::Interrupted)) => {
                return Err(error);
            }
            Err(error) => Err(error.to_string()),
        };
        self.intake.begin_again()?;
        info!(peer = %node, %address, ?outcome, "asked a member for blocks");
        self.attempts.push(Attempt { node, address, outcome });
        Ok(())
    }
}
