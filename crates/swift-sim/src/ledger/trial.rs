//! A run from beginning to end: trouble, healing, the last writes, rest, and the verdict.

use std::time::Duration;

use swift_chain::{Audit, LedgerStore, MemoryLedger};

use super::{
    Options, Outcome,
    census::Census,
    checkers::{Certificates, Checked, Checker, Violation, check_evidence, check_names},
    liar::Liar,
    machine::Side,
    world::World,
};

/// How long after healing all last writes must be final everywhere.
const RECOVERY_MAX: Duration = Duration::from_secs(240);
/// How long an idle network's height must stand still, and how long it may take to come to that.
const REST: Duration = Duration::from_secs(60);
const UNREST_MAX: Duration = Duration::from_secs(120);

pub(crate) fn run(seed: u64, options: &Options) -> Outcome {
    let mut outcome = Outcome {
        seed,
        has_liar: false,
        numbers: super::Numbers::default(),
        census: Census::default(),
        trace: [0; 32],
        violation: None,
    };
    match World::new(seed, options) {
        Ok(mut world) => {
            outcome.violation = world.play().err();
            if let Some(violation) = &outcome.violation {
                world.trace.note(world.now, format_args!("VIOLATION {violation}"));
            }
            world.numbers.blocks = world.agreement.height();
            world.numbers.messages = world.network.sent;
            world.numbers.virtual_ms = u64::try_from(world.now.as_millis()).unwrap_or(u64::MAX);
            outcome.has_liar = world.liar.is_some();
            outcome.trace = world.trace.hash();
            outcome.numbers = world.numbers;
            outcome.census = world.census;
        }
        Err(violation) => outcome.violation = Some(violation),
    }
    outcome
}

impl World {
    fn play(&mut self) -> Checked {
        self.run_until(self.plan.faults)?;
        self.heal();
        self.recover()?;
        self.rest()?;
        self.judge()
    }

    /// Honest members who take part: those who must come level in the end.
    fn participants(&self) -> Vec<usize> {
        let furthest = &self.machines[self.furthest()];
        let honest = self.honest_on().into_iter();
        honest.filter(|at| furthest.knows(&self.machines[*at].id)).collect()
    }

    /// Everybody writes once more; all of it must become final everywhere.
    fn recover(&mut self) -> Checked {
        let healed = self.now;
        // Until everybody is back who was away.
        self.run_for(Duration::from_secs(20))?;
        for at in self.participants() {
            self.last_writes.insert(at, false);
        }
        while self.now < healed + RECOVERY_MAX {
            let waiting = self.waiting();
            if waiting.is_empty() && self.is_level() {
                let took = self.now.saturating_sub(healed).as_millis();
                self.numbers.recovery_ms = u64::try_from(took).unwrap_or(u64::MAX);
                return Ok(());
            }
            // A client asks again after a while.
            if (self.now - healed).as_secs().is_multiple_of(10) {
                waiting.iter().for_each(|at| self.write_last(*at));
            }
            self.run_for(Duration::from_secs(1))?;
        }
        for at in self.participants() {
            self.note_state(at);
        }
        let waiting = self.waiting();
        let heights: Vec<_> = self.participants().iter().map(|at| (*at, self.height(*at))).collect();
        let what = format!("last writes of {waiting:?} are not final, heights are {heights:?}");
        Err(Violation::new(Checker::Progress, what))
    }

    /// Those whose last write is not final yet, and who have not been removed since.
    fn waiting(&self) -> Vec<usize> {
        let is_waiting = |at: &usize| self.last_writes.get(at) == Some(&false);
        self.participants().into_iter().filter(is_waiting).collect()
    }

    fn height(&self, at: usize) -> usize {
        self.machines[at].ledger().map_or(0, |ledger| ledger.blocks().len())
    }

    fn is_level(&self) -> bool {
        let participants = self.participants();
        let head = |at: &usize| self.machines[*at].process().map(|process| process.replica.head().hash);
        let heads: Vec<_> = participants.iter().map(head).collect();
        heads.iter().all(|head| *head == heads[0])
    }

    /// With nothing to write, and nobody hostile to keep the others awake, no block is made.
    fn rest(&mut self) -> Checked {
        for at in 0..self.machines.len() {
            if self.machines[at].side != Side::Honest {
                self.machines[at].stop();
            }
        }
        let (begun, mut since, mut height) = (self.now, self.now, self.agreement.height());
        while self.now < since + REST {
            if self.now > begun + UNREST_MAX {
                for at in self.participants() {
                    self.note_state(at);
                }
                let what = format!("an idle network goes on making blocks, height {height} by now");
                return Err(Violation::new(Checker::Rest, what));
            }
            self.run_for(Duration::from_secs(1))?;
            if self.agreement.height() != height {
                (since, height) = (self.now, self.agreement.height());
            }
        }
        if self.is_level() {
            return Ok(());
        }
        for at in self.participants() {
            self.note_state(at);
        }
        Err(Violation::new(Checker::Progress, "after a rest the nodes are not level"))
    }

    /// What all nodes have stored in the end.
    fn judge(&mut self) -> Checked {
        let mut certificates = Certificates::default();
        let network = self.genesis.id();
        let liar = self.liar.as_ref().map(Liar::id);
        for at in 0..self.machines.len() {
            let Some(ledger) = self.machines[at].ledger().filter(|_| self.machines[at].is_honest()) else {
                continue;
            };
            let chain = ledger.blocks();
            self.agreement.has_all(at, chain.iter().map(|sealed| sealed.block.header.hash()))?;
            certificates.check(at, &network, self.genesis.body().founder, chain)?;
            self.audit(at, ledger)?;
            check_names(chain, ledger.memory_state().files())?;
            ledger.evidence().try_for_each(|evidence| check_evidence(evidence, &network, liar))?;
        }
        let furthest = self.machines[self.furthest()].ledger();
        self.writes.check(furthest.map(MemoryLedger::blocks).unwrap_or_default())
    }

    fn audit(&self, at: usize, ledger: &MemoryLedger) -> Checked {
        let broken = |what: String| Violation::new(Checker::Audit, format!("node {at}: {what}"));
        let mut audit = Audit::new(&self.genesis);
        for sealed in ledger.blocks() {
            audit.push(sealed.clone()).map_err(|error| broken(error.to_string()))?;
        }
        let head = ledger.head().map_err(|error| broken(error.to_string()))?;
        let (audited, stored) = (audit.state(), ledger.memory_state());
        let is_same = *audit.head() == head
            && audited.files().eq(stored.files())
            && audited.members().eq(stored.members());
        if is_same { Ok(()) } else { Err(broken("its state is not what its chain adds up to".to_owned())) }
    }
}
