//! How a run begins, and every node's life in it: whom it knows, and which files it learns of.

use std::time::Duration;

use swift_chunks::ChunkLayout;
use swift_p2p::swarm::{Config, Input};

use super::{Due, File, World, place, showing::Shown};
use crate::{
    dice::Dice,
    swarm::{
        books::Books,
        clock::{Agenda, Moment, nanos},
        machine::{self, Kept, Machine},
        node::{Node, file_id, handshake_ns},
        plan::{Conduct, Plan, PlanError, What, When},
        slab::Slab,
    },
};

/// Among so many members everyone is greeted before a connection has been idle for too long: nodes greet 16 in a
/// second, and keep an idle connection for 15 seconds.
const GREETED_OFTEN: usize = 16 * 15;

impl World {
    /// Nodes that are up and know each other, and nothing else.
    pub(crate) fn found(plan: &Plan) -> Result<Self, PlanError> {
        plan.check()?;
        let mut dice = Dice::new(plan.seed);
        let mut files = Vec::with_capacity(plan.files);
        for at in 0..plan.files {
            let size = plan.size_of(at);
            let layout = ChunkLayout::new(size).map_err(|_| PlanError::Files { files: plan.files, size })?;
            files.push(File { id: file_id(at, &mut dice), layout, is_published: false });
        }
        let nodes = (0..plan.nodes).map(|at| Node::new(at, plan, &mut dice)).collect();
        let layouts = files.iter().map(|file| file.layout).collect();
        let mut world = Self {
            plan: plan.clone(),
            now: Moment::ZERO,
            agenda: Agenda::default(),
            dice,
            nodes,
            files,
            transfers: Slab::default(),
            envelopes: Slab::default(),
            books: Books::new(plan, layouts),
            parted: Vec::new(),
            awaited: Vec::new(),
            events: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            delay_ns: nanos(plan.delay),
            queue_ns: nanos(plan.queue),
            handshake_ns: handshake_ns(plan),
            shown: Shown::default(),
        };
        for at in 0..plan.nodes {
            if world.is_there(at) && plan.conduct(at) != Conduct::Dead {
                world.start(at);
            }
        }
        world.introduce();
        Ok(world)
    }

    /// Whether a node has been a member from the beginning.
    fn is_there(&self, at: usize) -> bool {
        !self.plan.joins_late(at)
    }

    /// A node begins a life: it has its disk and nothing else.
    pub(super) fn start(&mut self, at: usize) {
        let seed = self.dice.bits();
        let node = &mut self.nodes[at];
        node.life += 1;
        let mut config = Config { incarnation: node.life, ..Config::default() };
        for setting in &self.plan.settings {
            // They were tried when they were read.
            let _ = setting.apply(&mut config);
        }
        node.machine = Some(Machine::new(node.id, config, seed));
    }

    /// Everybody, or as many as the plan says, can reach each other.
    fn introduce(&mut self) {
        let nodes = self.nodes.len();
        let known = self.plan.known.unwrap_or(nodes).min(nodes - 1);
        if known == nodes - 1 {
            for at in 0..nodes {
                (0..nodes).filter(|&other| other != at).for_each(|other| self.introduce_to(at, other));
            }
            return;
        }
        for at in 0..nodes {
            for _ in 0..known.div_ceil(2) {
                let other = self.dice.index(nodes);
                if other != at {
                    self.nodes[at].known.push(other);
                    self.nodes[other].known.push(at);
                    self.introduce_to(at, other);
                    self.introduce_to(other, at);
                }
            }
        }
    }

    fn introduce_to(&mut self, at: usize, peer: usize) {
        if self.is_there(peer) {
            if self.dice.index(GREETED_OFTEN.max(self.nodes.len())) < GREETED_OFTEN {
                self.nodes[at].greeted(peer);
            }
            let peer = self.nodes[peer].id;
            self.input(at, Input::PeerOnline { peer });
        }
    }

    /// Whom a node knows.
    pub(super) fn acquaintances(&self, at: usize) -> Vec<usize> {
        let known = &self.nodes[at].known;
        if known.is_empty() {
            (0..self.nodes.len()).filter(|&other| other != at).collect()
        } else {
            known.clone()
        }
    }

    /// The files of the beginning are published, and all trouble is put down.
    pub(super) fn open(&mut self) {
        let later = self.plan.troubles.iter().find_map(|trouble| match trouble.what {
            What::Publish { first } => Some(first),
            _ => None,
        });
        self.publish(0..later.unwrap_or(self.files.len()));
        for (at, trouble) in self.plan.troubles.clone().into_iter().enumerate() {
            match trouble.when {
                When::After(after) => {
                    self.agenda.note(Moment::ZERO.after(after), Due::Trouble(place(at)));
                }
                When::Sent(_) | When::Spread => self.awaited.push(at),
            }
        }
        if self.plan.timeline.is_some() {
            self.agenda.note(Moment::ZERO, Due::Show);
        }
    }

    /// The publisher knows these files now, the others as fast as word of them travels.
    pub(super) fn publish(&mut self, files: std::ops::Range<usize>) {
        for file in files {
            self.files[file].is_published = true;
            self.agenda.note(self.now, Due::Learn(0, place(file)));
            for node in 1..self.nodes.len() {
                let late = self.lateness();
                let at = self.now.plus(self.delay_ns).after(late);
                self.agenda.note(at, Due::Learn(place(node), place(file)));
            }
        }
    }

    /// How much later than the first a node learns of a file.
    fn lateness(&mut self) -> Duration {
        let spread = u32::try_from(self.plan.spread.as_micros()).unwrap_or(u32::MAX);
        Duration::from_micros(self.dice.number(0, spread).into())
    }

    /// A node that comes reads the ledger, and learns of all that was published.
    pub(super) fn read_ledger(&mut self, at: usize) {
        for file in 0..self.files.len() {
            if self.files[file].is_published {
                let late = self.lateness();
                let learns = self.now.plus(self.handshake_ns + 2 * self.delay_ns).after(late);
                self.agenda.note(learns, Due::Learn(place(at), place(file)));
            }
        }
    }

    pub(super) fn learn(&mut self, at: usize, file: usize) {
        let (id, layout) = (self.files[file].id, self.files[file].layout);
        let conduct = self.plan.conduct(at);
        if conduct == Conduct::Bystander {
            return;
        }
        let kept = match self.nodes[at].kept.get(&file) {
            Some(kept) => kept.clone(),
            None if at == 0 || conduct.claims_all() => Kept::everything(layout),
            None => Kept::nothing(layout),
        };
        if at == 0 {
            self.books.keep(at, file, &kept);
        }
        let publisher = self.nodes[0].id;
        self.input(at, machine::file_added(id, publisher, kept));
    }
}
