//! Steps of nodes: when one is taken, what its disk makes of it, and how a node comes and goes.

use std::time::Duration;

use swift_chain::{Action, Input, LedgerStore, MemoryLedger, Output, Poisoned, RequestId};
use swift_p2p::gossip;

use super::{Happening, TICK, World, founding::pulled};
use crate::ledger::{
    Mutation,
    census::Event,
    checkers::{Checked, Checker, Heard, Violation},
    machine::{Doom, Power, has_log, others},
    message::short,
};

impl World {
    /// A node begins, or begins again, with what its disk holds.
    pub(crate) fn start(&mut self, at: usize, ledger: MemoryLedger) -> Checked {
        let is_replay = has_log(&ledger);
        if is_replay {
            self.census.count(Event::WalReplay);
        }
        let (now, seed) = (self.now, self.dice.bits());
        let shows = self.dice.time(Duration::ZERO, Duration::from_secs(1000));
        let machine = &mut self.machines[at];
        self.witnesses.forgets(at);
        machine.clock.restart(now, shows);
        let started = machine.start(ledger, seed);
        started.map_err(|error| Violation::new(Checker::Health, format!("node {at}: {error}")))?;
        let life = machine.life;
        self.trace.note(now, format_args!("{at} starts{}", if is_replay { " with a log" } else { "" }));
        let first = self.dice.time(Duration::ZERO, TICK);
        self.after(first, Happening::Tick { at, life });
        if self.machines[at].is_honest() {
            let blocks = self.machines[at].ledger().map(MemoryLedger::blocks).unwrap_or_default();
            self.agreement.has_all(at, blocks.iter().map(|sealed| sealed.block.header.hash()))?;
        }
        if let Some(process) = self.machines[at].process() {
            let others = others(&process.replica);
            self.gossip(at, gossip::Input::Members { others })?;
        }
        self.attend(at)
    }

    pub(super) fn restart(&mut self, at: usize) -> Checked {
        match std::mem::replace(&mut self.machines[at].power, Power::Absent) {
            Power::Off(ledger) => self.start(at, *ledger),
            other => {
                self.machines[at].power = other;
                Ok(())
            }
        }
    }

    /// A newcomer pulls the chain from the one who took it in, and begins.
    pub(super) fn join(&mut self, newcomer: usize, via: usize) -> Checked {
        let giver = self.machines[via].ledger().filter(|_| self.machines[newcomer].life == 0);
        let Some(giver) = giver else { return Ok(()) };
        let key = self.machines[newcomer].key.clone();
        let ledger = pulled(&self.genesis, key, giver.blocks().to_vec())?;
        self.start(newcomer, ledger)
    }

    /// A node is gone, all but its disk, and comes back after a while.
    pub(crate) fn crash(&mut self, at: usize, mut ledger: MemoryLedger, kind: Event) {
        self.census.count(kind);
        self.numbers.crashes += 1;
        self.trace.note(self.now, format_args!("{at} crashes: {kind:?}"));
        if self.mutation == Some(Mutation::WalDropped) {
            ledger.forget_wal();
        }
        self.machines[at].stop();
        self.machines[at].power = Power::Off(Box::new(ledger));
        if self.is_stormy && self.dice.chance(150) {
            // It will crash again as soon as it does anything.
            self.machines[at].doom = self.dice.pick(&Doom::ALL);
        }
        let long = if self.dice.chance(200) { Duration::from_secs(15) } else { Duration::from_secs(2) };
        let away = self.dice.time(Duration::from_millis(20), long);
        self.after(away, Happening::Restart { at });
    }

    pub(super) fn wake(&mut self, at: usize) -> Checked {
        if let Some(process) = self.machines[at].process_mut() {
            process.wake_at = None;
        }
        self.attend(at)
    }

    pub(super) fn tick(&mut self, at: usize) -> Checked {
        let life = self.machines[at].life;
        if let Some(process) = self.machines[at].process_mut() {
            process.inbox.push(Input::Tick);
            let next = TICK.max(process.paused_until.saturating_sub(self.now));
            self.after(next, Happening::Tick { at, life });
        }
        self.attend(at)
    }

    pub(super) fn take_request(&mut self, to: usize, request: RequestId, action: Action) -> Checked {
        if let Some(process) = self.machines[to].process_mut() {
            process.inbox.push(Input::Submit { request, action, on_behalf_of: None });
        }
        self.attend(to)
    }

    /// Gives a node what it is due, if it can take it.
    pub(crate) fn attend(&mut self, at: usize) -> Checked {
        let (now, time) = (self.now, self.machines[at].time(self.now));
        if self.is_paused(at) {
            self.arrange_wake(at);
            return Ok(());
        }
        let Some(process) = self.machines[at].process() else { return Ok(()) };
        if process.gossip.poll_timeout().is_some_and(|due| due <= time) {
            self.gossip(at, gossip::Input::Timeout)?;
        }
        let steady = self.machines[at].clock.steady(now);
        let Some(process) = self.machines[at].process() else { return Ok(()) };
        let is_due = process.replica.poll_timeout().is_some_and(|due| due <= steady);
        let has_work = is_due || !process.inbox.is_empty() || process.replica.has_work();
        if process.unsent.is_none() && has_work {
            self.step(at)?;
        }
        self.arrange_wake(at);
        Ok(())
    }

    fn arrange_wake(&mut self, at: usize) {
        let life = self.machines[at].life;
        let Some(due) = self.machines[at].due().map(|due| due.max(self.now)) else { return };
        let Some(process) = self.machines[at].process_mut() else { return };
        if process.wake_at.is_none_or(|arranged| due < arranged) {
            process.wake_at = Some(due);
            self.at(due, Happening::Wake { at, life });
        }
    }

    fn step(&mut self, at: usize) -> Checked {
        let machine = &mut self.machines[at];
        let (now, doom, is_honest) = (machine.now(self.now), machine.doom, machine.is_honest());
        let Some(process) = machine.process_mut() else { return Ok(()) };
        let sends_early = self.mutation == Some(Mutation::SendBeforeSync);
        let can_lose = doom == Some(Doom::LosingStep) || sends_early && doom == Some(Doom::WhileSending);
        let before = can_lose.then(|| process.replica.store().ledger().clone());
        let inputs = std::mem::take(&mut process.inbox);
        let heard = Heard::of(&process.replica, &self.genesis.id(), &inputs);
        let outputs = match process.replica.step(now, inputs) {
            Ok(outputs) if !process.replica.store().health().has_failed() => outputs,
            Ok(_) => {
                let what = format!("node {at} goes on although its disk has refused a write");
                return Err(Violation::new(Checker::Health, what));
            }
            Err(poisoned) if is_honest => return self.end_poisoned(at, &poisoned),
            Err(_) => {
                machine.stop();
                return Ok(());
            }
        };
        self.numbers.round_max = self.numbers.round_max.max(process.replica.round().unwrap_or(0));
        if let Some(doom) = doom.filter(|_| outputs.iter().any(has_consequences)) {
            return self.end_in_step(at, doom, before, outputs);
        }
        if is_honest && heard.is_open(&process.replica) {
            self.witnesses.takes(at, &heard, process.replica.store().ledger())?;
        }
        process.unsent = Some(outputs);
        let (is_slow, life) = (machine.is_slow_until > self.now, machine.life);
        let (low, high) = if is_slow { (50_000, 800_000) } else { (100, 4_000) };
        let sync = self.dice.time(Duration::from_micros(low), Duration::from_micros(high));
        self.after(sync, Happening::Synced { at, life });
        Ok(())
    }

    /// A node stops by itself. It may if its disk has failed, and must: it takes no further step.
    fn end_poisoned(&mut self, at: usize, poisoned: &Poisoned) -> Checked {
        self.trace.note(self.now, format_args!("{at}: {poisoned}"));
        let machine = &mut self.machines[at];
        let now = machine.now(self.now);
        let broken = |what: String| Violation::new(Checker::Health, format!("node {at}: {what}"));
        let Some(process) = machine.process_mut() else { return Ok(()) };
        if !process.replica.store().health().has_failed() {
            return Err(broken(poisoned.to_string()));
        }
        match process.replica.step(now, vec![Input::Tick]) {
            Err(again) if again == *poisoned => {}
            _ => return Err(broken("it takes a step after its disk refused a write".to_owned())),
        }
        self.crash_keeping(at, Event::DiskFailure);
        Ok(())
    }

    /// A crash in the middle of a step with consequences. `before` is what the disk still has if the step is lost.
    fn end_in_step(
        &mut self,
        at: usize,
        doom: Doom,
        before: Option<MemoryLedger>,
        outputs: Vec<Output>,
    ) -> Checked {
        match (doom, before) {
            (Doom::LosingStep, Some(before)) => {
                if self.mutation == Some(Mutation::SendBeforeSync) {
                    self.carry_out(at, outputs)?;
                }
                self.crash(at, before, Event::CrashLosingStep);
            }
            (Doom::WhileSending, before) => {
                self.carry_out_some(at, outputs)?;
                match before {
                    Some(before) => self.crash(at, before, Event::CrashWhileSending),
                    None => self.crash_keeping(at, Event::CrashWhileSending),
                }
            }
            _ => self.crash_keeping(at, Event::CrashBeforeSending),
        }
        Ok(())
    }

    /// A crash after which the disk has all that was done.
    pub(crate) fn crash_keeping(&mut self, at: usize, kind: Event) {
        if let Some(ledger) = self.machines[at].stop() {
            self.crash(at, ledger, kind);
        }
    }

    /// The step is durable: now others may hear of it.
    pub(super) fn sync(&mut self, at: usize) -> Checked {
        if self.is_paused(at) {
            let (life, until) = (self.machines[at].life, self.machines[at].process());
            let until = until.map_or(self.now, |process| process.paused_until);
            self.at(until, Happening::Synced { at, life });
            return Ok(());
        }
        let outputs = self.machines[at].process_mut().and_then(|process| process.unsent.take());
        self.carry_out(at, outputs.unwrap_or_default())?;
        self.attend(at)
    }

    /// A line of what a node stands at, for the trace.
    pub(crate) fn note_state(&mut self, at: usize) {
        let machine = &self.machines[at];
        let Some(process) = machine.process() else { return };
        let (head, round) = (process.replica.head(), process.replica.round());
        let waiting = process.replica.store().outbox().map_or(0, |all| all.len());
        self.trace.note(
            self.now,
            format_args!(
                "{at} is at {} {}, round {round:?}, {waiting} waiting",
                head.height,
                short(&head.hash)
            ),
        );
    }
}

/// Whether losing a step can be noticed by anybody.
fn has_consequences(output: &Output) -> bool {
    matches!(output, Output::Broadcast(_) | Output::Committed(_) | Output::Settled { .. } | Output::Relay(_))
}
