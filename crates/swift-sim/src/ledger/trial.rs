//! A run from beginning to end: trouble, healing, the last writes, rest, and the verdict.

use swift_chain::{Audit, Genesis, LedgerStore, MemoryLedger};

use super::{
    Options, Outcome,
    census::Census,
    checkers::{Certificates, Checked, Checker, Violation, check_evidence, check_names, check_receipt},
    liar::Liar,
    world::World,
};
use crate::dice::Dice;

/// Receipts that are made at the end of a run.
const RECEIPTS: usize = 3;

pub(crate) fn run(seed: u64, options: &Options) -> Outcome {
    let mut outcome = Outcome {
        seed,
        validators: 0,
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
            outcome.validators = world.plan.validators;
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
        self.silence_the_hostile();
        self.rest()?;
        if self.dice.chance(500) {
            self.leave_one_out()?;
        }
        self.judge()
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
        let furthest = self.furthest();
        let Self { machines, dice, genesis, .. } = self;
        let Some(furthest) = machines[furthest].ledger() else { return Ok(()) };
        self.signing.check_voters(genesis.body().founder, furthest.blocks())?;
        for _ in 0..RECEIPTS {
            check_any_receipt(dice, genesis, furthest)?;
        }
        self.writes.check(furthest.blocks())
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

/// Proves any one of a chain's transactions.
fn check_any_receipt(dice: &mut Dice, genesis: &Genesis, ledger: &MemoryLedger) -> Checked {
    let lens =
        ledger.blocks().iter().map(|sealed| (sealed.block.header.height, sealed.block.transactions.len()));
    let all: Vec<_> = lens.flat_map(|(height, len)| (0..len).map(move |index| (height, index))).collect();
    match dice.pick(&all) {
        Some((height, index)) => check_receipt(genesis, ledger, height, index).map(drop),
        None => Ok(()),
    }
}
