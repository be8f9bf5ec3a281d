//! The sender's half: credit, offers, what became of them.

use std::collections::BTreeMap;

use swift_chunks::Slice;

use super::Swarm;
use super::file::FileKey;
use super::input::{ExchangeId, SendOutcome};
use super::message::{Answer, OFFER_SLICES_MAX, Offer, Verdict};
use super::output::{OffenceKind, Output};
use super::peer::PeerKey;
use super::policy::{Link, doubled};
use super::sends::{Choice, Exchange, Place, Send, Stage, smoothed_len};
use super::time::Time;

/// Sends that are kept book of, asked for or not.
const SENDS_MAX: usize = 1024;

impl Swarm {
    /// Fills the credit with offers, file after file in turn.
    pub(super) fn pump_offers(&mut self) {
        self.sending.retry_at = None;
        let mut batches: BTreeMap<(PeerKey, FileKey), ExchangeId> = BTreeMap::new();
        let mut unsent = Vec::new();
        while !self.sending.lackers.is_empty() && self.sending.len() < self.credit() {
            let Some((to, file, choice)) = self.next_offer() else { break };
            let open = batches.get(&(to, file)).and_then(|id| self.sending.exchanges.get_mut(id));
            let room = |exchange: &Exchange| exchange.slices.len() + choice.slices.len() <= OFFER_SLICES_MAX;
            if let Some(exchange) = open.filter(|exchange| room(exchange)) {
                exchange.slices.extend(choice.slices);
                exchange.take += 1;
            } else {
                let id = self.open_exchange(to, file, choice);
                batches.insert((to, file), id);
                unsent.push(id);
            }
            self.sending.offered += 1;
            self.uplink.begin(self.now);
            if let Some(peer) = self.peers.get_mut(to) {
                peer.open_sends += 1;
            }
        }
        for id in unsent {
            let Some(exchange) = self.sending.exchanges.get_mut(&id) else { continue };
            exchange.sent_at = self.now;
            let (to, file, take) = (exchange.to, exchange.file, exchange.take);
            let slices: Vec<u32> = exchange.slices.iter().map(|slice| slice.number()).collect();
            let map = self.map_for(to, file);
            self.put(to, file, |to, file| Output::Offer {
                to,
                exchange: id,
                offer: Offer { file, slices, take, map },
            });
        }
    }

    /// When a peer that was busy can be offered something again.
    pub(super) fn next_retry(&self) -> Option<Time> {
        self.sending.retry_at.filter(|_| self.sending.len() < self.credit())
    }

    /// Begins an offer; it goes out when nothing more is put into it.
    fn open_exchange(&mut self, to: PeerKey, file: FileKey, choice: Choice) -> ExchangeId {
        let id = ExchangeId(self.sending.next_exchange);
        self.sending.next_exchange += 1;
        let wait = self.policy.answer_timeout(self.peers.get(to).and_then(|peer| peer.record.round_trip));
        let (sent_at, deadline) = (Time::NEVER, self.now + wait);
        let (slices, begun) = (choice.slices, Vec::new());
        let exchange = Exchange { to, file, slices, take: 1, begun, sent_at, deadline };
        self.sending.exchanges.insert(id, exchange);
        self.look_soon();
        id
    }

    /// Ends an offer and gives back the places that it still has.
    fn close_exchange(&mut self, id: ExchangeId) -> Option<Exchange> {
        let exchange = self.sending.exchanges.remove(&id)?;
        self.sending.offered -= usize::from(exchange.take);
        let state = self.files.get_mut(exchange.file);
        if let Some(view) = state.and_then(|state| state.views.get_mut(&exchange.to)) {
            view.nothing_at = None;
        }
        if let Some(peer) = self.peers.get_mut(exchange.to) {
            peer.open_sends = peer.open_sends.saturating_sub(exchange.take.into());
        }
        if self.sending.len() == 0 {
            self.uplink.pause();
        }
        Some(exchange)
    }

    /// What is known of the way that slices take from here.
    pub(super) fn link_of_sends(&self) -> Link {
        let (round_trip, slice_len) = (self.sending.round_trip, self.sending.slice_len);
        Link { rate: self.uplink.rate, round_trip, slice_len }
    }

    fn take_place(&mut self, to: PeerKey, file: FileKey, slice: Slice, stage: Stage, deadline: Time) {
        let send = Send { slice, stage, since: self.now, deadline };
        if self.sending.sends.insert((to, file, slice.number()), send).is_some() {
            return;
        }
        self.look_soon();
        self.uplink.begin(self.now);
        if let Some(peer) = self.peers.get_mut(to) {
            peer.open_sends += 1;
        }
        if let Some(state) = self.files.get_mut(file) {
            state.sent.count(slice.chunk(), slice.grains(state.layout()));
        }
    }

    fn leave_place(&mut self, place: Place) -> Option<Send> {
        let send = self.sending.sends.remove(&place)?;
        if let Some(peer) = self.peers.get_mut(place.0) {
            peer.open_sends = peer.open_sends.saturating_sub(1);
        }
        if self.sending.len() == 0 {
            self.uplink.pause();
        }
        Some(send)
    }

    /// Step 2 arrived: places are kept or freed, and the receiver's map is the truth from here on.
    pub(super) fn on_offer_answered(&mut self, by: PeerKey, id: ExchangeId, answer: Answer) {
        let Some(exchange) = self.sending.exchanges.get(&id).filter(|exchange| exchange.to == by) else {
            return;
        };
        let (file, sent_at) = (exchange.file, exchange.sent_at);
        if answer.verdicts.len() != exchange.slices.len() {
            self.note_offence(by, file, OffenceKind::Malformed);
            return self.on_offer_failed(by, id);
        }
        let Some(exchange) = self.close_exchange(id) else { return };
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(by) {
            peer.record.saw_round_trip(now.since(sent_at));
            let sample = peer.record.round_trip_least.unwrap_or_default();
            let smoothed = self.sending.round_trip.map_or(sample, |old| (old * 7 + sample) / 8);
            self.sending.round_trip = Some(smoothed);
            peer.record.silent_streak = 0;
            if answer.verdicts.contains(&Verdict::Busy) {
                peer.busy_until =
                    now + self.policy.busy_wait(peer.record.round_trip, peer.record.busy_streak);
                peer.record.busy_streak = peer.record.busy_streak.saturating_add(1);
            } else {
                peer.record.busy_streak = 0;
            }
        }
        if let Some(map) = answer.map {
            self.update_view(by, file, &map);
        }
        for (&slice, verdict) in exchange.slices.iter().zip(answer.verdicts) {
            // A request may have come before the answer; the send is further then, or over.
            let is_begun = exchange.begun.contains(&slice)
                || self.sending.sends.contains_key(&(by, file, slice.number()));
            if verdict == Verdict::Accept && !is_begun {
                let deadline = self.now + self.config.accept_timeout;
                self.take_place(by, file, slice, Stage::Accepted(answer.stamp), deadline);
            }
            self.on_verdict(by, file, slice, verdict);
        }
    }

    fn on_verdict(&mut self, by: PeerKey, file: FileKey, slice: Slice, verdict: Verdict) {
        if verdict == Verdict::Unknown {
            // The peer asks when the ledger has told it.
            return self.drop_view(by, file);
        }
        let Some(state) = self.files.get_mut(file) else { return };
        let grains = slice.grains(state.layout());
        match verdict {
            Verdict::Accept => {
                if let Some(view) = state.views.get_mut(&by) {
                    view.decline_streak = 0;
                }
                state.views.now_awaits(&by, slice.chunk(), grains);
            }
            // Some of it is held or coming; the next map says what.
            Verdict::Have => state.views.now_awaits(&by, slice.chunk(), grains),
            Verdict::Declined => {
                let (first, most) = self.config.decline_wait;
                if let Some(view) = state.views.get_mut(&by) {
                    view.declined_until = self.now + doubled(first, view.decline_streak, most);
                    view.decline_streak = view.decline_streak.saturating_add(1);
                    view.declined = Some(slice.chunk());
                }
            }
            Verdict::Enough | Verdict::Busy | Verdict::Unknown => {}
        }
    }

    pub(super) fn on_offer_failed(&mut self, to: PeerKey, id: ExchangeId) {
        if self.sending.exchanges.get(&id).is_none_or(|exchange| exchange.to != to) {
            return;
        }
        self.close_exchange(id);
        self.leave_alone(to);
    }

    /// No offer to a silent peer for a while.
    fn leave_alone(&mut self, silent: PeerKey) {
        if let Some(peer) = self.peers.get_mut(silent).filter(|peer| peer.busy_until <= self.now) {
            peer.busy_until = self.now + self.policy.cool_off(peer.record.silent_streak);
            peer.record.silent_streak = peer.record.silent_streak.saturating_add(1);
        }
    }

    pub(super) fn on_send_started(&mut self, to: PeerKey, file: FileKey, slice: Slice) {
        let deadline = self.now + self.config.send_stall;
        self.note_sent_to(to);
        if let Some(send) = self.sending.sends.get_mut(&(to, file, slice.number())) {
            *send = Send { slice, stage: Stage::Running, since: self.now, deadline };
            return;
        }
        // It may be the answer to an offer, sooner than the answer itself.
        let offered = self.sending.exchanges.values_mut().find(|exchange| {
            (exchange.to, exchange.file) == (to, file)
                && exchange.take > 0
                && exchange.slices.contains(&slice)
        });
        if let Some(exchange) = offered {
            exchange.take -= 1;
            exchange.begun.push(slice);
            self.sending.offered -= 1;
            if let Some(peer) = self.peers.get_mut(to) {
                peer.open_sends = peer.open_sends.saturating_sub(1);
            }
            self.take_place(to, file, slice, Stage::Running, deadline);
        } else if self.sending.sends.len() < SENDS_MAX && self.peers.contains(to) && self.files.contains(file)
        {
            self.take_place(to, file, slice, Stage::RunningUnasked, deadline);
        }
    }

    fn note_sent_to(&mut self, to: PeerKey) {
        if let Some(peer) = self.peers.get_mut(to) {
            peer.sent_at = Some(self.now);
        }
    }

    pub(super) fn on_send_progress(&mut self, to: PeerKey, file: FileKey, slice: Slice) {
        let deadline = self.now + self.config.send_stall;
        if let Some(send) = self.sending.sends.get_mut(&(to, file, slice.number())) {
            send.deadline = deadline;
        }
    }

    pub(super) fn on_send_ended(&mut self, to: PeerKey, file: FileKey, slice: Slice, outcome: SendOutcome) {
        let place = (to, file, slice.number());
        let Some(send) = self.sending.sends.get_mut(&place) else { return };
        match (outcome, send.stage) {
            (SendOutcome::Sent, Stage::Running) => {
                send.stage = Stage::Sent;
                send.deadline = self.now + self.config.confirm_timeout;
            }
            _ => self.free(place),
        }
    }

    /// Step 5: the place is free; the next offer follows from it.
    pub(super) fn on_confirmed(&mut self, by: PeerKey, file: FileKey, slice: u32) {
        self.arrived((by, file, slice));
    }

    /// A send has come to its good end.
    fn arrived(&mut self, place: Place) {
        let Some(send) = self.leave_place(place) else { return };
        let (by, file, _) = place;
        let Some(state) = self.files.get_mut(file) else { return };
        let bytes = send.slice.len(state.layout());
        state.views.now_holds(&by, send.slice.chunk(), send.slice.grains(state.layout()));
        self.uplink.arrived(self.now, bytes, self.config.fast_uplink);
        self.sending.slice_len = smoothed_len(self.sending.slice_len, bytes);
        if let Some(peer) = self.peers.get_mut(by) {
            // It has a place free now.
            (peer.busy_until, peer.record.busy_streak) = (self.now, 0);
            peer.sent_at = Some(self.now);
            peer.confirmed = peer.confirmed.saturating_add(1);
        }
        if let Some(peer) = self.peers.get_mut(by).filter(|_| !matches!(send.stage, Stage::Accepted(_))) {
            peer.record.saw_slice_to(bytes, self.now.since(send.since));
        }
    }

    /// Frees a place without success: the slice may be offered again, to the same peer too.
    fn free(&mut self, place: Place) {
        let Some(send) = self.leave_place(place) else { return };
        let (to, file, _) = place;
        let Some(state) = self.files.get_mut(file) else { return };
        let grains = send.slice.grains(state.layout());
        if send.stage != Stage::Sent {
            state.sent.uncount(send.slice.chunk(), grains);
        }
        state.views.awaits_no_more(&to, send.slice.chunk(), grains);
    }

    /// Frees what a receiver's newer map no longer counts on, or has.
    pub(super) fn free_forgotten(&mut self, to: PeerKey, file: FileKey) {
        let Some(state) = self.files.get(file) else { return };
        let Some(view) = state.views.get(&to) else { return };
        let of_peer = self.sending.sends.range((to, file, 0)..=(to, file, u32::MAX));
        let (mut here, mut forgotten) = (Vec::new(), Vec::new());
        for (&place, send) in of_peer {
            let grains = send.slice.grains(state.layout());
            match send.stage {
                Stage::Accepted(stamp)
                    if stamp < view.stamp
                        && (view.holds(send.slice.chunk()).contains(grains)
                            || !view.has_or_awaits(send.slice.chunk()).contains(grains)) =>
                {
                    forgotten.push(place);
                }
                Stage::Sent if view.holds(send.slice.chunk()).contains(grains) => here.push(place),
                _ => {}
            }
        }
        here.into_iter().for_each(|place| self.arrived(place));
        forgotten.into_iter().for_each(|place| self.free(place));
    }

    /// Frees every place that a peer or a file has.
    pub(super) fn free_all(&mut self, of: impl Fn(PeerKey, FileKey) -> bool) {
        let gone: Vec<Place> =
            self.sending.sends.keys().filter(|(to, file, _)| of(*to, *file)).copied().collect();
        gone.into_iter().for_each(|place| self.free(place));
        let open = self.sending.exchanges.iter().filter(|(_, exchange)| of(exchange.to, exchange.file));
        let open: Vec<ExchangeId> = open.map(|(&id, _)| id).collect();
        open.into_iter().for_each(|id| _ = self.close_exchange(id));
    }

    pub(super) fn expire_sends(&mut self) {
        let late = self.sending.sends.iter().filter(|(_, send)| send.deadline <= self.now);
        let expired: Vec<Place> = late.map(|(&place, _)| place).collect();
        for place in expired {
            self.free(place);
            self.leave_alone(place.0);
        }
        let late = self.sending.exchanges.iter().filter(|(_, exchange)| exchange.deadline <= self.now);
        let late: Vec<ExchangeId> = late.map(|(&id, _)| id).collect();
        for id in late {
            if let Some(exchange) = self.close_exchange(id) {
                self.leave_alone(exchange.to);
            }
        }
    }
}
