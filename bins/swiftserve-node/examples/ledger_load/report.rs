//! What was measured.

use std::time::Duration;

use serde_json::{Value, json};

/// Times of writes, from asking to the answer.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn new(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self(took)
    }

    fn to_json(&self) -> Value {
        json!({ "count": self.0.len(), "p50_ms": self.at(50), "p99_ms": self.at(99), "max_ms": self.at(100) })
    }

    /// The time that so many percent of the writes did not exceed, in milliseconds.
    fn at(&self, percent: usize) -> Option<f64> {
        let place = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(place).map(|took| took.as_secs_f64() * 1e3)
    }
}

/// Many writes at once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) writes: usize,
    pub(crate) in_flight: usize,
    pub(crate) seconds: f64,
    pub(crate) blocks: u64,
    /// From the last write being final until the files folder at the first author shows all of them.
    pub(crate) shown_after: Duration,
    pub(crate) latencies: Latencies,
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) validators: usize,
    pub(crate) authors: usize,
    pub(crate) singles: Latencies,
    pub(crate) batch: Batch,
    /// Blocks that were not decided in their first round.
    pub(crate) late_rounds: usize,
}

impl Report {
    pub(crate) fn to_json(&self) -> Value {
        let batch = &self.batch;
        json!({
            "validators": self.validators,
            "authors": self.authors,
            "singles": self.singles.to_json(),
            "batch": {
                "writes": batch.writes,
                "in_flight": batch.in_flight,
                "seconds": batch.seconds,
                "blocks": batch.blocks,
                "shown_after_s": batch.shown_after.as_secs_f64(),
                "latencies": batch.latencies.to_json(),
            },
            "late_rounds": self.late_rounds,
        })
    }
}
