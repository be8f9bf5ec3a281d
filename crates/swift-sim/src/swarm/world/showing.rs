//! The state of things, for people.

use super::{Turn, World};
use crate::swarm::{books::Books, clock::Moment};

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
    /// What all shards have counted.
    pub(super) fn books(&self) -> Books {
        let mut books = Books::default();
        self.shards.iter().for_each(|shard| books.add(&shard.books));
        books
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    pub(super) fn show(&mut self) {
        let Some(every) = self.scene.plan.timeline else { return };
        let elapsed = self.now.since(self.shown.at).max(1) as f64;
        let books = self.books();
        let now = Shown {
            at: self.now,
            source_busy_ns: self.node(0).up.busy_ns,
            others_busy_ns: self.nodes().skip(1).map(|node| node.up.busy_ns).sum(),
            letters: books.letters.all(),
            delivered: books.delivered,
        };
        let counted = self.nodes().filter(|node| self.scene.plan.is_counted(node.at));
        let all_bytes = self.scene.plan.all_bytes() as f64;
        let mut held: Vec<f64> = counted.map(|node| node.account.verified() as f64 / all_bytes).collect();
        held.sort_by(f64::total_cmp);
        let before = std::mem::replace(&mut self.shown, now);
        let is_busy = |ns: u64, before: u64| (ns - before) as f64 / elapsed;
        eprintln!(
            "{:>8.2} s  uplinks: source {:.2}, others {:.2}  held: least {:.3}, median {:.3}, most {:.3}  \
             transfers {}, slices {}, letters {}",
            self.now.seconds(),
            is_busy(now.source_busy_ns, before.source_busy_ns),
            is_busy(now.others_busy_ns, before.others_busy_ns) / (self.scene.members.len() - 1) as f64,
            held.first().unwrap_or(&0.0),
            held.get(held.len() / 2).unwrap_or(&0.0),
            held.last().unwrap_or(&0.0),
            self.nodes().map(|node| node.fetching.len()).sum::<usize>(),
            now.delivered - before.delivered,
            now.letters - before.letters,
        );
        if self.wanting() > 0 {
            self.note(self.now.after(every), Turn::Show);
        }
    }
}
