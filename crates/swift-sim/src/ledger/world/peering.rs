//! Messages between nodes, and what the gossip wants done: greeting, fetching blocks, bringing blocks.

use std::time::Duration;

use swift_chain::{FollowError, Input, MemoryLedger, NodeId, RequestId, SealedBlock, SignedTransaction};
use swift_p2p::gossip::{self, FetchOutcome, HeadNote};

use super::{Happening, World};
use crate::ledger::{
    census::Event,
    checkers::{Checked, Checker, Violation},
    forger,
    machine::{Exchange, Machine, Power, Process, Side},
    message::{ExchangeId, Message},
};

/// As in the node: how long a greeting, a stream of blocks, or bringing blocks may take.
const GREET_TIMEOUT: Duration = Duration::from_secs(5);
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);
const PUSH_TIMEOUT: Duration = Duration::from_secs(30);
/// Blocks in one answer. Fewer than in the node, so that there are several steps to one fetch.
const BLOCKS_MAX: usize = 12;

impl World {
    pub(super) fn arrive(&mut self, from: usize, to: usize, number: u64, message: Message) -> Checked {
        if self.is_paused(to) {
            let until = self.machines[to].process().map_or(self.now, |process| process.paused_until);
            self.at(until, Happening::Arrival { from, to, number, message });
            return Ok(());
        }
        // Nobody there, or a stranger to the receiver's ledger: members only are heard.
        let sender = self.machines[from].id;
        if self.machines[to].process().is_none() || !self.machines[to].knows(&sender) {
            return Ok(());
        }
        self.network.arrive(&mut self.census, from, to, number);
        self.trace.note(self.now, format_args!("{to} from {from}: {message}"));
        self.receive(from, to, sender, message)?;
        self.attend(to)
    }

    fn receive(&mut self, from: usize, to: usize, sender: NodeId, message: Message) -> Checked {
        match message {
            Message::Consensus(message) => {
                let message = (*message).clone();
                self.put(to, Input::Consensus { from: sender, message });
                Ok(())
            }
            Message::Transactions(all) => self.sift(to, (*all).clone()),
            Message::Hello { exchange, head } => {
                let answer = self.told_head(to);
                self.send(to, from, &Message::Head { exchange, head: answer });
                self.gossip(to, gossip::Input::Greeted { from: sender, head })
            }
            Message::Head { exchange, head } => match self.take_exchange(to, exchange) {
                Some(Exchange::Greeting { to: asked }) if asked == sender => {
                    self.gossip(to, gossip::Input::Answered { by: sender, head })
                }
                _ => Ok(()),
            },
            Message::Ask { exchange, from_height } => {
                let (blocks, has_more) = self.blocks_for(to, from_height);
                self.send(to, from, &Message::Blocks { exchange, blocks, has_more });
                Ok(())
            }
            Message::Blocks { exchange, blocks, has_more } => {
                self.receive_blocks(to, sender, exchange, blocks, has_more)
            }
            Message::Push { exchange, blocks } => {
                self.send(to, from, &Message::Taken { exchange });
                let request = RequestId(self.next_id());
                self.put(to, Input::Blocks { request, blocks });
                Ok(())
            }
            Message::Taken { exchange } => match self.take_exchange(to, exchange) {
                Some(Exchange::Push { to: pushed }) => self.gossip(to, gossip::Input::Pushed { to: pushed }),
                _ => Ok(()),
            },
        }
    }

    /// A node looks at transactions that a member brought: first what it has a use for, then, beside its ledger, whether
    /// they are signed. One that is not spoils all of them.
    fn sift(&mut self, at: usize, transactions: Vec<SignedTransaction>) -> Checked {
        let network = self.genesis.id();
        let Machine { life, power: Power::On(process), .. } = &mut self.machines[at] else { return Ok(()) };
        let (life, sifted) = (*life, process.replica.sift(transactions));
        let sifted = sifted.map_err(|poisoned| {
            let what = format!("node {at} looks at transactions: {poisoned}");
            Violation::new(Checker::Health, what)
        })?;
        let checked = sifted.into_iter().map(|signed| signed.check(&network));
        if let Ok(transactions) = checked.collect::<Result<Vec<_>, _>>()
            && !transactions.is_empty()
        {
            let takes = self.dice.time(Duration::from_micros(100), Duration::from_millis(20));
            self.after(takes, Happening::SignaturesChecked { at, life, transactions });
        }
        Ok(())
    }

    /// For the node's next step.
    pub(super) fn put(&mut self, at: usize, input: Input) {
        if let Some(process) = self.machines[at].process_mut() {
            process.inbox.push(input);
        }
    }

    /// Tells a node's gossip something and does what it wants done.
    pub(super) fn gossip(&mut self, at: usize, input: gossip::Input) -> Checked {
        let time = self.machines[at].time(self.now);
        let Some(process) = self.machines[at].process_mut() else { return Ok(()) };
        process.gossip.handle(time, input);
        while let Some(output) = self.machines[at].process_mut().and_then(|one| one.gossip.poll_output()) {
            self.obey_gossip(at, output)?;
        }
        if let Some(process) = self.machines[at].process_mut()
            && process.is_held
            && process.gossip.is_level_with_all()
        {
            process.is_held = false;
            process.inbox.push(Input::EndHold);
            self.census.count(Event::HoldEnded);
            self.trace.note(self.now, format_args!("{at} has heard from everybody"));
        }
        Ok(())
    }

    fn obey_gossip(&mut self, at: usize, output: gossip::Output) -> Checked {
        match output {
            gossip::Output::Greet { to } => {
                let exchange = self.begin(at, Exchange::Greeting { to }, GREET_TIMEOUT);
                let head = self.told_head(at);
                self.tell(at, to, &Message::Hello { exchange, head });
            }
            gossip::Output::Fetch { from } => self.fetch(at, from),
            gossip::Output::GiveUp { from } => {
                if let Some(process) = self.machines[at].process_mut() {
                    let is_given_up =
                        |one: &Exchange| matches!(one, Exchange::Fetch { from: asked, .. } if *asked == from);
                    process.exchanges.retain(|_, exchange| !is_given_up(exchange));
                }
            }
            gossip::Output::Push { to, behind } => {
                self.census.count(Event::Push);
                let exchange = self.begin(at, Exchange::Push { to }, PUSH_TIMEOUT);
                let (blocks, _) = self.blocks_for(at, behind + 1);
                self.tell(at, to, &Message::Push { exchange, blocks });
            }
            gossip::Output::Online { .. } | gossip::Output::Offline { .. } => {}
            gossip::Output::Differs { peer, theirs } => {
                if self.machines[at].is_honest() && self.is_honest(&peer) {
                    let what = format!("node {at} meets another block at height {}", theirs.height);
                    return Err(Violation::new(Checker::Agreement, what));
                }
                let exchange = self.begin(at, Exchange::Comparison { with: peer }, FETCH_TIMEOUT);
                self.tell(at, peer, &Message::Ask { exchange, from_height: theirs.height });
            }
        }
        Ok(())
    }

    fn fetch(&mut self, at: usize, from: NodeId) {
        let Some(process) = self.machines[at].process() else { return };
        let from_height = process.replica.head().height + 1;
        let exchange = self.begin(at, Exchange::Fetch { from, has_more: false }, FETCH_TIMEOUT);
        self.tell(at, from, &Message::Ask { exchange, from_height });
    }

    fn receive_blocks(
        &mut self,
        at: usize,
        sender: NodeId,
        id: ExchangeId,
        blocks: Vec<SealedBlock>,
        more: bool,
    ) -> Checked {
        let Some(process) = self.machines[at].process_mut() else { return Ok(()) };
        match process.exchanges.get_mut(&id) {
            Some(Exchange::Fetch { from, has_more }) if *from == sender => *has_more = more,
            Some(Exchange::Comparison { with }) if *with == sender => {}
            _ => return Ok(()),
        }
        if blocks.is_empty() {
            let exchange = process.exchanges.remove(&id);
            if matches!(exchange, Some(Exchange::Comparison { .. })) {
                return Ok(());
            }
            return self.gossip(at, gossip::Input::Fetched { from: sender, outcome: FetchOutcome::Taken });
        }
        self.put(at, Input::Blocks { request: RequestId(id.0), blocks });
        Ok(())
    }

    /// The ledger has looked at blocks that were fetched.
    pub(super) fn follow_up(
        &mut self,
        at: usize,
        request: RequestId,
        outcome: Result<u64, FollowError>,
    ) -> Checked {
        let exchange = self.take_exchange(at, ExchangeId(request.0));
        let Some(Exchange::Fetch { from, has_more }) = exchange else { return Ok(()) };
        let outcome = match outcome {
            Ok(_) if has_more => {
                self.fetch(at, from);
                return Ok(());
            }
            Ok(_) => FetchOutcome::Taken,
            Err(error) if self.machines[at].is_honest() && self.is_honest(&from) => {
                let what = format!("node {at} refuses blocks of {}, who is honest: {error}", from.short());
                return Err(Violation::new(Checker::Audit, what));
            }
            Err(error) => {
                self.trace.note(self.now, format_args!("{at} refuses blocks: {error}"));
                self.census.count(Event::RefusedBlocks);
                FetchOutcome::Refused
            }
        };
        self.gossip(at, gossip::Input::Fetched { from, outcome })
    }

    pub(super) fn give_up(&mut self, at: usize, exchange: ExchangeId) -> Checked {
        let input = match self.take_exchange(at, exchange) {
            Some(Exchange::Greeting { to }) => gossip::Input::NotReached { to },
            Some(Exchange::Fetch { from, .. }) => {
                gossip::Input::Fetched { from, outcome: FetchOutcome::Failed }
            }
            Some(Exchange::Push { to }) => gossip::Input::Pushed { to },
            Some(Exchange::Comparison { .. }) | None => return Ok(()),
        };
        self.gossip(at, input)?;
        self.attend(at)
    }

    fn begin(&mut self, at: usize, what: Exchange, timeout: Duration) -> ExchangeId {
        let exchange = ExchangeId(self.next_id());
        let life = self.machines[at].life;
        if let Some(process) = self.machines[at].process_mut() {
            process.exchanges.insert(exchange, what);
        }
        self.after(timeout, Happening::NoAnswer { at, life, exchange });
        exchange
    }

    fn take_exchange(&mut self, at: usize, exchange: ExchangeId) -> Option<Exchange> {
        self.machines[at].process_mut().and_then(|process| process.exchanges.remove(&exchange))
    }

    /// The head that a node tells others: its own, if it is honest.
    fn told_head(&mut self, at: usize) -> HeadNote {
        let machine = &self.machines[at];
        let head = machine.process().map(|process| process.gossip.head());
        let mut head = head.unwrap_or(HeadNote { height: 0, hash: self.genesis.id().into() });
        if machine.side != Side::Honest && self.dice.chance(250) {
            self.census.count(Event::FalseHead);
            head.height += u64::from(self.dice.number(0, 3));
            head.hash = swift_chain::BlockHash::from_bytes(self.dice.bytes());
        }
        head
    }

    /// Blocks from a height on, and whether there are more: true ones, if the node is honest.
    fn blocks_for(&mut self, at: usize, from_height: u64) -> (Vec<SealedBlock>, bool) {
        let Self { machines, dice, liar, census, .. } = self;
        let ledger = machines[at].process().map(|process: &Process| process.replica.store().ledger());
        let Some(ledger) = ledger else { return (Vec::new(), false) };
        if machines[at].side != Side::Honest && dice.chance(600) {
            let forged = forger::forge(dice, ledger, &machines[at].key, liar.as_ref(), from_height);
            if !forged.is_empty() {
                census.count(Event::ForgedBlocks);
                return (forged, dice.chance(300));
            }
        }
        true_blocks(ledger, from_height)
    }
}

fn true_blocks(ledger: &MemoryLedger, from_height: u64) -> (Vec<SealedBlock>, bool) {
    let from = usize::try_from(from_height.saturating_sub(1)).unwrap_or(usize::MAX);
    let all = ledger.blocks().get(from..).unwrap_or_default();
    (all.iter().take(BLOCKS_MAX).cloned().collect(), all.len() > BLOCKS_MAX)
}
