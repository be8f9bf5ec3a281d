//! After the trouble: writes become final again, then the network rests.

use std::{collections::BTreeMap, time::Duration};

use swift_chain::{LedgerStore, MemoryLedger};

use super::{
    census::Event,
    checkers::{Checked, Checker, Violation},
    clients::Asker,
    machine::{Power, Side},
    network::CutKind,
    world::World,
};

/// How long after healing all last writes must be final everywhere.
const RECOVERY_MAX: Duration = Duration::from_secs(240);
/// How long an idle network's height and rounds must stand still, and how long it may take to come to that.
const REST: Duration = Duration::from_secs(60);
const UNREST_MAX: Duration = Duration::from_secs(120);
/// After how long somebody asks again who has no answer.
const ASK_AGAIN_SECS: u64 = 10;
const SECOND: Duration = Duration::from_secs(1);
/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

impl World {
    /// Everybody comes back and writes once more; all of it must become final everywhere.
    pub(super) fn recover(&mut self) -> Checked {
        let healed = self.now;
        while self.machines.iter().any(|machine| matches!(machine.power, Power::Off(_))) {
            self.run_for(SECOND)?;
        }
        self.participants().into_iter().for_each(|at| self.expect_last_write(at));
        self.await_last_writes()?;
        let took = self.now.saturating_sub(healed).as_millis();
        self.numbers.recovery_ms = u64::try_from(took).unwrap_or(u64::MAX);
        Ok(())
    }

    fn await_last_writes(&mut self) -> Checked {
        let begun = self.now;
        while self.now < begun + RECOVERY_MAX {
            let waiting = self.waiting();
            if waiting.is_empty() && self.is_level(&[]) {
                return Ok(());
            }
            if (self.now - begun).as_secs().is_multiple_of(ASK_AGAIN_SECS) {
                waiting.iter().for_each(|at| self.ask_for_last_write(*at));
            }
            self.run_for(SECOND)?;
        }
        let height = |at: usize| self.machines[at].ledger().map_or(0, |ledger| ledger.blocks().len());
        let heights: Vec<_> = self.participants().iter().map(|at| (*at, height(*at))).collect();
        let what = format!("last writes of {:?} are not final, heights are {heights:?}", self.waiting());
        self.note_states();
        Err(Violation::new(Checker::Progress, what))
    }

    /// From now on there are only honest nodes: one hostile validator can keep the others awake as long as it likes.
    pub(super) fn silence_the_hostile(&mut self) {
        for machine in &mut self.machines {
            if machine.side != Side::Honest {
                machine.stop();
            }
        }
    }

    /// With nothing to write no block is made, nobody goes from round to round, and all come level.
    pub(super) fn rest(&mut self) -> Checked {
        self.rest_without(&[])
    }

    fn rest_without(&mut self, away: &[usize]) -> Checked {
        let (begun, mut since, mut standing) = (self.now, self.now, self.standing());
        while self.now < since + REST {
            if self.now > begun + UNREST_MAX {
                self.note_states();
                let (height, rounds) = standing;
                let what = format!("an idle network does not rest, by now at height {height}, {rounds:?}");
                return Err(Violation::new(Checker::Rest, what));
            }
            self.run_for(SECOND)?;
            let now = self.standing();
            if now != standing {
                (since, standing) = (self.now, now);
            }
        }
        let here: Vec<_> = self.participants().into_iter().filter(|at| !away.contains(at)).collect();
        let deciding: Vec<_> = here.into_iter().filter(|at| standing.1.contains_key(at)).collect();
        if !deciding.is_empty() {
            self.note_states();
            let what = format!("after a rest {deciding:?} are still deciding, with nothing to decide");
            return Err(Violation::new(Checker::Rest, what));
        }
        if self.is_level(away) {
            return Ok(());
        }
        self.note_states();
        Err(Violation::new(Checker::Progress, "after a rest the nodes are not level"))
    }

    /// The height, and the rounds of those who are deciding the next one.
    fn standing(&self) -> (u64, BTreeMap<usize, u32>) {
        let round = |at: usize| Some((at, self.machines[at].process()?.replica.round()?));
        (self.agreement.height(), self.participants().into_iter().filter_map(round).collect())
    }

    /// One validator is cut off soon after it was given a write. The others have heard nothing of it, or nothing but the
    /// votes of one who wants to decide. They rest all the same; and when it is back its write becomes final.
    pub(super) fn leave_one_out(&mut self) -> Checked {
        let validators = self.machines[self.furthest()].ledger().and_then(|ledger| ledger.validators().ok());
        let is_able = |at: &usize| {
            let decides = validators.as_ref().is_some_and(|all| all.weight(&self.machines[*at].id) > 0);
            decides && self.can_do_without(*at, u64::MAX)
        };
        let able: Vec<_> = self.participants().into_iter().filter(is_able).collect();
        let Some(at) = self.dice.pick(&able) else { return Ok(()) };
        self.census.count(Event::LeftOut);
        self.last_writes.clear();
        self.expect_last_write(at);
        self.ask_for_last_write(at);
        let is_mute = self.dice.chance(600);
        if is_mute {
            self.network.mute(at);
        }
        let until_cut = if is_mute { 5_000 } else { 30 };
        let until_cut = self.dice.time(Duration::ZERO, Duration::from_millis(until_cut));
        self.run_for(until_cut)?;
        self.trace.note(self.now, format_args!("{at} is cut off"));
        let others = (0..self.machines.len()).filter(|other| *other != at).collect();
        self.network.cut([at].into(), others, CutKind::Both, self.now + FOR_EVER);
        let others_rounds = self.standing().1.into_keys().filter(|other| *other != at).count();
        if is_mute && others_rounds > 0 {
            self.census.count(Event::LeftOutHeard);
        }
        self.rest_without(&[at])?;
        self.network.heal();
        self.await_last_writes()
    }

    fn ask_for_last_write(&mut self, at: usize) {
        if let Some(action) = self.last_writes.get(&at).map(|last| last.action.clone()) {
            self.request(Asker::Last, at, action);
        }
    }

    /// Honest members that run: those who must come level.
    fn participants(&self) -> Vec<usize> {
        let furthest = &self.machines[self.furthest()];
        let honest = self.honest_on().into_iter();
        honest.filter(|at| furthest.knows(&self.machines[*at].id)).collect()
    }

    /// Those whose last write is not final yet, and who have not been removed since.
    fn waiting(&self) -> Vec<usize> {
        let is_waiting = |at: &usize| self.last_writes.get(at).is_some_and(|last| !last.is_final);
        self.participants().into_iter().filter(is_waiting).collect()
    }

    fn is_level(&self, away: &[usize]) -> bool {
        let here = self.participants().into_iter().filter(|at| !away.contains(at));
        let mut heads =
            here.map(|at| self.machines[at].ledger().and_then(|ledger: &MemoryLedger| ledger.head().ok()));
        let first = heads.next();
        heads.all(|head| Some(head) == first)
    }

    /// What everybody stands at, for the trace.
    fn note_states(&mut self) {
        for at in self.participants() {
            self.note_state(at);
        }
    }
}
