//! Nodes that go, come and come back, and a network that falls apart.

use std::time::Duration;

use super::{Turn, World};
use crate::swarm::{
    clock::Moment,
    event::Event,
    plan::{Conduct, Leaving, What},
};

/// Who greets a node whose process has ended notices in so many milliseconds, between two greetings.
const NOTICED_STOPPED_MS: (u32, u32) = (2000, 4000);
/// Who greets a node that does not answer gives it up so late.
const NOTICED_SILENT_MS: (u32, u32) = (5000, 8000);
/// A node that comes greets everybody.
const GREETS_MS: (u32, u32) = (0, 2000);
/// Who was not reached for a while is greeted rarely.
const GREETED_AGAIN_MS: (u32, u32) = (0, 10_000);

impl World {
    /// One of the plan's troubles comes.
    pub(super) fn trouble(&mut self, trouble: usize) {
        let Some(trouble) = self.scene.plan.troubles.get(trouble).copied() else { return };
        self.troubles += 1;
        match trouble.what {
            What::Leave { node, how, back } => self.leave(node, how, back),
            What::Join { node } => self.come(node),
            What::Part { first, lasts } => self.part(first, lasts),
            What::Publish { first } => self.publish(first..self.scene.files.len()),
        }
    }

    #[allow(
        clippy::redundant_closure_for_method_calls,
        reason = "a method is bound to one lifetime of its actor"
    )]
    fn leave(&mut self, at: usize, how: Leaving, back: Option<Duration>) {
        let member = &mut self.scene.members[at];
        if !std::mem::replace(&mut member.is_on, false) {
            return;
        }
        (member.absence, member.was_away) = (how, true);
        // The kernel of a node whose process ends says so to all who have a connection with it.
        let is_told = how == Leaving::Stopped;
        for (to, owed) in self.act(at, |actor| actor.go_off()) {
            self.act(to, |actor| actor.lose_source(owed, is_told));
        }
        for other in 0..self.scene.members.len() {
            self.act(other, |actor| actor.lose_peers(at..at + 1, is_told));
        }
        let noticed = match how {
            Leaving::Stopped => Some(NOTICED_STOPPED_MS),
            Leaving::Unplugged => Some(NOTICED_SILENT_MS),
            Leaving::Frozen => None,
        };
        if let Some(noticed) = noticed {
            for peer in self.scene.acquaintances(at) {
                let when = self.within(noticed);
                self.act(peer, |actor| actor.note(when, Event::Missed(at)));
            }
        }
        if let Some(back) = back {
            self.note(self.now.after(back), Turn::Return(at));
        }
    }

    /// A node comes, or comes back.
    pub(super) fn come(&mut self, at: usize) {
        if self.scene.members[at].is_on || self.scene.conduct(at) == Conduct::Dead {
            return;
        }
        self.start(at);
        for peer in self.scene.acquaintances(at) {
            self.meet(at, peer, GREETS_MS);
        }
        self.read_ledger(at);
    }

    fn part(&mut self, first: usize, lasts: Duration) {
        self.scene.parted.push(first);
        self.scene.members.iter_mut().for_each(|member| member.was_away = true);
        let nodes = self.scene.members.len();
        for at in 0..nodes {
            let across = if at < first { first..nodes } else { 0..first };
            for (to, owed) in self.act(at, |actor| actor.lose_peers(across, false)) {
                self.act(to, |actor| actor.lose_source(owed, false));
            }
        }
        for (here, there) in self.pairs_across(first) {
            for (at, peer) in [(here, there), (there, here)] {
                let when = self.within(NOTICED_SILENT_MS);
                self.act(at, |actor| actor.note(when, Event::Missed(peer)));
            }
        }
        self.note(self.now.after(lasts), Turn::Heal(first));
    }

    pub(super) fn heal(&mut self, first: usize) {
        let parted = &mut self.scene.parted;
        let Some(at) = parted.iter().position(|&parted| parted == first) else { return };
        parted.swap_remove(at);
        for (here, there) in self.pairs_across(first) {
            self.meet(here, there, GREETED_AGAIN_MS);
        }
    }

    fn pairs_across(&self, first: usize) -> Vec<(usize, usize)> {
        let acquaintances = |here| self.scene.acquaintances(here).into_iter().map(move |there| (here, there));
        (0..first).flat_map(acquaintances).filter(|&(_, there)| there >= first).collect()
    }

    /// Two nodes hear of each other.
    fn meet(&mut self, here: usize, there: usize, within_ms: (u32, u32)) {
        let when = self.within(within_ms);
        self.act(here, |actor| actor.note(when, Event::Met(there)));
        self.act(there, |actor| actor.note(when, Event::Met(here)));
    }

    fn within(&mut self, (low_ms, high_ms): (u32, u32)) -> Moment {
        let ms = self.dice.number(low_ms, high_ms);
        self.now.after(Duration::from_millis(ms.into()))
    }
}
