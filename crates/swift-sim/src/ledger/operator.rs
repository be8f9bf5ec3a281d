//! The one who changes who is a member and who validates, one change at a time.
//!
//! It looks at the furthest honest chain and keeps what the protocol assumes: the liar never has a third of the weight.
//! Until the outcome of a change is known it makes no other.

use std::time::Duration;

use swift_chain::{Action, LedgerStore, NodeChange, NodeId, RequestId, Role, StateView, ValidatorSet};

use super::{
    census::Event,
    clients::Asker,
    machine::signs_from,
    world::{Happening, World, admission},
};

/// How often it looks.
const LOOKS_EVERY: Duration = Duration::from_millis(1500);
/// How long it waits for an answer before it asks the same node again.
const PATIENCE: Duration = Duration::from_secs(8);
/// Validators it does not go beyond.
const VALIDATORS_MAX: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Operator {
    wish: Option<Wish>,
    /// How many newcomers it has taken in.
    taken_in: usize,
}

#[derive(Debug)]
struct Wish {
    action: Action,
    via: usize,
    request: RequestId,
    asked_at: Duration,
    what: Change,
}

/// What a wish is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Promotion,
    Demotion,
    Reweighting,
    Removal,
    Joining(usize),
}

impl World {
    pub(crate) fn operator_turn(&mut self) {
        if !self.is_stormy {
            return;
        }
        self.after(LOOKS_EVERY, Happening::Operator);
        let (now, wish) = (self.now, self.operator.wish.as_ref());
        match wish {
            Some(wish) if now >= wish.asked_at + PATIENCE => {
                let (action, via) = (wish.action.clone(), wish.via);
                self.asked.remove(&wish.request);
                let request = self.request(Asker::Operator, via, action);
                if let Some(wish) = &mut self.operator.wish {
                    (wish.request, wish.asked_at) = (request, now);
                }
            }
            Some(_) => {}
            None if self.dice.chance(400) => {
                if let Some((via, action, what)) = self.think_of_change() {
                    let request = self.request(Asker::Operator, via, action.clone());
                    self.operator.wish = Some(Wish { action, via, request, asked_at: now, what });
                }
            }
            None => {}
        }
    }

    pub(crate) fn answer_operator(&mut self, request: RequestId, is_done: bool) {
        let wish = self.operator.wish.take_if(|wish| wish.request == request);
        let Some(Wish { via, what, .. }) = wish.filter(|_| is_done) else { return };
        let event = match what {
            Change::Promotion => Event::Promotion,
            Change::Demotion => Event::Demotion,
            Change::Reweighting => Event::Reweighting,
            Change::Removal => Event::Removal,
            Change::Joining(newcomer) => {
                self.after(Duration::from_millis(5), Happening::Joining { newcomer, via });
                Event::Joining
            }
        };
        self.census.count(event);
    }

    fn think_of_change(&mut self) -> Option<(usize, Action, Change)> {
        let furthest = self.furthest();
        let state = self.machines[furthest].ledger()?.memory_state().clone();
        let validators = state.validators().ok()?;
        let members: Vec<NodeId> = state.members().map(|(node, _)| *node).collect();
        let honest: Vec<NodeId> = members.into_iter().filter(|node| self.is_honest(node)).collect();
        let deciding: Vec<NodeId> =
            honest.iter().copied().filter(|node| validators.weight(node) > 0).collect();
        let admins = honest.iter().filter(|node| {
            state.member(node).is_ok_and(|member| member.is_some_and(|one| one.role == Role::Admin))
        });
        let admins: Vec<usize> = admins.filter_map(|node| self.places.get(node)?.first().copied()).collect();
        let via = self.dice.pick(&admins)?;
        let others = |nodes: &[NodeId]| -> Vec<NodeId> {
            nodes.iter().copied().filter(|node| *node != self.machines[via].id).collect()
        };
        let (other_honest, other_deciding) = (others(&honest), others(&deciding));
        let weight = self.dice.number(1, 3);
        let weigh = |node, weight| Action::UpdateNode { node, change: NodeChange::ValidatorWeight(weight) };
        let (action, what) = match self.dice.index(10) {
            0..3 => {
                let idle: Vec<_> =
                    honest.iter().copied().filter(|node| validators.weight(node) == 0).collect();
                let node = self.dice.pick(&idle).filter(|_| validators.len() < VALIDATORS_MAX)?;
                (weigh(node, weight), Change::Promotion)
            }
            3..6 => {
                let node = self.dice.pick(&deciding).filter(|_| deciding.len() > 1)?;
                (weigh(node, 0), Change::Demotion)
            }
            6..8 => {
                let node = self.dice.pick(&deciding)?;
                (weigh(node, weight), Change::Reweighting)
            }
            8 => {
                let pool = if self.dice.chance(500) { &other_deciding } else { &other_honest };
                let node = self.dice.pick(pool).filter(|_| honest.len() > 2)?;
                (Action::RemoveNode { node }, Change::Removal)
            }
            _ => {
                let newcomer = self.next_newcomer()?;
                let (inviter, joiner) = (&self.machines[via].key, &self.machines[newcomer].key);
                let (network, unique) = (self.genesis.id(), (newcomer, self.dice.bytes()));
                let action = admission(&network, inviter, joiner, Role::Publisher, unique).ok()?;
                (action, Change::Joining(newcomer))
            }
        };
        self.keeps_the_silent_few(&action, &validators).then_some((via, action, what))
    }

    fn next_newcomer(&mut self) -> Option<usize> {
        let first = self.plan.validators + self.plan.followers + usize::from(self.plan.has_forger);
        let newcomer = first + self.operator.taken_in;
        (self.operator.taken_in < self.plan.newcomers).then(|| {
            self.operator.taken_in += 1;
            newcomer
        })
    }

    /// Whether the others can decide without this node at every height from one on, also after what is being changed:
    /// then nothing is lost with its disk that they do not hold.
    pub(crate) fn can_do_without(&self, at: usize, from_height: u64) -> bool {
        let Some(ledger) = self.machines[self.furthest()].ledger().filter(|_| self.operator.wish.is_none())
        else {
            return false;
        };
        let next = ledger.blocks().len() as u64 + 1;
        let (me, is_counted) = (self.machines[at].id, self.is_silent(at));
        (from_height.min(next)..=next).all(|height| {
            ledger.validators_at(height).is_ok_and(|validators| {
                let own = if is_counted { 0 } else { u64::from(validators.weight(&me)) };
                (self.silent_weight(&validators) + own) * 3 < validators.total_weight()
            })
        })
    }

    /// Whether it came from a backup and may not sign yet.
    fn is_silent(&self, at: usize) -> bool {
        let furthest =
            self.machines[self.furthest()].ledger().map_or(0, |ledger| ledger.blocks().len() as u64);
        self.machines[at].ledger().is_some_and(|ledger| signs_from(ledger) > furthest + 1)
    }

    /// Weight of those on whom nobody can count: the liar, and who came from a backup.
    fn silent_weight(&self, validators: &ValidatorSet) -> u64 {
        let liar = self.liar.as_ref().map_or(0, |liar| validators.weight(&liar.id()));
        let held =
            (0..self.machines.len()).filter(|at| self.machines[*at].is_honest() && self.is_silent(*at));
        let held: u64 = held.map(|at| u64::from(validators.weight(&self.machines[at].id))).sum();
        u64::from(liar) + held
    }

    /// Whether those on whom nobody can count have less than a third of the weight after a change.
    fn keeps_the_silent_few(&self, action: &Action, validators: &ValidatorSet) -> bool {
        let after = match action {
            Action::UpdateNode { node, change: NodeChange::ValidatorWeight(weight) } => {
                validators.with_weight(*node, *weight)
            }
            Action::RemoveNode { node } => validators.with_weight(*node, 0),
            _ => return true,
        };
        let Ok(after) = after else { return false };
        !after.is_empty() && self.silent_weight(&after) * 3 < after.total_weight()
    }
}
