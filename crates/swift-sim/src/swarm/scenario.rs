//! Runs that have a name, and a bar that they must reach.

mod cases;

use super::{
    plan::{Plan, PlanError, What},
    report::Outcome,
    run,
};

/// How large a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Some seconds of a release build.
    Full,
    /// A second or two of a dev build: at most a dozen nodes.
    Small,
}

impl Scale {
    fn pick<T>(self, full: T, small: T) -> T {
        match self {
            Self::Full => full,
            Self::Small => small,
        }
    }
}

/// A run that has a name, and what it must reach.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    /// The run.
    pub plan: Plan,
    /// What must come of it.
    pub bar: Bar,
}

/// What must come of a run, whatever its seed: besides what must hold in every run. Set a little below what is reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bar {
    /// The least share of the optimum, among those who can complete.
    pub share: Option<f64>,
    /// The last copy is complete within so many seconds, where trouble takes its own time.
    pub within: Option<f64>,
    /// The copies that the publisher sends, at most.
    pub source_copies: Option<f64>,
    /// The last copy of a file of at most so many bytes is complete within so many seconds.
    pub small_within: Option<(u64, f64)>,
    /// Questions who has what, at most.
    pub who_has: Option<u64>,
    /// The publisher hears of every copy.
    pub is_told: bool,
}

impl Scenario {
    /// All of them, at one scale.
    pub fn all(scale: Scale) -> Vec<Self> {
        cases::all(scale)
    }

    /// Carries it out. What falls short of the bar is among the violations.
    pub fn run(&self) -> Result<Outcome, PlanError> {
        let mut outcome = run(&self.plan)?;
        outcome.scenario = Some(self.name.to_owned());
        outcome.violations.extend(self.bar.misses(&outcome));
        outcome.violations.extend(unmet(&self.plan, &outcome));
        Ok(outcome)
    }
}

impl Bar {
    fn misses(&self, outcome: &Outcome) -> Vec<String> {
        let mut misses = Vec::new();
        let mut at_most = |what: &str, reached: Option<f64>, most: Option<f64>| {
            if let Some(most) = most
                && reached.is_none_or(|reached| reached > most)
            {
                misses.push(format!("bar: {what} {reached:?}, which may be {most} at most"));
            }
        };
        at_most("seconds until the last copy:", outcome.t_last, self.within);
        at_most("copies that the publisher sent:", Some(outcome.source_copies), self.source_copies);
        let small =
            |size: u64| outcome.by_size.iter().rfind(|done| done.size <= size).map(|done| done.t_last);
        if let Some((size, within)) = self.small_within {
            at_most("seconds until the last copy of a small file:", small(size), Some(within));
        }
        #[allow(clippy::cast_precision_loss, reason = "few questions")]
        let number = |number: u64| number as f64;
        at_most("questions:", Some(number(outcome.messages.who_has)), self.who_has.map(number));
        if let Some(least) = self.share
            && outcome.share.is_none_or(|share| share < least)
        {
            misses.push(format!("bar: a share of {:?}, which must be {least} at least", outcome.share));
        }
        if self.is_told && outcome.copies_known < outcome.copies {
            let (known, copies) = (outcome.copies_known, outcome.copies);
            misses.push(format!("bar: the publisher knows of {known} of {copies} copies"));
        }
        if outcome.complete < outcome.counted {
            misses.push(format!("bar: {} of {} nodes are complete", outcome.complete, outcome.counted));
        }
        misses
    }
}

/// Trouble that never came: such a run shows nothing.
fn unmet(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    let (cast, offences) = (&plan.cast, &outcome.offences);
    let gave_up_all = outcome.abandoned >= outcome.counted as u64;
    let came = [
        (outcome.troubles == plan.troubles.len(), "a trouble"),
        (cast.lying == 0 || offences.wrong_bytes > 0, "wrong bytes"),
        (cast.boasting == 0 || offences.not_there > 0, "something that was offered and not there"),
        (cast.stalling == 0 || outcome.hung > 0, "a request that was left hanging"),
        (plan.lost_messages <= 0.0 || outcome.vanished > 0, "a lost message"),
        (!plan.is_first_false || gave_up_all, "somebody who gives up the false file"),
    ];
    let unmet = came.into_iter().filter(|(has_come, _)| !has_come);
    unmet.map(|(_, what)| format!("the scenario never met {what}")).collect()
}

impl Plan {
    /// The same with another one of these things that happen.
    fn with(mut self, when: super::plan::When, what: What) -> Self {
        self.troubles.push(super::plan::Trouble { when, what });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_plan_that_can_be_carried_out_and_a_name_of_its_own() {
        for scale in [Scale::Full, Scale::Small] {
            let all = Scenario::all(scale);
            for (at, scenario) in all.iter().enumerate() {
                assert_eq!(scenario.plan.check(), Ok(()), "{}", scenario.name);
                assert!(all[..at].iter().all(|other| other.name != scenario.name));
                assert!(scenario.bar.share.is_some() || scenario.bar.within.is_some(), "{}", scenario.name);
            }
        }
    }

    #[test]
    fn a_bar_that_is_missed_and_trouble_that_never_came_are_told() {
        let plan = Plan { nodes: 3, size: 1 << 20, lost_messages: 1e-9, ..Plan::default() };
        let bar = Bar { share: Some(1.1), within: Some(0.1), source_copies: Some(0.5), ..Bar::default() };
        let scenario = Scenario { name: "test", about: "", plan, bar };
        let outcome = scenario.run().unwrap();
        assert_eq!(outcome.complete, 2);
        assert_eq!(outcome.violations.len(), 4, "{:?}", outcome.violations);
    }
}
