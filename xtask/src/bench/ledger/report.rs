//! What came out, and which bars hold.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// Final writes per second by four validators.
const BATCHED_PER_SECOND: f64 = 1000.0;
/// What a single write may take beyond its disk syncs.
const SINGLE_BEYOND_SYNCS_MS: f64 = 50.0;
const VERIFIED_PER_SECOND: f64 = 5000.0;
const OPENED_WITHIN_MS: f64 = 2000.0;

/// Where a write begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// At a member that has no vote: it takes the block over when it is decided.
    Member,
    /// At one of the validators.
    Validator,
}

impl Asked {
    /// Disk syncs that one write waits for, one after the other.
    ///
    /// Queued at its author; the proposal; the prevotes, beside each other; the precommits; the block, decided; and
    /// where the author has no vote, the block taken over there. One validator alone does all of its part in one step.
    pub(super) fn syncs(self, validators: usize) -> u32 {
        match (self, validators) {
            (Self::Validator, 1) => 1,
            (Self::Member, 1) => 3,
            (Self::Validator, _) => 5,
            (Self::Member, _) => 6,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Member => "at a member",
            Self::Validator => "at a validator",
        })
    }
}

/// One network, measured.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) validators: usize,
    pub(super) asked: Asked,
    pub(super) machine_load: String,
    /// What one disk sync cost right before.
    pub(super) sync: Duration,
    /// What the load program printed.
    pub(super) measured: Value,
}

impl Row {
    fn number(&self, pointer: &str) -> f64 {
        self.measured.pointer(pointer).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    fn per_second(&self) -> f64 {
        self.number("/batch/writes") / self.number("/batch/seconds")
    }

    fn single_bar_ms(&self) -> f64 {
        f64::from(self.asked.syncs(self.validators)) * ms(self.sync) + SINGLE_BEYOND_SYNCS_MS
    }
}

/// Everything that was measured in one run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) dir: PathBuf,
    pub(super) rows: Vec<Row>,
    /// What the program for chains printed.
    pub(super) chain: Value,
}

/// A demand, and what was measured.
struct Bar {
    says: String,
    holds: bool,
}

impl Report {
    fn chain(&self, key: &str) -> f64 {
        self.chain.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    fn bars(&self) -> Vec<Bar> {
        let mut bars = Vec::new();
        for row in self.rows.iter().filter(|row| row.validators == 4) {
            let rate = row.per_second();
            let says = format!(
                "4 validators, asked {}: {rate:.0} tx/s, at least {BATCHED_PER_SECOND:.0}",
                row.asked
            );
            bars.push(Bar { says, holds: rate >= BATCHED_PER_SECOND });
        }
        for row in &self.rows {
            let (p50, bar) = (row.number("/singles/p50_ms"), row.single_bar_ms());
            let says = format!(
                "{} validators, asked {}: p50 of a single write {p50:.1} ms, below {bar:.1} ms ({} syncs of {:.2} ms, and 50 ms)",
                row.validators,
                row.asked,
                row.asked.syncs(row.validators),
                ms(row.sync)
            );
            bars.push(Bar { says, holds: p50 < bar });
        }
        for (what, key) in [("following", "followed_per_second"), ("auditing", "audited_per_second")] {
            let rate = self.chain(key);
            let says = format!("{what} on one core: {rate:.0} tx/s, at least {VERIFIED_PER_SECOND:.0}");
            bars.push(Bar { says, holds: rate >= VERIFIED_PER_SECOND });
        }
        let (opened, blocks) = (self.chain("open_ms"), self.chain("blocks"));
        let says = format!("opening {blocks:.0} blocks: {opened:.1} ms, below {OPENED_WITHIN_MS:.0} ms");
        bars.push(Bar { says, holds: opened < OPENED_WITHIN_MS });
        bars
    }

    pub(super) fn to_json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "validators": row.validators,
                "asked": row.asked.to_string(),
                "machine_load": row.machine_load,
                "sync_ms": ms(row.sync),
                "syncs_per_write": row.asked.syncs(row.validators),
                "per_second": row.per_second(),
                "measured": row.measured,
            })
        };
        let bars = self.bars().into_iter().map(|bar| json!({ "says": bar.says, "holds": bar.holds }));
        json!({
            "dir": self.dir,
            "networks": self.rows.iter().map(row).collect::<Vec<_>>(),
            "chain": self.chain,
            "bars": bars.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nnodes in {}; one sync is 4 KiB and fdatasync, median", self.dir.display())?;
        writeln!(
            f,
            "validators  asked           syncs   one sync  single p50  single p99      tx/s  tx/block  shown after  late rounds  load"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:>10}  {:<14}  {:>5}  {:>6.2} ms  {:>7.1} ms  {:>7.1} ms  {:>8.0}  {:>8.0}  {:>9.1} s  {:>11}  {:>4}",
                row.validators,
                row.asked,
                row.asked.syncs(row.validators),
                ms(row.sync),
                row.number("/singles/p50_ms"),
                row.number("/singles/p99_ms"),
                row.per_second(),
                row.number("/batch/writes") / row.number("/batch/blocks"),
                row.number("/batch/shown_after_s"),
                row.number("/late_rounds"),
                row.machine_load,
            )?;
        }
        writeln!(f)?;
        for Bar { says, holds } in self.bars() {
            writeln!(f, "{}  {says}", if holds { "holds " } else { "MISSED" })?;
        }
        Ok(())
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(writes: u64, p50_ms: f64, chain: Value) -> Report {
        let measured = json!({
            "singles": { "p50_ms": p50_ms, "p99_ms": 60.0 },
            "batch": { "writes": writes, "seconds": 10.0, "blocks": 20, "shown_after_s": 1.0 },
            "late_rounds": 0,
        });
        let row = Row {
            validators: 4,
            asked: Asked::Validator,
            machine_load: "1.0".into(),
            sync: Duration::from_millis(2),
            measured,
        };
        Report { dir: "/disk".into(), rows: vec![row], chain }
    }

    fn chain(rate: u64) -> Value {
        json!({ "followed_per_second": rate, "audited_per_second": rate, "blocks": 100_000, "open_ms": 3.0 })
    }

    #[test]
    fn a_bar_holds_when_it_is_reached_and_is_named_when_it_is_missed() {
        let all_hold = |report: &Report| report.bars().iter().all(|bar| bar.holds);
        assert!(all_hold(&report(10_000, 59.9, chain(5000))));
        for missed in [
            report(9_990, 59.9, chain(5000)),
            // Five syncs of 2 ms each, and 50 ms.
            report(10_000, 60.1, chain(5000)),
            report(10_000, 59.9, chain(4999)),
        ] {
            assert!(!all_hold(&missed));
            assert!(missed.to_string().contains("MISSED"));
        }
    }

    #[test]
    fn what_was_not_measured_holds_no_bar() {
        let report = report(10_000, 1.0, json!({}));
        assert!(report.bars().iter().any(|bar| !bar.holds));
        assert_eq!(report.to_json()["networks"][0]["per_second"], 1000.0);
    }
}
