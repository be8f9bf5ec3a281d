//! A node's life: it begins, meets others, learns of files, and goes off.

use swift_p2p::swarm::{Config, Input};

use super::Actor;
use crate::swarm::{
    clock::Moment,
    envelope::{Content, Envelope},
    machine::{self, Kept, Machine},
    plan::Conduct,
    slab::Key,
    transfer::Stage,
};

/// Among so many members everyone is greeted before a connection has been idle for too long: nodes greet 16 in a
/// second, and keep an idle connection for 15 seconds.
const GREETED_OFTEN: usize = 16 * 15;

impl Actor<'_> {
    /// The node begins a life: it has its disk and nothing else.
    pub(crate) fn start(&mut self) {
        let seed = self.node.dice.bits();
        let member = &self.scene.members[self.node.at];
        let mut config = Config { incarnation: member.life, ..Config::default() };
        for setting in &self.scene.plan.settings {
            // They were tried when they were read.
            let _ = setting.apply(&mut config);
        }
        self.node.machine = Some(Machine::new(member.id, config, seed));
    }

    /// The run begins: all whom the node knows, and who are there, are online. Some it has greeted a moment ago.
    pub(super) fn begin(&mut self) {
        let often = GREETED_OFTEN.max(self.scene.members.len());
        for peer in self.scene.acquaintances(self.node.at) {
            let member = &self.scene.members[peer];
            if member.is_there_first {
                if self.node.dice.index(often) < GREETED_OFTEN {
                    self.node.connections.greeted(peer);
                }
                self.input(Input::PeerOnline { peer: member.id });
            }
        }
    }

    /// The node goes off: everything is gone but what is on the disk. Returns what it owes to others: who they are, and
    /// what they call it.
    pub(crate) fn go_off(&mut self) -> Vec<(usize, Key)> {
        let Some(machine) = self.node.machine.take() else { return Vec::new() };
        for (at, file) in self.scene.files.iter().enumerate() {
            if let Some(kept) = machine.kept(&file.id) {
                self.node.account.copies[at].reset(&kept);
                self.node.kept.insert(at, kept);
            }
        }
        let unsent = self.node.up.clear();
        let refused = unsent.iter().filter_map(|letter| match **letter {
            Envelope { to, content: Content::Failed(incoming, _), .. } => Some((to, incoming)),
            _ => None,
        });
        let sending = self.node.serving.iter().map(|(_, outgoing)| outgoing);
        let sending = sending.filter(|outgoing| outgoing.stage != Stage::Severed);
        let owed = sending.map(|outgoing| (outgoing.to, outgoing.incoming)).chain(refused).collect();
        self.node.wakes_at = Moment::NEVER;
        self.node.fetching.clear();
        self.node.serving.clear();
        self.node.connections.clear();
        owed
    }

    pub(super) fn learn(&mut self, at: usize) {
        let file = &self.scene.files[at];
        let conduct = self.scene.conduct(self.node.at);
        if conduct == Conduct::Bystander {
            return;
        }
        let kept = match self.node.kept.get(&at) {
            Some(kept) => kept.clone(),
            None if self.node.at == 0 || conduct.claims_all() => Kept::everything(file.layout),
            None => Kept::nothing(file.layout),
        };
        if self.node.at == 0 {
            self.node.account.copies[at].reset(&kept);
        }
        self.input(machine::file_added(file.id, self.scene.id(0), kept));
    }

    /// The node has not reached another for a while. Who is back before that is noticed was never gone.
    pub(super) fn missed(&mut self, peer: usize) {
        if !self.scene.is_reachable(self.node.at, peer) {
            self.input(Input::PeerOffline { peer: self.scene.id(peer) });
        }
    }

    pub(super) fn met(&mut self, peer: usize) {
        if self.scene.is_reachable(self.node.at, peer) {
            self.input(Input::PeerOnline { peer: self.scene.id(peer) });
        }
    }
}
