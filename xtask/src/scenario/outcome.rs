//! How scenarios end, and the summary of a run.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Ends a scenario that cannot be played here: neither a pass nor a failure.
#[derive(Debug)]
pub(crate) struct Skip(pub(crate) String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Skip {}

/// What became of one scenario.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was played and all held. What could not be played here was left out.
    Passed { left_out: Vec<String> },
    /// It cannot be played here.
    Skipped { why: String },
    /// Something did not hold.
    Failed { why: String },
}

impl Outcome {
    pub(crate) fn of(ended: anyhow::Result<()>, left_out: Vec<String>) -> Self {
        match ended.map_err(|error| (error.downcast_ref().map(|Skip(why)| why.clone()), error)) {
            Ok(()) => Self::Passed { left_out },
            Err((Some(why), _)) => Self::Skipped { why },
            Err((None, error)) => Self::Failed { why: format!("{error:#}") },
        }
    }
}

/// The outcomes of a run, in order. Shown as what was not played, and a line that programs can read:
/// `scenarios: N passed, N failed, N in part, N skipped`. What was played in part only is not among the passed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: Vec<(&'static str, Outcome)>,
}

impl Tally {
    /// Notes how a scenario ended, and says so.
    pub(crate) fn note(&mut self, name: &'static str, outcome: Outcome, took: Duration) {
        let took = format!("{:.1} s", took.as_secs_f64());
        match &outcome {
            Outcome::Passed { left_out } if left_out.is_empty() => println!("scenario {name} ok, {took}"),
            Outcome::Passed { left_out } => {
                println!("scenario {name} ok in part, {took}; left out: {}", left_out.join("; "));
            }
            Outcome::Skipped { why } => println!("scenario {name} skipped: {why}"),
            Outcome::Failed { why } => {
                eprintln!("scenario {name} FAILED, {took}: {why}");
                eprintln!("to repeat it: cargo xtask scenario {name}");
            }
        }
        self.rows.push((name, outcome));
    }

    pub(crate) fn failed(&self) -> Vec<&'static str> {
        let failed = self.rows.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed { .. }));
        failed.map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut passed, mut in_part, mut skipped) = (0, 0, 0);
        for (name, outcome) in &self.rows {
            match outcome {
                Outcome::Passed { left_out } if left_out.is_empty() => passed += 1,
                Outcome::Passed { left_out } => {
                    in_part += 1;
                    writeln!(f, "in part  {name}, without: {}", left_out.join("; "))?;
                }
                Outcome::Skipped { why } => {
                    skipped += 1;
                    writeln!(f, "skipped  {name}: {why}")?;
                }
                Outcome::Failed { .. } => {}
            }
        }
        write!(f, "scenarios: {passed} passed, {} failed", self.failed().len())?;
        for (count, what) in [(in_part, "in part"), (skipped, "skipped")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_skip_is_a_skip_also_behind_a_context() {
        let skipped = Err(Skip("no links".into())).context("on the way");
        assert!(matches!(Outcome::of(skipped, Vec::new()), Outcome::Skipped { why } if why == "no links"));
        let failed = Outcome::of(Err(anyhow!("no links")), Vec::new());
        assert!(matches!(failed, Outcome::Failed { .. }));
    }

    #[test]
    fn what_was_not_played_is_not_among_the_passed() {
        let mut tally = Tally::default();
        let took = Duration::from_secs(1);
        tally.note("a", Outcome::of(Ok(()), Vec::new()), took);
        assert_eq!(tally.to_string(), "scenarios: 1 passed, 0 failed");
        tally.note("b", Outcome::of(Ok(()), vec!["cables".into()]), took);
        tally.note("c", Outcome::of(Err(Skip("no root".into()).into()), Vec::new()), took);
        tally.note("d", Outcome::of(Err(anyhow!("wrong")), Vec::new()), took);
        assert_eq!(
            tally.to_string(),
            "in part  b, without: cables\nskipped  c: no root\nscenarios: 1 passed, 1 failed, 1 in part, 1 skipped"
        );
        assert_eq!(tally.failed(), ["d"]);
    }
}
