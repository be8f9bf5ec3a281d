//! The state of things, for people.

use super::{Due, World};
use crate::swarm::clock::Moment;

/// What was true when the state of things was shown last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    at: Moment,
    source_busy_ns: u64,
    others_busy_ns: u64,
    letters: u64,
    delivered: u64,
}

impl World {
    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    pub(super) fn show(&mut self) {
        let Some(every) = self.plan.timeline else { return };
        let elapsed = self.now.since(self.shown.at).max(1) as f64;
        let others = &self.nodes[1..];
        let now = Shown {
            at: self.now,
            source_busy_ns: self.nodes[0].up.busy_ns,
            others_busy_ns: others.iter().map(|node| node.up.busy_ns).sum(),
            letters: self.books.letters.all(),
            delivered: self.books.delivered,
        };
        let mut held: Vec<f64> = (1..self.nodes.len())
            .filter(|&at| self.plan.is_counted(at))
            .map(|at| (0..self.files.len()).map(|file| self.books.verified(at, file)).sum::<u64>() as f64)
            .map(|bytes| bytes / self.plan.all_bytes() as f64)
            .collect();
        held.sort_by(f64::total_cmp);
        let before = std::mem::replace(&mut self.shown, now);
        let is_busy = |ns: u64, before: u64| (ns - before) as f64 / elapsed;
        eprintln!(
            "{:>8.2} s  uplinks: source {:.2}, others {:.2}  held: least {:.3}, median {:.3}, most {:.3}  \
             transfers {}, slices {}, letters {}",
            self.now.seconds(),
            is_busy(now.source_busy_ns, before.source_busy_ns),
            is_busy(now.others_busy_ns, before.others_busy_ns) / others.len() as f64,
            held.first().unwrap_or(&0.0),
            held.get(held.len() / 2).unwrap_or(&0.0),
            held.last().unwrap_or(&0.0),
            self.transfers.len(),
            now.delivered - before.delivered,
            now.letters - before.letters,
        );
        if self.books.wanting() > 0 {
            self.agenda.note(self.now.after(every), Due::Show);
        }
    }
}
