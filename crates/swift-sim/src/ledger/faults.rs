//! What is done to nodes and links while there are faults.

use std::{collections::BTreeSet, time::Duration};

use super::{
    census::Event,
    checkers::Checked,
    machine::Doom,
    network::CutKind,
    world::{Happening, World},
};

/// One thing that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    CrashAtRest,
    CrashInStep,
    /// Several nodes at once, as when the power fails.
    CrashMany,
    Pause,
    Partition,
    Isolation,
    OneWay,
    ClockJump,
    SlowDisk,
    /// A disk refuses one of the next writes.
    DiskFailure,
    /// A disk is copied, to be used later.
    Backup,
    /// A disk fails, and the node goes on with the copy.
    Restore,
    /// The liar's two lives change peers.
    Split,
    /// Two halves of the network do not hear each other; each has one of the liar's lives, or both have the one.
    Divide,
}

impl Strike {
    pub(crate) const ALL: [Self; 14] = [
        Self::CrashAtRest,
        Self::CrashInStep,
        Self::CrashMany,
        Self::Pause,
        Self::Partition,
        Self::Isolation,
        Self::OneWay,
        Self::ClockJump,
        Self::SlowDisk,
        Self::DiskFailure,
        Self::Backup,
        Self::Restore,
        Self::Split,
        Self::Divide,
    ];

    /// How often it is done at most, beside the others.
    pub(crate) fn weight(self) -> u32 {
        match self {
            Self::CrashInStep => 12,
            Self::Divide => 6,
            Self::CrashAtRest | Self::Pause | Self::Partition | Self::OneWay => 4,
            Self::Isolation | Self::SlowDisk | Self::DiskFailure | Self::ClockJump => 3,
            Self::Backup | Self::Restore => 2,
            Self::CrashMany | Self::Split => 1,
        }
    }
}

/// Longer than a transaction is valid.
const FAR_MS: i64 = 9 * 24 * 60 * 60 * 1000;

impl World {
    /// The next thing is done.
    pub(crate) fn strike(&mut self) -> Checked {
        if !self.is_stormy {
            return Ok(());
        }
        let pause = self.dice.time(Duration::from_millis(100), self.plan.strike_every);
        self.after(pause, Happening::Strike);
        if let (Some(strike), Some(at)) = (self.dice.pick(&self.plan.strikes), self.victim()) {
            self.trace.note(self.now, format_args!("strike: {strike:?}, at {at} if at one"));
            self.carry_out_strike(strike, at);
        }
        Ok(())
    }

    fn victim(&mut self) -> Option<usize> {
        let running = self.honest_on();
        self.dice.pick(&running)
    }

    fn carry_out_strike(&mut self, strike: Strike, at: usize) {
        match strike {
            Strike::CrashAtRest => self.crash_keeping(at, Event::CrashAtRest),
            Strike::CrashInStep => {
                self.machines[at].doom = self.dice.pick(&Doom::ALL);
            }
            Strike::CrashMany => {
                for at in self.honest_on() {
                    if self.dice.chance(700) {
                        self.crash_keeping(at, Event::CrashAtRest);
                    }
                }
            }
            Strike::Pause => self.pause(at),
            Strike::Partition => {
                let all = 0..self.machines.len();
                let (one, other): (BTreeSet<_>, BTreeSet<_>) = all.partition(|_| self.dice.chance(500));
                self.cut(one, other, CutKind::Both);
            }
            Strike::Isolation => {
                let others = (0..self.machines.len()).filter(|other| *other != at).collect();
                self.cut([at].into(), others, CutKind::Both);
            }
            Strike::OneWay => {
                let all = 0..self.machines.len();
                let to = all.filter(|other| *other != at && self.dice.chance(600)).collect();
                let one = BTreeSet::from([at]);
                let (from, to) = if self.dice.chance(500) { (one, to) } else { (to, one) };
                self.cut(from, to, CutKind::Forth);
            }
            Strike::ClockJump => self.jump(at),
            Strike::SlowDisk => {
                self.census.count(Event::SlowDisk);
                let lasting = self.dice.time(Duration::from_secs(1), Duration::from_secs(8));
                self.machines[at].is_slow_until = self.now + lasting;
            }
            Strike::DiskFailure => {
                let (writes, keeps_commit) = (self.dice.number(0, 9), self.dice.chance(500));
                if let Some(process) = self.machines[at].process() {
                    process.replica.store().health().doom(writes, keeps_commit);
                }
            }
            Strike::Backup => self.machines[at].backup = self.machines[at].ledger().cloned(),
            Strike::Restore => self.restore(),
            Strike::Split => {
                let places = self.machines.len();
                if let Some(liar) = &mut self.liar {
                    liar.split(&mut self.dice, &mut self.census, places);
                }
            }
            Strike::Divide => self.divide(),
        }
    }

    /// One whose disk was copied goes on with the copy, as an operator would have it: what it has signed since it does
    /// not know, so it is held back until it has heard from everybody.
    fn restore(&mut self) {
        let is_able = |at: &usize| {
            let backup = self.machines[*at].backup.as_ref();
            backup.is_some_and(|backup| self.can_do_without(*at, backup.blocks().len() as u64 + 1))
        };
        let able: Vec<_> = self.honest_on().into_iter().filter(is_able).collect();
        let Some(at) = self.dice.pick(&able) else { return };
        let Some(mut ledger) = self.machines[at].backup.take() else { return };
        if swift_chain::LedgerStore::hold_signing(&mut ledger, u64::MAX).is_ok() {
            self.crash(at, ledger, Event::Restored);
            self.writes.forgets(&self.machines[at].id);
        }
    }

    fn divide(&mut self) {
        let places = self.machines.len();
        let Some(liar) = &mut self.liar else { return };
        let all: Vec<_> = (0..places).filter(|at| !liar.places().any(|own| own == *at)).collect();
        let half = all.len() / 2;
        let one: BTreeSet<_> = self.dice.some_of(all.clone(), half).into_iter().collect();
        let other = all.into_iter().filter(|at| !one.contains(at)).collect();
        liar.face(&mut self.census, one.clone());
        self.cut(one, other, CutKind::Both);
    }

    fn pause(&mut self, at: usize) {
        let lasting = self.dice.time(Duration::from_millis(300), Duration::from_secs(12));
        let until = self.now + lasting;
        if let Some(process) = self.machines[at].process_mut() {
            self.census.count(Event::Pause);
            process.paused_until = until;
        }
    }

    fn cut(&mut self, from: BTreeSet<usize>, to: BTreeSet<usize>, kind: CutKind) {
        let lasting = self.dice.time(Duration::from_millis(500), Duration::from_secs(12));
        self.network.cut(from, to, kind, self.now + lasting);
    }

    fn jump(&mut self, at: usize) {
        let is_far = self.dice.chance(150);
        let by = if is_far { FAR_MS } else { 600_000 };
        self.census.count(if is_far { Event::ClockFarOff } else { Event::ClockJump });
        let error = if self.dice.chance(500) { by } else { -by };
        let spread = i64::from(self.dice.number(0, 1000));
        self.machines[at].clock.set_wall_error_ms(error / 1000 * spread);
    }

    /// From now on nothing goes wrong but what hostile members do.
    pub(crate) fn heal(&mut self) {
        self.trace.note(self.now, format_args!("healing"));
        self.is_stormy = false;
        self.network.heal();
        for machine in &mut self.machines {
            machine.doom = None;
            machine.is_slow_until = Duration::ZERO;
            if let Some(process) = machine.process() {
                process.replica.store().health().spare();
            }
        }
        self.set_clocks_if_needed();
    }

    /// A wrong clock does not keep others from deciding, but one right clock among the validators is needed: what a
    /// block's creator holds to be outdated it leaves out.
    fn set_clocks_if_needed(&mut self) {
        let day_ms = 24 * 60 * 60 * 1000;
        let ledger = self.machines[self.furthest()].ledger();
        let validators = ledger.and_then(|ledger| swift_chain::LedgerStore::validators(ledger).ok());
        let is_right = self.machines.iter().any(|machine| {
            let decides = validators.as_ref().is_some_and(|all| all.weight(&machine.id) > 0);
            machine.is_honest() && decides && machine.clock.wall_error_ms().abs() < day_ms
        });
        if !is_right {
            for machine in &mut self.machines {
                machine.clock.set_wall_error_ms(0);
            }
        }
    }
}
