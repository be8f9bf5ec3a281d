//! What is judged while all nodes stand still: whether trouble is due, what they told each other of, and the end.

use super::World;
use crate::swarm::{account::grains, clock::Moment, machine::GRAIN_LEN, plan::When, shard::Shard};

impl World {
    /// What nodes were told of since the window opened must have been true then.
    pub(super) fn judge_claims(&mut self) {
        for shard in 0..self.shards.len() {
            for claim in std::mem::take(&mut self.shards[shard].books.claims) {
                let (told, holder, file) = (claim.told, claim.holder, claim.file);
                if !self.node(holder).account.copies[file].was_complete(claim.told_at) {
                    let what = format!(
                        "node {told} was told of a copy of file {file} on node {holder}, which has none"
                    );
                    self.act(told, |actor| actor.node.account.violate(claim.told_at, what));
                }
            }
        }
    }

    /// Content has moved: this may be what a trouble waits for.
    pub(super) fn judge_progress(&mut self) {
        if self.awaited.is_empty() {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "a ratio")]
        let copies = self.node(0).account.sent as f64 / self.scene.plan.all_bytes() as f64;
        let awaited = std::mem::take(&mut self.awaited);
        let (due, awaited): (Vec<_>, Vec<_>) =
            awaited.into_iter().partition(|&trouble| match self.scene.plan.troubles[trouble].when {
                When::Sent(after) => copies >= after,
                When::Spread => self.is_spread(),
                When::After(_) => false,
            });
        self.awaited = awaited;
        due.into_iter().for_each(|trouble| self.trouble(trouble));
    }

    /// Whether the receivers together have had everything.
    fn is_spread(&mut self) -> bool {
        let mut spread = std::mem::take(&mut self.spread);
        for node in self.nodes().skip(1) {
            for (spread, copy) in spread.iter_mut().zip(&node.account.copies) {
                spread.resize(copy.grains.len(), 0);
                spread.iter_mut().zip(&copy.grains).for_each(|(spread, here)| *spread |= here);
            }
        }
        self.spread = spread;
        let had: u32 = self.spread.iter().flatten().map(|word| word.count_ones()).sum();
        let all: u64 = self.scene.files.iter().map(|file| file.layout.file_len().div_ceil(GRAIN_LEN)).sum();
        u64::from(had) == all
    }

    /// Something is due after the time by which all was to be silent.
    pub(super) fn judge_silence(&mut self, end: Moment) {
        if self.wanting() == 0 && !self.scene.plan.falls_silent() {
            return;
        }
        let next = self.shards.iter_mut().min_by_key(|shard| shard.next_at());
        if let Some((at, event)) = next.and_then(Shard::pop) {
            let what = format!("not silent: node {at}, {event:?}");
            self.violations.push((end, what));
        }
    }

    /// When nothing is due any more, or time is up.
    pub(super) fn judge_end(&mut self) {
        let transfers: usize = self.nodes().map(|node| node.fetching.len() + node.serving.len()).sum();
        let what = if self.wanting() > 0 {
            format!("{} copies are not complete{}", self.wanting(), self.what_is_lost())
        } else if transfers > 0 {
            format!("{transfers} transfers are left")
        } else {
            return;
        };
        self.violations.push((self.now, what));
    }

    /// Says so if some bytes are nowhere any more.
    fn what_is_lost(&self) -> String {
        let files = (0..self.scene.files.len()).filter(|&file| self.scene.plan.is_true(file));
        let lost: u64 = files.map(|file| self.scene.plan.size_of(file) - self.obtainable(file)).sum();
        if lost == 0 { String::new() } else { format!(": {lost} bytes are on no node that is there") }
    }

    /// Bytes of a file that honest nodes have that are there.
    fn obtainable(&self, file: usize) -> u64 {
        let len = self.scene.files[file].layout.file_len();
        let on =
            self.nodes().filter(|node| node.machine.is_some() && self.scene.conduct(node.at).is_honest());
        let copies: Vec<&[u64]> = on.map(|node| node.account.copies[file].grains.as_slice()).collect();
        let has = |&grain: &usize| copies.iter().any(|copy| copy[grain / 64] >> (grain % 64) & 1 == 1);
        let here = grains(0..len).filter(has);
        here.map(|grain| GRAIN_LEN.min(len - grain as u64 * GRAIN_LEN)).sum()
    }
}
