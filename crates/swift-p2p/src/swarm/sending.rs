//! The sender's half: credit, offers, what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use swift_chain::NodeId;
use swift_chunks::FileId;

use super::file::{FileState, Standing, View};
use super::input::{ExchangeId, SendOutcome};
use super::message::{Answer, Confirm, Interest, OFFER_UNITS_MAX, Offer, Stamp, Verdict};
use super::output::{OffenceKind, Output};
use super::policy::{PeerChoice, SenderRole, UnitChoice, doubled};
use super::time::Time;
use super::unit::Unit;
use super::{Random, Swarm};

/// Units among which one is chosen: enough for rarity to mean something, few enough to look at every time.
const SAMPLE_LEN: usize = 64;
/// Sends that are kept book of, asked for or not.
const SENDS_MAX: usize = 1024;

/// Everything that is on its way from here.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// One place of the credit each.
    pub(super) sends: BTreeMap<(NodeId, FileId, Unit), Send>,
    /// Offers that are not answered.
    exchanges: BTreeMap<ExchangeId, Exchange>,
    next_exchange: u64,
    /// Files that some peer wants more of.
    pub(super) lackers: BTreeSet<FileId>,
    /// The file that was offered last: the next in order is next.
    last_file: Option<FileId>,
    /// When a peer that cannot be offered anything now can be again.
    pub(super) retry_at: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Send {
    pub(super) stage: Stage,
    /// The place is free again then.
    pub(super) deadline: Time,
}

/// How far a unit is on its way out. A send is in exactly one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Offered, not answered.
    Offered,
    /// Accepted at this moment of the receiver's, not requested.
    Accepted(Stamp),
    /// Being served.
    Running,
    /// Being served without an open offer: its end frees it.
    RunningUnasked,
    /// All bytes went out, not confirmed.
    Sent,
}

#[derive(Debug)]
struct Exchange {
    to: NodeId,
    file: FileId,
    units: Vec<Unit>,
    sent_at: Time,
}

impl Swarm {
    /// Fills the credit with offers, file after file in turn.
    pub(super) fn pump_offers(&mut self) {
        self.sending.retry_at = None;
        let mut batches: BTreeMap<(NodeId, FileId), Vec<Unit>> = BTreeMap::new();
        while self.sending.sends.len() < self.policy.credit() {
            let Some((to, file, unit)) = self.next_offer() else { break };
            let wait = self.policy.answer_timeout(self.peers.get(&to).and_then(|peer| peer.round_trip));
            let send = Send { stage: Stage::Offered, deadline: self.now + wait };
            self.sending.sends.insert((to, file, unit), send);
            self.sending.last_file = Some(file);
            if let Some(state) = self.files.get_mut(&file) {
                state.count_sent(unit);
            }
            batches.entry((to, file)).or_default().push(unit);
        }
        for ((to, file), units) in batches {
            for units in units.chunks(OFFER_UNITS_MAX) {
                let exchange = ExchangeId(self.sending.next_exchange);
                self.sending.next_exchange += 1;
                let numbers = units.iter().map(|unit| unit.number()).collect();
                let offer = Offer { file, units: numbers, map: self.map_for(to, file) };
                let open = Exchange { to, file, units: units.to_vec(), sent_at: self.now };
                self.sending.exchanges.insert(exchange, open);
                self.outputs.push_back(Output::Offer { to, exchange, offer });
            }
        }
    }

    /// The next file in turn of which some peer can be offered something.
    fn next_offer(&mut self) -> Option<(NodeId, FileId, Unit)> {
        let lackers = &self.sending.lackers;
        let after = self.sending.last_file.map_or(Unbounded, Excluded);
        let in_turn: Vec<FileId> = lackers.range((after, Unbounded)).chain(lackers).copied().collect();
        in_turn.into_iter().take(self.sending.lackers.len()).find_map(|file| {
            let (to, unit) = self.next_of_file(file)?;
            Some((to, file, unit))
        })
    }

    fn next_of_file(&mut self, file: FileId) -> Option<(NodeId, Unit)> {
        let state = self.files.get(&file)?;
        let (mut peers, mut choices) = (Vec::new(), Vec::new());
        for (&peer, view) in &state.views {
            let Some(known) = self.peers.get(&peer) else { continue };
            if view.interest != Interest::Wanted || state.standing == Standing::Stopped {
                continue;
            }
            let ready_at = known.busy_until.max(view.declined_until);
            if ready_at <= self.now {
                let open_sends = self.sending.sends.keys().filter(|(to, ..)| *to == peer).count();
                peers.push(peer);
                choices.push(PeerChoice { open_sends });
            } else if state.held.difference(&view.held).next().is_some() {
                let sooner = self.sending.retry_at.is_none_or(|at| ready_at < at);
                self.sending.retry_at = if sooner { Some(ready_at) } else { self.sending.retry_at };
            }
        }
        while let Some(at) = self.policy.choose_peer(&choices, &mut self.random) {
            choices.swap_remove(at);
            let peer = peers.swap_remove(at);
            let Some(view) = state.views.get(&peer) else { continue };
            let is_open = |unit| self.sending.sends.contains_key(&(peer, file, unit));
            let units = lacking(state, view, is_open, &mut self.random);
            let offers: Vec<UnitChoice> = units.iter().map(|&unit| weigh(state, unit)).collect();
            let role = if state.held.is_full() { SenderRole::Source } else { SenderRole::Relay };
            if let Some(at) = self.policy.choose_unit(&offers, role, &mut self.random) {
                return units.get(at).map(|&unit| (peer, unit));
            }
        }
        None
    }

    /// Step 2 arrived: places are kept or freed, and the receiver's map is the truth from here on.
    pub(super) fn on_offer_answered(&mut self, by: NodeId, id: ExchangeId, answer: Answer) {
        let Some(exchange) = self.sending.exchanges.get(&id).filter(|exchange| exchange.to == by) else {
            return;
        };
        let (file, sent_at) = (exchange.file, exchange.sent_at);
        if answer.verdicts.len() != exchange.units.len() {
            self.outputs.push_back(Output::Offence { peer: by, file, kind: OffenceKind::Malformed });
            return self.on_offer_failed(by, id);
        }
        let Some(exchange) = self.sending.exchanges.remove(&id) else { return };
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(&by) {
            peer.saw_round_trip(now.since(sent_at));
            peer.silent_streak = 0;
            if answer.verdicts.contains(&Verdict::Busy) {
                peer.busy_until = now + self.policy.busy_wait(peer.round_trip, peer.busy_streak);
                peer.busy_streak = peer.busy_streak.saturating_add(1);
            } else {
                peer.busy_streak = 0;
            }
        }
        if let Some(map) = answer.map {
            self.update_view(by, file, &map);
        }
        for (&unit, verdict) in exchange.units.iter().zip(answer.verdicts) {
            self.on_verdict(by, file, unit, verdict, answer.stamp);
        }
    }

    fn on_verdict(&mut self, by: NodeId, file: FileId, unit: Unit, verdict: Verdict, stamp: Stamp) {
        let key = (by, file, unit);
        if verdict == Verdict::Accept {
            // A request may have come before the answer; the send is further then.
            if let Some(send) = self.sending.sends.get_mut(&key).filter(|send| send.stage == Stage::Offered) {
                *send =
                    Send { stage: Stage::Accepted(stamp), deadline: self.now + self.config.accept_timeout };
            }
        } else if self.sending.sends.get(&key).is_some_and(|send| send.stage == Stage::Offered) {
            self.free(key);
        }
        if verdict == Verdict::Unknown {
            // The peer asks when the ledger has told it.
            return self.drop_view(by, file);
        }
        let config = &self.config;
        let view = self.files.get_mut(&file).and_then(|state| state.views.get_mut(&by));
        match (view, verdict) {
            (Some(view), Verdict::Accept) => {
                view.decline_streak = 0;
                if !view.has_or_awaits(unit) {
                    view.coming.push(unit);
                }
            }
            // Held or coming: the next map says which, and a set stays small whatever is said.
            (Some(view), Verdict::Have) => _ = view.held.insert(unit.chunk()),
            (Some(view), Verdict::Declined) => {
                let wait = doubled(config.decline_wait.0, view.decline_streak, config.decline_wait.1);
                view.declined_until = self.now + wait;
                view.decline_streak = view.decline_streak.saturating_add(1);
            }
            _ => {}
        }
    }

    pub(super) fn on_offer_failed(&mut self, to: NodeId, id: ExchangeId) {
        if self.sending.exchanges.get(&id).is_none_or(|exchange| exchange.to != to) {
            return;
        }
        let Some(exchange) = self.sending.exchanges.remove(&id) else { return };
        self.leave_alone(to);
        for unit in exchange.units {
            let key = (to, exchange.file, unit);
            if self.sending.sends.get(&key).is_some_and(|send| send.stage == Stage::Offered) {
                self.free(key);
            }
        }
    }

    /// No offer to a silent peer for a while.
    fn leave_alone(&mut self, silent: NodeId) {
        if let Some(peer) = self.peers.get_mut(&silent).filter(|peer| peer.busy_until <= self.now) {
            peer.busy_until = self.now + self.policy.cool_off(peer.silent_streak);
            peer.silent_streak = peer.silent_streak.saturating_add(1);
        }
    }

    pub(super) fn on_send_started(&mut self, to: NodeId, file: FileId, unit: Unit) {
        let deadline = self.now + self.config.send_stall;
        if let Some(send) = self.sending.sends.get_mut(&(to, file, unit)) {
            *send = Send { stage: Stage::Running, deadline };
        } else if self.sending.sends.len() < SENDS_MAX && self.peers.contains_key(&to) {
            let Some(state) = self.files.get_mut(&file) else { return };
            state.count_sent(unit);
            let send = Send { stage: Stage::RunningUnasked, deadline };
            self.sending.sends.insert((to, file, unit), send);
        }
    }

    pub(super) fn on_send_progress(&mut self, to: NodeId, file: FileId, unit: Unit) {
        let deadline = self.now + self.config.send_stall;
        if let Some(send) = self.sending.sends.get_mut(&(to, file, unit)) {
            send.deadline = deadline;
        }
    }

    pub(super) fn on_send_ended(&mut self, to: NodeId, file: FileId, unit: Unit, outcome: SendOutcome) {
        let key = (to, file, unit);
        let Some(send) = self.sending.sends.get_mut(&key) else { return };
        match (outcome, send.stage) {
            (SendOutcome::Sent, Stage::Running) => {
                *send = Send { stage: Stage::Sent, deadline: self.now + self.config.confirm_timeout };
            }
            _ => self.free(key),
        }
    }

    /// Step 5: the place is free; the next offer follows from it.
    pub(super) fn on_confirmed(&mut self, by: NodeId, confirm: Confirm) {
        let Some(state) = self.files.get_mut(&confirm.file) else { return };
        let Some(unit) = Unit::from_number(state.layout(), confirm.unit) else { return };
        if self.sending.sends.remove(&(by, confirm.file, unit)).is_none() {
            return;
        }
        if let Some(view) = state.views.get_mut(&by) {
            view.now_holds(unit);
        }
    }

    /// Frees a place without success: the unit may be offered again, to the same peer too.
    pub(super) fn free(&mut self, key: (NodeId, FileId, Unit)) {
        let Some(send) = self.sending.sends.remove(&key) else { return };
        let (to, file, unit) = key;
        let Some(state) = self.files.get_mut(&file) else { return };
        if send.stage != Stage::Sent {
            state.uncount_sent(unit);
        }
        if let Some(view) = state.views.get_mut(&to) {
            view.coming.retain(|&other| other != unit);
        }
    }

    /// Frees what a receiver's newer map no longer counts on.
    pub(super) fn free_forgotten(&mut self, to: NodeId, file: FileId) {
        let Some(view) = self.files.get(&file).and_then(|state| state.views.get(&to)) else { return };
        let forgotten = |unit, send: &Send| match send.stage {
            Stage::Accepted(stamp) => stamp < view.stamp && !view.coming.contains(&unit),
            _ => false,
        };
        let of_peer = self.sending.sends.iter().filter(|((by, of, _), _)| *by == to && *of == file);
        let gone: Vec<_> =
            of_peer.filter(|((_, _, unit), send)| forgotten(*unit, send)).map(|(&key, _)| key).collect();
        gone.into_iter().for_each(|key| self.free(key));
    }

    /// Frees every place that a peer or a file has.
    pub(super) fn free_all(&mut self, of: impl Fn(NodeId, FileId) -> bool) {
        let gone: Vec<_> =
            self.sending.sends.keys().filter(|(to, file, _)| of(*to, *file)).copied().collect();
        gone.into_iter().for_each(|key| self.free(key));
        self.sending.exchanges.retain(|_, exchange| !of(exchange.to, exchange.file));
    }

    pub(super) fn expire_sends(&mut self) {
        let late = |send: &Send| send.deadline <= self.now;
        let expired: Vec<_> = self
            .sending
            .sends
            .iter()
            .filter(|(_, send)| late(send))
            .map(|(&key, send)| (key, *send))
            .collect();
        for (key, send) in expired {
            if send.stage == Stage::Offered {
                self.sending.exchanges.retain(|_, exchange| {
                    exchange.to != key.0 || exchange.file != key.1 || !exchange.units.contains(&key.2)
                });
            }
            self.free(key);
            self.leave_alone(key.0);
        }
    }
}

/// Some units that are here, and that a peer neither has nor awaits: all if they are few, else those after a random
/// place in the file.
fn lacking(state: &FileState, view: &View, is_open: impl Fn(Unit) -> bool, random: &mut Random) -> Vec<Unit> {
    let start = random.below(state.layout().chunk_count());
    let ahead = state.held.difference_from(&view.held, start);
    let wrapped = state.held.difference(&view.held).take_while(|chunk| chunk.get() < start);
    let units = ahead.chain(wrapped).map(Unit::of_chunk);
    units.filter(|&unit| !view.coming.contains(&unit) && !is_open(unit)).take(SAMPLE_LEN).collect()
}

fn weigh(state: &FileState, unit: Unit) -> UnitChoice {
    let holders = state.views.values().filter(|view| view.has_or_awaits(unit)).count();
    UnitChoice { sent: state.sent_times(unit), holders: u32::try_from(holders).unwrap_or(u32::MAX) }
}
