//! What became of each step.

use std::fmt;
use std::time::Duration;

/// How one step ended.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// It ran and found nothing wrong.
    Passed(Duration),
    /// It ran and found something wrong.
    Failed(Duration),
    /// An earlier failure or an interruption kept it from running.
    Skipped,
}

/// The outcomes of a run, in order. Shown as a table that ends in a line programs can read:
/// `steps: N passed, N failed, N skipped`.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(&'static str, Outcome)>,
}

impl Report {
    pub(crate) fn add(&mut self, step: &'static str, outcome: Outcome) {
        self.rows.push((step, outcome));
    }

    pub(crate) fn failed(&self) -> usize {
        self.count(|o| matches!(o, Outcome::Failed(_)))
    }

    fn count(&self, which: impl Fn(Outcome) -> bool) -> usize {
        self.rows.iter().filter(|(_, outcome)| which(*outcome)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, outcome) in &self.rows {
            match outcome {
                Outcome::Passed(time) => writeln!(f, "{step:<10} ok      {:>8.1} s", time.as_secs_f64())?,
                Outcome::Failed(time) => writeln!(f, "{step:<10} FAILED  {:>8.1} s", time.as_secs_f64())?,
                Outcome::Skipped => writeln!(f, "{step:<10} skipped")?,
            }
        }
        let passed = self.count(|o| matches!(o, Outcome::Passed(_)));
        let skipped = self.count(|o| matches!(o, Outcome::Skipped));
        write!(f, "steps: {passed} passed, {} failed", self.failed())?;
        if skipped > 0 {
            write!(f, ", {skipped} skipped")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_counts_every_outcome() {
        let mut report = Report::default();
        report.add("fmt", Outcome::Passed(Duration::from_millis(1240)));
        report.add("clippy", Outcome::Failed(Duration::from_secs(61)));
        report.add("tests", Outcome::Skipped);
        let shown = report.to_string();
        assert!(shown.contains("fmt        ok           1.2 s"), "{shown}");
        assert!(shown.contains("clippy     FAILED      61.0 s"), "{shown}");
        assert!(shown.ends_with("\nsteps: 1 passed, 1 failed, 1 skipped"), "{shown}");
    }
}
