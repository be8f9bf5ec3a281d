//! The same for several files: one that fails does not stop the others.

use crate::{error::Error, text::printable};

/// What became of a series.
#[derive(Default)]
pub(super) struct Series {
    done: usize,
    failed: Vec<(String, Error)>,
}

impl Series {
    /// Notes one that went well.
    pub(super) fn done(&mut self) {
        self.done += 1;
    }

    /// Notes one that failed; an error if the rest would fail alike.
    pub(super) fn failed(&mut self, name: &str, error: Error) -> Result<(), Error> {
        if error.concerns_all() {
            return Err(error);
        }
        self.failed.push((name.to_owned(), error));
        Ok(())
    }

    /// The end: a single failure speaks for itself, several are named together.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        if self.done == 0 && self.failed.len() == 1 {
            return self.failed.pop().map_or(Ok(()), |(_, error)| Err(error));
        }
        for (_, error) in &self.failed {
            error.report();
        }
        if self.failed.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.failed.iter().map(|(name, _)| printable(name)).collect();
        let of = self.done + self.failed.len();
        Err(Error::Failed(format!("{} of {of} failed: {}", names.len(), names.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_failure_keeps_its_exit_code() {
        let mut series = Series::default();
        series.failed("a", Error::NotFound("no a".into())).unwrap();
        assert_eq!(series.finish().unwrap_err().exit_code(), 3);
    }

    #[test]
    fn one_failure_among_several_is_named_in_the_end() {
        let mut series = Series::default();
        series.done();
        series.failed("b", Error::NotFound("no b".into())).unwrap();
        let error = series.finish().unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().as_str()), (1, "1 of 2 failed: b"));
    }

    #[test]
    fn what_concerns_all_ends_the_series() {
        assert!(Series::default().failed("a", Error::Unreachable("gone".into())).is_err());
    }
}
