//! One node: its disk, its clocks, and, while it runs, the machines that the real node runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use swift_chain::{
    DbError, Head, Input, LedgerStore, MemoryLedger, NodeId, NodeKey, Now, Output, Replica, StateView,
};
use swift_p2p::{
    gossip::{Gossip, HeadNote},
    swarm::Time,
};

use super::{clock::Clock, disk::Disk, message::ExchangeId};

/// Whose side a node is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Honest,
    /// The validator that equivocates.
    Liar,
    /// A member without a vote that serves forgeries.
    Forger,
}

/// One node's place in the world.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) key: NodeKey,
    pub(crate) id: NodeId,
    pub(crate) side: Side,
    pub(crate) clock: Clock,
    /// Grows with every start: what was set going in an earlier life has no effect in a later one.
    pub(crate) life: u32,
    /// How it will crash, at the next step that matters.
    pub(crate) doom: Option<Doom>,
    /// Its disk takes long until then.
    pub(crate) is_slow_until: Duration,
    /// A copy of its disk from an earlier moment.
    pub(crate) backup: Option<MemoryLedger>,
    pub(crate) power: Power,
}

/// Whether a node runs.
#[derive(Debug)]
pub(crate) enum Power {
    On(Box<Process>),
    /// With what its disk holds.
    Off(Box<MemoryLedger>),
    /// It never ran, or will never run again.
    Absent,
}

/// A crash in the middle of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doom {
    /// Before the step is durable: it never was.
    LosingStep,
    /// After it is durable, before anybody hears of it.
    BeforeSending,
    /// When some have heard of it.
    WhileSending,
}

impl Doom {
    pub(crate) const ALL: [Self; 3] = [Self::LosingStep, Self::BeforeSending, Self::WhileSending];
}

/// What one node asked another and has no answer to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exchange {
    Greeting {
        to: NodeId,
    },
    Fetch {
        from: NodeId,
        /// Whether there is more than what was handed to the ledger.
        has_more: bool,
    },
    Push {
        to: NodeId,
    },
    /// It is asked for a block that differs.
    Comparison {
        with: NodeId,
    },
}

/// What is lost when a node crashes.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) replica: Replica<Disk>,
    pub(crate) gossip: Gossip,
    /// For the next step.
    pub(crate) inbox: Vec<Input>,
    /// Of the last step, until its disk has them.
    pub(crate) unsent: Option<Vec<Output>>,
    pub(crate) exchanges: BTreeMap<ExchangeId, Exchange>,
    /// It came from a backup and has not been told that it has heard from everybody.
    pub(crate) is_held: bool,
    /// It stands still until then.
    pub(crate) paused_until: Duration,
    /// When it was last arranged that it is looked after.
    pub(crate) wake_at: Option<Duration>,
}

impl Machine {
    pub(crate) fn new(key: NodeKey, side: Side, clock: Clock) -> Self {
        let id = key.id();
        let (life, doom, backup, power) = (0, None, None, Power::Absent);
        Self { key, id, side, clock, life, doom, is_slow_until: Duration::ZERO, backup, power }
    }

    pub(crate) fn is_honest(&self) -> bool {
        self.side == Side::Honest
    }

    /// Switches it on with what its disk holds.
    pub(crate) fn start(&mut self, ledger: MemoryLedger, seed: u64) -> Result<(), DbError> {
        let replica = Replica::new(self.key.clone(), Disk::new(ledger))?;
        let (gossip, is_held) = (Gossip::new(note(replica.head()), seed), replica.is_held());
        self.life += 1;
        self.power = Power::On(Box::new(Process {
            replica,
            gossip,
            inbox: Vec::new(),
            unsent: None,
            exchanges: BTreeMap::new(),
            is_held,
            paused_until: Duration::ZERO,
            wake_at: None,
        }));
        Ok(())
    }

    /// Switches it off: the disk keeps what the last step stored. None if it does not run.
    pub(crate) fn stop(&mut self) -> Option<MemoryLedger> {
        match std::mem::replace(&mut self.power, Power::Absent) {
            Power::On(process) => {
                self.doom = None;
                Some(process.replica.into_store().into_ledger())
            }
            off => {
                self.power = off;
                None
            }
        }
    }

    pub(crate) fn process(&self) -> Option<&Process> {
        match &self.power {
            Power::On(process) => Some(process),
            Power::Off(_) | Power::Absent => None,
        }
    }

    pub(crate) fn process_mut(&mut self) -> Option<&mut Process> {
        match &mut self.power {
            Power::On(process) => Some(process),
            Power::Off(_) | Power::Absent => None,
        }
    }

    /// What its disk holds, whether it runs or not.
    pub(crate) fn ledger(&self) -> Option<&MemoryLedger> {
        match &self.power {
            Power::On(process) => Some(process.replica.store().ledger()),
            Power::Off(ledger) => Some(ledger),
            Power::Absent => None,
        }
    }

    /// Whether its ledger has `node` as a member now.
    pub(crate) fn knows(&self, node: &NodeId) -> bool {
        let member = self.ledger().map(|ledger| ledger.memory_state().member(node));
        matches!(member, Some(Ok(Some(_))))
    }

    pub(crate) fn now(&self, now: Duration) -> Now {
        Now { wall_ms: self.clock.wall_ms(now), steady: self.clock.steady(now) }
    }

    pub(crate) fn time(&self, now: Duration) -> Time {
        Time::after_start(self.clock.steady(now))
    }

    /// When it has something to do by itself; at once when it has work.
    pub(crate) fn due(&self) -> Option<Duration> {
        let process = self.process()?;
        let steps = if process.unsent.is_some() {
            None
        } else if process.replica.has_work() || !process.inbox.is_empty() {
            Some(Duration::ZERO)
        } else {
            process.replica.poll_timeout().map(|due| self.clock.when(due))
        };
        let greets = process.gossip.poll_timeout().map(|due| self.clock.when(due.since(Time::ZERO)));
        steps.into_iter().chain(greets).min().map(|due| due.max(process.paused_until))
    }
}

/// A head as nodes tell it.
pub(crate) fn note(head: &Head) -> HeadNote {
    HeadNote { height: head.height, hash: head.hash }
}

/// All members but the node itself.
pub(crate) fn others(replica: &Replica<Disk>) -> BTreeSet<NodeId> {
    let (me, state) = (replica.node(), replica.store().ledger().memory_state());
    state.members().map(|(node, _)| *node).filter(|node| *node != me).collect()
}

/// Whether it comes back with votes that it must not contradict.
pub(crate) fn has_log(ledger: &MemoryLedger) -> bool {
    signs_from(ledger) == 0 && ledger.wal().is_ok_and(|entries| !entries.is_empty())
}

/// The first height for which a node from a backup may sign; 0 for one that does not come from one.
pub(crate) fn signs_from(ledger: &MemoryLedger) -> u64 {
    ledger.signs_from().unwrap_or(u64::MAX)
}
