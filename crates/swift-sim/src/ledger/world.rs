//! Everything there is in a run, and the order in which it happens.

mod carrying;
mod founding;
mod peering;
mod stepping;

pub(crate) use founding::{address, admission};

use std::{collections::BTreeMap, time::Duration};

use swift_chain::{Action, CheckedTransaction, Genesis, Input, NodeId, RequestId};

use super::{
    Mutation, Numbers, Options,
    census::Census,
    checkers::{Agreement, Checked, Checker, Signing, Violation, Witnesses, Writes},
    clients::{Asked, Client, LastWrite},
    liar::Liar,
    machine::{Machine, Power},
    message::{ExchangeId, Message},
    network::Network,
    operator::Operator,
    plan::Plan,
    trace::Trace,
};
use crate::dice::Dice;

/// How often a node looks at what waits, as the real one does.
pub(crate) const TICK: Duration = Duration::from_secs(1);
/// More happenings than any run has that comes to an end.
const HAPPENINGS_MAX: u64 = 20_000_000;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Happening {
    Arrival {
        from: usize,
        to: usize,
        /// Of the message, rising with the time of sending.
        number: u64,
        message: Message,
    },
    /// A client's request reaches a node.
    Request {
        to: usize,
        request: RequestId,
        action: Action,
    },
    /// The signatures of others' transactions were checked, beside the ledger.
    SignaturesChecked {
        at: usize,
        life: u32,
        transactions: Vec<CheckedTransaction>,
    },
    /// The disk has what the last step wrote.
    Synced {
        at: usize,
        life: u32,
    },
    /// A node's own timers may be due.
    Wake {
        at: usize,
        life: u32,
    },
    Tick {
        at: usize,
        life: u32,
    },
    /// The time for an answer is over.
    NoAnswer {
        at: usize,
        life: u32,
        exchange: ExchangeId,
    },
    Restart {
        at: usize,
    },
    /// A client thinks of something, or has waited long enough.
    Client {
        number: usize,
        turn: u64,
    },
    Operator,
    /// One who was taken in begins.
    Joining {
        newcomer: usize,
        via: usize,
    },
    Strike,
}

/// One run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) dice: Dice,
    /// True time since the beginning. Nobody in the run knows it.
    pub(crate) now: Duration,
    happenings: BTreeMap<(Duration, u64), Happening>,
    happened: u64,
    arranged: u64,
    last_id: u64,

    pub(crate) genesis: Genesis,
    pub(crate) machines: Vec<Machine>,
    /// Where a key lives: in two places when it is the liar's and lives twice.
    pub(crate) places: BTreeMap<NodeId, Vec<usize>>,
    pub(crate) network: Network,
    pub(crate) liar: Option<Liar>,
    pub(crate) clients: Vec<Client>,
    pub(crate) operator: Operator,
    pub(crate) asked: BTreeMap<RequestId, Asked>,
    /// By node: its write after healing.
    pub(crate) last_writes: BTreeMap<usize, LastWrite>,
    /// Whether things still go wrong.
    pub(crate) is_stormy: bool,

    pub(crate) agreement: Agreement,
    pub(crate) signing: Signing,
    pub(crate) witnesses: Witnesses,
    pub(crate) writes: Writes,
    pub(crate) census: Census,
    pub(crate) numbers: Numbers,
    pub(crate) trace: Trace,
}

impl World {
    /// A founded network in which all nodes run and nothing has happened yet.
    pub(crate) fn new(seed: u64, options: &Options) -> Checked<Self> {
        let mut dice = Dice::new(seed);
        let plan = Plan::new(&mut dice);
        let founded = founding::found(&mut dice, &plan)?;
        let (count, body) = (founded.machines.len(), founded.genesis.body().clone());
        let network = Network::new(&mut dice, count, plan.weather);
        let clients = (0..plan.clients).map(|_| Client::default()).collect();
        let mut world = Self {
            mutation: options.mutation,
            now: Duration::ZERO,
            happenings: BTreeMap::new(),
            happened: 0,
            arranged: 0,
            last_id: 0,
            genesis: founded.genesis,
            machines: founded.machines,
            places: founded.places,
            network,
            liar: founded.liar,
            clients,
            operator: Operator::default(),
            asked: BTreeMap::new(),
            last_writes: BTreeMap::new(),
            is_stormy: true,
            agreement: Agreement::default(),
            signing: Signing::default(),
            witnesses: Witnesses::default(),
            writes: Writes::new(body),
            census: Census::default(),
            numbers: Numbers::default(),
            trace: Trace::new(options.is_traced),
            plan,
            dice,
        };
        world.trace.note(Duration::ZERO, format_args!("seed {seed}: {:?}", world.plan));
        for at in 0..count {
            if let Power::Off(ledger) = std::mem::replace(&mut world.machines[at].power, Power::Absent) {
                world.start(at, *ledger)?;
            }
        }
        if let Some(liar) = &mut world.liar {
            liar.split(&mut world.dice, &mut world.census, count);
        }
        for number in 0..world.clients.len() {
            world.after(Duration::from_millis(100), Happening::Client { number, turn: 0 });
        }
        world.after(Duration::from_secs(1), Happening::Operator);
        world.after(Duration::from_secs(1), Happening::Strike);
        Ok(world)
    }

    /// Lets everything happen up to a moment.
    pub(crate) fn run_until(&mut self, end: Duration) -> Checked {
        while let Some(entry) = self.happenings.first_entry().filter(|entry| entry.key().0 <= end) {
            self.now = entry.key().0;
            let happening = entry.remove();
            self.happened += 1;
            if self.happened > HAPPENINGS_MAX {
                let what = "the run does not end: something happens again and again at one moment";
                return Err(Violation::new(Checker::Health, what));
            }
            self.happen(happening)?;
        }
        self.now = end;
        Ok(())
    }

    pub(crate) fn run_for(&mut self, time: Duration) -> Checked {
        self.run_until(self.now + time)
    }

    fn happen(&mut self, happening: Happening) -> Checked {
        match happening {
            Happening::Arrival { from, to, number, message } => self.arrive(from, to, number, message),
            Happening::Request { to, request, action } => self.take_request(to, request, action),
            Happening::SignaturesChecked { at, life, transactions } if self.lives(at, life) => {
                self.put(at, Input::Checked(transactions));
                self.attend(at)
            }
            Happening::Synced { at, life } if self.lives(at, life) => self.sync(at),
            Happening::Wake { at, life } if self.lives(at, life) => self.wake(at),
            Happening::Tick { at, life } if self.lives(at, life) => self.tick(at),
            Happening::NoAnswer { at, life, exchange } if self.lives(at, life) => self.give_up(at, exchange),
            Happening::Restart { at } => self.restart(at),
            Happening::Client { number, turn } => {
                self.client_turn(number, turn);
                Ok(())
            }
            Happening::Operator => {
                self.operator_turn();
                Ok(())
            }
            Happening::Joining { newcomer, via } => self.join(newcomer, via),
            Happening::Strike => self.strike(),
            // Of a process that is gone.
            _ => Ok(()),
        }
    }

    /// Something will happen after a while.
    pub(crate) fn after(&mut self, time: Duration, happening: Happening) {
        self.at(self.now + time, happening);
    }

    pub(crate) fn at(&mut self, when: Duration, happening: Happening) {
        self.arranged += 1;
        self.happenings.insert((when, self.arranged), happening);
    }

    /// A number that was not given out before.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn lives(&self, at: usize, life: u32) -> bool {
        self.machines[at].life == life && self.machines[at].process().is_some()
    }

    pub(crate) fn is_paused(&self, at: usize) -> bool {
        self.machines[at].process().is_some_and(|process| process.paused_until > self.now)
    }

    /// Places of honest nodes that run.
    pub(crate) fn honest_on(&self) -> Vec<usize> {
        let all = 0..self.machines.len();
        all.filter(|at| self.machines[*at].is_honest() && self.machines[*at].process().is_some()).collect()
    }

    /// The honest node with the longest chain. There always is one that has run.
    pub(crate) fn furthest(&self) -> usize {
        let honest = (0..self.machines.len()).filter(|at| self.machines[*at].is_honest());
        let height = |at: &usize| self.machines[*at].ledger().map(|ledger| ledger.blocks().len());
        honest.max_by_key(|at| (height(at), std::cmp::Reverse(*at))).unwrap_or_default()
    }

    pub(crate) fn is_honest(&self, node: &NodeId) -> bool {
        self.places.get(node).is_some_and(|places| places.iter().all(|at| self.machines[*at].is_honest()))
    }
}
