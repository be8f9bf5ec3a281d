//! Nodes that go, come and come back, and a network that falls apart.

use std::time::Duration;

use swift_p2p::swarm::{FetchFailure, Input};

use super::{Due, File, World, carrying::Content, place};
use crate::swarm::{
    clock::Moment,
    plan::{Conduct, Leaving, What, When},
    slab::Key,
    transfer::Stage,
};

/// Who greets a node whose process has ended notices in so many milliseconds, between two greetings.
const NOTICED_STOPPED_MS: (u32, u32) = (2000, 4000);
/// Who greets a node that does not answer gives it up so late.
const NOTICED_SILENT_MS: (u32, u32) = (5000, 8000);
/// A node that comes greets everybody.
const GREETS_MS: (u32, u32) = (0, 2000);
/// Who was not reached for a while is greeted rarely.
const GREETED_AGAIN_MS: (u32, u32) = (0, 10_000);
/// So late the kernel tells a server that nothing it sends is acknowledged.
const TCP_PATIENCE: Duration = Duration::from_secs(15);

impl World {
    /// One of the plan's troubles comes.
    pub(super) fn trouble(&mut self, trouble: usize) {
        let Some(trouble) = self.plan.troubles.get(trouble).copied() else { return };
        self.books.troubles += 1;
        match trouble.what {
            What::Leave { node, how, back } => self.leave(node, how, back),
            What::Join { node } => self.come(node),
            What::Part { first, lasts } => self.part(first, lasts),
            What::Publish { first } => self.publish(first..self.files.len()),
        }
    }

    /// Content has moved: this may be what a trouble waits for.
    pub(super) fn judge_progress(&mut self) {
        if self.awaited.is_empty() {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "a ratio")]
        let copies = self.books.nodes[0].sent as f64 / self.plan.all_bytes() as f64;
        let is_due = |&trouble: &usize| match self.plan.troubles[trouble].when {
            When::Sent(after) => copies >= after,
            When::Spread => self.books.is_spread(),
            When::After(_) => false,
        };
        let due: Vec<usize> = self.awaited.iter().copied().filter(is_due).collect();
        self.awaited.retain(|trouble| !due.contains(trouble));
        due.into_iter().for_each(|trouble| self.trouble(trouble));
    }

    fn leave(&mut self, at: usize, how: Leaving, back: Option<Duration>) {
        let Some(machine) = self.nodes[at].go_off(how) else { return };
        for (file, File { id, .. }) in self.files.iter().enumerate() {
            if let Some(kept) = machine.kept(id) {
                self.books.keep(at, file, &kept);
                self.nodes[at].kept.insert(file, kept);
            }
        }
        let is_told = how == Leaving::Stopped;
        self.drop_unsent_letters(at, is_told);
        self.sever(|from, to| from == at || to == at, is_told);
        self.nodes.iter_mut().for_each(|node| node.disconnect(at));
        let noticed = match how {
            Leaving::Stopped => Some(NOTICED_STOPPED_MS),
            Leaving::Unplugged => Some(NOTICED_SILENT_MS),
            Leaving::Frozen => None,
        };
        if let Some(noticed) = noticed {
            for peer in self.acquaintances(at) {
                let when = self.within(noticed);
                self.agenda.note(when, Due::Missed(place(peer), place(at)));
            }
        }
        if let Some(back) = back {
            self.agenda.note(self.now.after(back), Due::Return(place(at)));
        }
    }

    /// A node comes, or comes back.
    pub(super) fn come(&mut self, at: usize) {
        if self.nodes[at].machine.is_some() || self.plan.conduct(at) == Conduct::Dead {
            return;
        }
        self.start(at);
        for peer in self.acquaintances(at) {
            let when = self.within(GREETS_MS);
            self.agenda.note(when, Due::Met(place(peer), place(at)));
            self.agenda.note(when, Due::Met(place(at), place(peer)));
        }
        self.read_ledger(at);
    }

    fn part(&mut self, first: usize, lasts: Duration) {
        self.parted.push(first);
        self.nodes.iter_mut().for_each(|node| node.was_away = true);
        self.sever(|from, to| (from < first) != (to < first), false);
        for (here, there) in self.pairs_across(first) {
            for (at, peer) in [(here, there), (there, here)] {
                self.nodes[at].disconnect(peer);
                let when = self.within(NOTICED_SILENT_MS);
                self.agenda.note(when, Due::Missed(place(at), place(peer)));
            }
        }
        self.agenda.note(self.now.after(lasts), Due::Heal(place(first)));
    }

    pub(super) fn heal(&mut self, first: usize) {
        let Some(parted) = self.parted.iter().position(|&parted| parted == first) else { return };
        self.parted.swap_remove(parted);
        for (here, there) in self.pairs_across(first) {
            let when = self.within(GREETED_AGAIN_MS);
            self.agenda.note(when, Due::Met(place(here), place(there)));
            self.agenda.note(when, Due::Met(place(there), place(here)));
        }
    }

    fn pairs_across(&self, first: usize) -> Vec<(usize, usize)> {
        let all =
            (0..first).flat_map(|here| self.acquaintances(here).into_iter().map(move |there| (here, there)));
        all.filter(|&(_, there)| there >= first).collect()
    }

    /// A node has not reached another for a while. Who is back before that is noticed was never gone.
    pub(super) fn missed(&mut self, at: usize, peer: usize) {
        if !self.is_reachable(at, peer) {
            let peer = self.nodes[peer].id;
            self.input(at, Input::PeerOffline { peer });
        }
    }

    pub(super) fn met(&mut self, at: usize, peer: usize) {
        if self.is_reachable(at, peer) {
            let peer = self.nodes[peer].id;
            self.input(at, Input::PeerOnline { peer });
        }
    }

    pub(super) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.parted.iter().any(|&first| (a < first) != (b < first))
    }

    fn is_reachable(&self, at: usize, peer: usize) -> bool {
        self.nodes[peer].machine.is_some() && !self.is_cut(at, peer)
    }

    fn within(&mut self, (low_ms, high_ms): (u32, u32)) -> Moment {
        let ms = self.dice.number(low_ms, high_ms);
        self.now.after(Duration::from_millis(ms.into()))
    }

    /// Content does not move between some nodes any more. If their kernels say so they hear of it at once, else the
    /// source does when it loses patience, and the receiver never: its machine must notice.
    fn sever(&mut self, is_severed: impl Fn(usize, usize) -> bool, is_told: bool) {
        let severed = self.transfers.find(|transfer| {
            is_severed(transfer.from, transfer.to)
                && !matches!(transfer.stage, Stage::Requested | Stage::Severed)
        });
        for key in severed {
            self.sever_one(key, is_told);
        }
    }

    pub(super) fn sever_one(&mut self, key: Key, is_told: bool) {
        let Some(transfer) = self.transfers.get_mut(key) else { return };
        transfer.stage = Stage::Severed;
        let (from, to) = (transfer.from, transfer.to);
        let is_on = |at: usize| self.nodes[at].machine.is_some();
        match (is_on(from), is_on(to)) {
            (true, _) => {
                let when = if is_told { self.now.plus(self.delay_ns) } else { self.now.after(TCP_PATIENCE) };
                self.tell(when, to, from, Content::Close(key));
            }
            (false, true) if is_told => {
                let failed = Content::Failed(key, FetchFailure::Unreachable);
                self.tell(self.now.plus(self.delay_ns), from, to, failed);
            }
            (false, _) => _ = self.transfers.remove(key),
        }
    }
}
