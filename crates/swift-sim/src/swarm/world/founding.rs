//! How a run begins: who is there, whom each knows, and which files they learn of.

use std::{thread, time::Duration};

use swift_chunks::ChunkLayout;

use super::{Turn, World, showing::Shown};
use crate::{
    dice::Dice,
    swarm::{
        clock::{Agenda, Moment},
        event::Event,
        node::{Node, file_id, node_id},
        plan::{Conduct, Leaving, Plan, PlanError, What, When},
        scene::{File, Member, Scene},
        shard::Shard,
    },
};

impl World {
    /// Nodes that are up, and files that nobody has heard of.
    pub(crate) fn found(plan: &Plan) -> Result<Self, PlanError> {
        plan.check()?;
        let mut dice = Dice::new(plan.seed);
        // First of all: what a node leaves to chance follows from the seed and its place, and from nothing else.
        let chances = (0..plan.nodes).map(|_| Dice::new(dice.bits())).collect();
        let mut files = Vec::with_capacity(plan.files);
        for at in 0..plan.files {
            let size = plan.size_of(at);
            let layout = ChunkLayout::new(size).map_err(|_| PlanError::Files { files: plan.files, size })?;
            files.push(File { id: file_id(at, &mut dice), layout, is_published: false });
        }
        let members = members(plan, &mut dice);
        let spread = files.iter().map(|_| Vec::new()).collect();
        let scene = Scene::new(plan, files, members);
        let shards = shards(&scene, chances);
        let counted = (0..plan.nodes).filter(|&node| plan.is_counted(node)).count();
        let wanted = counted * (0..plan.files).filter(|&file| plan.is_true(file)).count();
        let mut world = Self {
            now: Moment::ZERO,
            scene,
            shards,
            agenda: Agenda::default(),
            noted: 0,
            turned: 0,
            dice,
            wanted,
            troubles: 0,
            awaited: Vec::new(),
            spread,
            // Everybody is introduced to everybody.
            busy: u64::MAX,
            violations: Vec::new(),
            shown: Shown::default(),
        };
        for at in 0..plan.nodes {
            if world.scene.members[at].is_there_first && world.scene.conduct(at) != Conduct::Dead {
                world.start(at);
                world.act(at, |actor| actor.note(Moment::ZERO, Event::Begin));
            }
        }
        Ok(world)
    }

    /// A node begins a life.
    #[allow(
        clippy::redundant_closure_for_method_calls,
        reason = "a method is bound to one lifetime of its actor"
    )]
    pub(super) fn start(&mut self, at: usize) {
        let member = &mut self.scene.members[at];
        member.life += 1;
        member.is_on = true;
        self.act(at, |actor| actor.start());
    }

    /// The files of the beginning are published, and all trouble is put down.
    pub(super) fn open(&mut self) {
        let troubles = self.scene.plan.troubles.clone();
        let later = troubles.iter().find_map(|trouble| match trouble.what {
            What::Publish { first } => Some(first),
            _ => None,
        });
        self.publish(0..later.unwrap_or(self.scene.files.len()));
        for (at, trouble) in troubles.iter().enumerate() {
            match trouble.when {
                When::After(after) => self.note(Moment::ZERO.after(after), Turn::Trouble(at)),
                When::Sent(_) | When::Spread => self.awaited.push(at),
            }
        }
        if self.scene.plan.timeline.is_some() {
            self.note(Moment::ZERO, Turn::Show);
        }
    }

    /// The publisher knows these files now, the others as fast as word of them travels.
    pub(super) fn publish(&mut self, files: std::ops::Range<usize>) {
        for file in files {
            self.scene.files[file].is_published = true;
            self.act(0, |actor| actor.note(actor.now, Event::Learn(file)));
            for node in 1..self.scene.members.len() {
                let learns = self.now.plus(self.scene.delay_ns).after(self.lateness());
                self.act(node, |actor| actor.note(learns, Event::Learn(file)));
            }
        }
    }

    /// How much later than the first a node learns of a file.
    fn lateness(&mut self) -> Duration {
        let spread = u32::try_from(self.scene.plan.spread.as_micros()).unwrap_or(u32::MAX);
        Duration::from_micros(self.dice.number(0, spread).into())
    }

    /// A node that comes reads the ledger, and learns of all that was published.
    pub(super) fn read_ledger(&mut self, at: usize) {
        for file in 0..self.scene.files.len() {
            if self.scene.files[file].is_published {
                let reading_ns = self.scene.handshake_ns + 2 * self.scene.delay_ns;
                let learns = self.now.plus(reading_ns).after(self.lateness());
                self.act(at, |actor| actor.note(learns, Event::Learn(file)));
            }
        }
    }
}

fn members(plan: &Plan, dice: &mut Dice) -> Vec<Member> {
    let member = |at| Member {
        id: node_id(at, dice),
        conduct: plan.conduct(at),
        is_there_first: !plan.joins_late(at),
        known: Vec::new(),
        rate: plan.uplink(at).rate(),
        is_on: false,
        life: 0,
        absence: Leaving::Stopped,
        was_away: false,
    };
    let mut members: Vec<Member> = (0..plan.nodes).map(member).collect();
    let known = plan.known.unwrap_or(plan.nodes).min(plan.nodes - 1);
    if known < plan.nodes - 1 {
        for at in 0..plan.nodes {
            for _ in 0..known.div_ceil(2) {
                let other = dice.index(plan.nodes);
                if other != at {
                    members[at].known.push(other);
                    members[other].known.push(at);
                }
            }
        }
    }
    members
}

/// The nodes, dealt out to as many shards as there are threads to run them.
fn shards(scene: &Scene, chances: Vec<Dice>) -> Vec<Shard> {
    let threads = scene.plan.threads.or_else(|| thread::available_parallelism().ok());
    let shards = threads.map_or(1, Into::into).min(chances.len());
    let mut dealt: Vec<Vec<Node>> = (0..shards).map(|_| Vec::new()).collect();
    for (at, chance) in chances.into_iter().enumerate() {
        dealt[at % shards].push(Node::new(at, scene, chance));
    }
    dealt.into_iter().map(|nodes| Shard::new(nodes, shards)).collect()
}
