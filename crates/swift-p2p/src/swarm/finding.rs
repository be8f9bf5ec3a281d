//! Who has what: questions, answers, announcements.

use std::collections::{BTreeSet, VecDeque};

use super::Swarm;
use super::file::{Asking, FileKey, Tour};
use super::input::{ExchangeId, Want};
use super::message::{Ask, FILES_PER_MESSAGE_MAX, HELD_BYTES_MAX, Holding, Holdings, Map, Stamp, WhoHas};
use super::output::Output;
use super::peer::PeerKey;
use super::time::Time;
use swift_chain::NodeId;

/// Bytes of maps after which a message takes no further one.
const MAP_BYTES_PER_MESSAGE: usize = HELD_BYTES_MAX;
/// Questions to one peer that wait.
const ASKS_MAX: usize = 1024;
/// The question that goes to the publisher as well. Not the first: a whole network would come at once.
const PUBLISHER_ROUND: u32 = 2;
/// Questions without an answer worth having, after which a file stands in line again.
const FRUITLESS_ROUNDS: u32 = 3;

/// What is being looked for, and whom to tell what.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// Wanted files that wait for their turn; entries may be out of date.
    line: VecDeque<FileKey>,
    /// Wanted files that are asked about.
    pub(super) active: BTreeSet<FileKey>,
    /// Peers with questions to be sent, or with an open one.
    pub(super) askers: BTreeSet<PeerKey>,
    /// Files of which something that was coming is lacking again.
    pub(super) changed: BTreeSet<FileKey>,
    /// Files of which this node has just completed a copy.
    pub(super) copied: BTreeSet<FileKey>,
    pub(super) view_bytes: usize,
}

impl Swarm {
    pub(super) fn next_stamp(&mut self) -> Stamp {
        self.seq += 1;
        Stamp { incarnation: self.config.incarnation, seq: self.seq }
    }

    /// Puts a wanted file into the line of those to be asked about. Of one that somebody reads it is asked at once: that
    /// many there are only as read here.
    pub(super) fn enlist(&mut self, file: FileKey) {
        let Some(state) = self.files.get_mut(file) else { return };
        if !state.is_fetching() || state.asking.is_some() {
            return;
        }
        if state.want == Want::Reading {
            self.activate(file);
        } else if !state.in_line {
            state.in_line = true;
            self.finding.line.push_back(file);
        }
    }

    fn activate(&mut self, file: FileKey) {
        let tour = Tour::new(self.random.below(u32::MAX), self.random.below(u32::MAX));
        if let Some(state) = self.files.get_mut(file) {
            state.asking = Some(Asking { next: self.now, round: 0, tour });
            self.finding.active.insert(file);
        }
    }

    pub(super) fn deactivate(&mut self, file: FileKey) {
        self.finding.active.remove(&file);
        if let Some(state) = self.files.get_mut(file) {
            state.asking = None;
        }
    }

    /// Asks for what is wanted, in bounded batches.
    pub(super) fn pump_asks(&mut self) {
        while self.finding.active.len() < self.config.active_files_max {
            let Some(file) = self.finding.line.pop_front() else { break };
            let Some(state) = self.files.get_mut(file).filter(|state| state.in_line) else { continue };
            state.in_line = false;
            if state.is_fetching() && state.asking.is_none() {
                self.activate(file);
            }
        }
        if self.peers.is_empty() {
            return;
        }
        let active: Vec<FileKey> = self.finding.active.iter().copied().collect();
        active.into_iter().for_each(|file| self.ask_about(file));
        let askers: Vec<PeerKey> = self.finding.askers.iter().copied().collect();
        askers.into_iter().for_each(|peer| self.ask(peer));
    }

    /// Chooses whom to ask about a file, if it is time.
    fn ask_about(&mut self, file: FileKey) {
        let Some(state) = self.files.get_mut(file) else { return };
        let Some(asking) = state.asking.filter(|asking| asking.next <= self.now) else { return };
        if !state.is_fetching() {
            // Its readers have enough for now.
            return self.deactivate(file);
        }
        if state.coming_len > 0 {
            state.asking = Some(Asking { next: self.now + self.config.starved_after, round: 0, ..asking });
            return;
        }
        let suppliers: BTreeSet<PeerKey> = state.suppliers().collect();
        if suppliers.is_empty() && asking.round >= FRUITLESS_ROUNDS && !self.finding.line.is_empty() {
            self.deactivate(file);
            return self.enlist(file);
        }
        let wait = self.policy.ask_again(asking.round, &mut self.random);
        state.asking =
            Some(Asking { next: self.now + wait, round: asking.round.saturating_add(1), ..asking });
        let publisher = self.peers.key(&state.publisher).filter(|_| asking.round == PUBLISHER_ROUND);
        let others: Vec<PeerKey> = self.peers.keys().filter(|peer| !suppliers.contains(peer)).collect();
        let bound = self.config.neighbours_max;
        let mut asked = self.random.some_of(suppliers.into_iter().collect(), bound);
        let tour = asking.tour.visit(asking.round, bound - asked.len(), others.len());
        asked.extend(tour.filter_map(|at| others.get(at)).chain(publisher.as_ref()));
        asked.into_iter().for_each(|peer| self.put_question(peer, file));
    }

    pub(super) fn put_question(&mut self, to: PeerKey, file: FileKey) {
        if let Some(peer) = self.peers.get_mut(to).filter(|peer| peer.record.asks.len() < ASKS_MAX) {
            peer.record.asks.insert(file);
            self.finding.askers.insert(to);
        }
    }

    /// Sends a peer the questions that wait for it, one message at a time.
    fn ask(&mut self, to: PeerKey) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        if peer.record.asking_until.is_some_and(|until| until > self.now) {
            return;
        }
        peer.record.asking_until = None;
        let (mut asks, mut bytes) = (Vec::new(), 0);
        while asks.len() < FILES_PER_MESSAGE_MAX && bytes < MAP_BYTES_PER_MESSAGE {
            let Some(file) = self.peers.get_mut(to).and_then(|peer| peer.record.asks.pop_first()) else {
                break;
            };
            let Some((id, map)) = self.files.id(file).zip(self.my_map(file)) else { continue };
            bytes += map.held_len();
            asks.push(Ask { file: id, map });
        }
        if asks.is_empty() {
            self.finding.askers.remove(&to);
            return;
        }
        if let Some(peer) = self.peers.get_mut(to) {
            peer.record.asking_until = Some(self.now + self.config.ask_timeout);
            peer.record.asked_at = self.now;
        }
        if let Some(to) = self.peers.id(to) {
            self.outputs.push_back(Output::WhoHas { to, who_has: WhoHas { asks } });
        }
    }

    pub(super) fn on_who_has(&mut self, from: NodeId, exchange: ExchangeId, who_has: &WhoHas) {
        let (mut holdings, mut bytes) = (Vec::new(), 0);
        let peer = self.peers.key(&from);
        for ask in &who_has.asks {
            if bytes >= MAP_BYTES_PER_MESSAGE {
                break;
            }
            let known = peer.zip(self.files.key(&ask.file));
            let map = known.and_then(|(peer, file)| {
                self.update_view(peer, file, &ask.map);
                self.my_map(file)
            });
            bytes += map.as_ref().map_or(0, Map::held_len);
            holdings.push(Holding { file: ask.file, map });
        }
        self.outputs.push_back(Output::Holdings { to: from, exchange, holdings: Holdings { holdings } });
    }

    pub(super) fn on_who_has_answered(&mut self, by: PeerKey, holdings: &Holdings) {
        if let Some(peer) = self.peers.get_mut(by).filter(|peer| peer.record.asking_until.is_some()) {
            peer.record.asking_until = None;
            peer.record.saw_round_trip(self.now.since(peer.record.asked_at));
        }
        self.on_announced(by, holdings);
    }

    pub(super) fn on_who_has_failed(&mut self, to: PeerKey) {
        let pause = self.policy.cool_off(0);
        if let Some(peer) = self.peers.get_mut(to) {
            peer.record.asking_until = Some(self.now + pause);
        }
    }

    pub(super) fn on_announced(&mut self, from: PeerKey, holdings: &Holdings) {
        for holding in &holdings.holdings {
            if let (Some(map), Some(file)) = (&holding.map, self.files.key(&holding.file)) {
                self.update_view(from, file, map);
            }
        }
    }

    /// Tells holders what is lacking again, and everybody near of a copy that is complete.
    pub(super) fn pump_announcements(&mut self) {
        let bound = self.config.neighbours_max;
        for file in std::mem::take(&mut self.finding.changed) {
            let Some(state) = self.files.get(file).filter(|state| state.is_fetching()) else { continue };
            let suppliers = state.suppliers().collect();
            let told = self.random.some_of(suppliers, bound);
            self.announce(file, told);
        }
        for file in std::mem::take(&mut self.finding.copied) {
            let Some(state) = self.files.get(file) else { continue };
            let mut told: BTreeSet<PeerKey> = state.views.iter().map(|(peer, _)| peer).collect();
            told.extend(self.peers.key(&state.publisher));
            let others = self.peers.keys().filter(|peer| !told.contains(peer)).collect();
            told.extend(self.random.some_of(others, bound.saturating_sub(told.len())));
            self.announce(file, told.into_iter().collect());
        }
    }

    fn announce(&mut self, file: FileKey, told: Vec<PeerKey>) {
        if told.is_empty() {
            return;
        }
        let Some((id, map)) = self.files.id(file).zip(self.my_map(file)) else { return };
        let holdings = Holdings { holdings: vec![Holding { file: id, map: Some(map) }] };
        let told = told.into_iter().filter_map(|to| self.peers.id(to));
        self.outputs.extend(told.map(|to| Output::Announce { to, holdings: holdings.clone() }));
    }

    /// When somebody is to be asked.
    pub(super) fn next_ask_deadline(&self) -> Option<Time> {
        if self.peers.is_empty() {
            return None;
        }
        let files = self.finding.active.iter();
        let files = files.filter_map(|&file| self.files.get(file)?.asking.map(|asking| asking.next));
        let peers = self.finding.askers.iter();
        let peers = peers.filter_map(|&peer| self.peers.get(peer)?.record.asking_until);
        files.chain(peers).min()
    }
}
