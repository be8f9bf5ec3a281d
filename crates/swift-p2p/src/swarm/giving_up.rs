//! What the receiver gives up, races, or tries again: sources that fail, stall or lie.

use std::collections::BTreeSet;
use std::time::Duration;

use swift_chunks::Slice;

use super::Swarm;
use super::coming::{Fetch, FetchStage};
use super::file::FileKey;
use super::output::{OffenceKind, Output};
use super::peer::PeerKey;
use super::time::Time;

/// How often is looked for what is late while something is on its way; everything gets at least this much time.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Swarm {
    /// Gives up what is late. Looking costs as much as is on its way, and so is not done at every input.
    pub(super) fn expire(&mut self) {
        if self.now < self.look_at {
            return;
        }
        self.expire_sends();
        self.expire_fetches();
        let next = [self.sending.next_deadline(), self.next_fetch_deadline()];
        let next = next.into_iter().flatten().min();
        self.look_at = next.map_or(Time::NEVER, |next| next.min(self.now + LOOK_EVERY));
    }

    /// Whether anything may come too late.
    pub(super) fn awaits_anything(&self) -> bool {
        let receiving = self.receiving.len() + self.receiving.unwritable.len();
        receiving > 0 || !self.sending.is_idle()
    }

    /// Something has set out that may come too late.
    pub(super) fn look_soon(&mut self) {
        self.look_at = self.look_at.min(self.now + LOOK_EVERY);
    }

    /// Nothing is accepted from a failing source for a while.
    pub(super) fn cool_off(&mut self, source: PeerKey) {
        if let Some(peer) = self.peers.get_mut(source).filter(|peer| peer.record.cool_until <= self.now) {
            peer.record.cool_until = self.now + self.policy.cool_off(peer.record.cool_streak);
            peer.record.cool_streak = peer.record.cool_streak.saturating_add(1);
        }
    }

    /// Takes a fetch out of the books; without its last fetch a slice is not coming any more.
    pub(super) fn take_fetch(&mut self, from: PeerKey, file: FileKey, slice: Slice) -> Option<Fetch> {
        let (fetch, was_last) = self.receiving.remove(file, slice, from)?;
        if self.receiving.len() == 0 {
            self.downlink.pause();
        }
        if was_last && let Some(state) = self.files.get_mut(file) {
            state.coming_len = state.coming_len.saturating_sub(1);
        }
        Some(fetch)
    }

    /// If some of a slice is neither held nor coming any more, holders are told.
    pub(super) fn note_lacking(&mut self, file: FileKey, slice: Slice) {
        let Some(state) = self.files.get(file) else { return };
        let here = state.holds(slice.chunk()).and(self.receiving.claimed(state, file, slice.chunk()));
        if !here.contains(slice.grains(state.layout())) {
            self.finding.changed.insert(file);
        }
    }

    /// Takes out fetches and breaks off those that run.
    pub(super) fn drop_fetches(&mut self, which: impl Fn(PeerKey, FileKey, Slice) -> bool) {
        let all = self.receiving.fetches().map(|(file, slice, fetch)| (fetch.from, file, slice));
        let dropped: Vec<_> = all.filter(|&(from, file, slice)| which(from, file, slice)).collect();
        for (from, file, slice) in dropped {
            if self.take_fetch(from, file, slice).is_some_and(|fetch| fetch.is_running()) {
                self.put(from, file, |from, file| Output::CancelFetch { from, file, slice });
            }
            self.note_lacking(file, slice);
        }
    }

    pub(super) fn drop_queued(&mut self, source: PeerKey) {
        let of_source = self.receiving.fetches().filter(|(_, _, fetch)| fetch.from == source);
        let queued = of_source.filter(|(_, _, fetch)| !fetch.is_running());
        let queued: Vec<_> = queued.map(|(file, slice, _)| (file, slice)).collect();
        for (file, slice) in queued {
            self.take_fetch(source, file, slice);
            self.note_lacking(file, slice);
        }
    }

    pub(super) fn drop_untrusted(&mut self, source: PeerKey, file: FileKey) {
        let Some(state) = self.files.get(file) else { return };
        let of_source = self.receiving.of_file(file).map(|coming| coming.slice);
        let Some(id) = self.peers.id(source) else { return };
        let untrusted: BTreeSet<Slice> = of_source.filter(|slice| !state.trusts(id, slice.chunk())).collect();
        self.drop_fetches(|from, of, slice| from == source && of == file && untrusted.contains(&slice));
    }

    fn expire_fetches(&mut self) {
        let stalled: Vec<_> = self
            .receiving
            .fetches()
            .filter(|(_, _, fetch)| self.stalls_at(fetch).is_some_and(|at| at <= self.now))
            .map(|(file, slice, fetch)| (fetch.from, file, slice))
            .collect();
        for (from, file, slice) in stalled {
            self.drop_fetches(|source, of, other| (source, of, other) == (from, file, slice));
            self.drop_queued(from);
            self.cool_off(from);
            self.note_offence(from, file, OffenceKind::Stalled { slice });
        }
        self.begin_races();
        let unwritable = std::mem::take(&mut self.receiving.unwritable);
        for file in unwritable {
            match self.files.get_mut(file) {
                Some(state) if state.storage_until.is_none_or(|until| until <= self.now) => {
                    state.storage_until = None;
                    self.finding.changed.insert(file);
                }
                Some(_) => _ = self.receiving.unwritable.insert(file),
                None => {}
            }
        }
    }

    /// In the end game a slice that takes long is wanted from a second source as well.
    fn begin_races(&mut self) {
        let late: Vec<(FileKey, Slice)> = self
            .receiving
            .iter()
            .filter(|&(file, coming)| {
                !coming.racing
                    && self.races_at(file, coming.since).is_some_and(|at| at <= self.now)
                    && self.is_end_game(file)
            })
            .map(|(file, coming)| (file, coming.slice))
            .collect();
        for (file, slice) in late {
            if let Some(coming) = self.receiving.get_mut(file, slice) {
                coming.racing = true;
                self.finding.changed.insert(file);
            }
        }
    }

    fn races_at(&self, file: FileKey, since: Time) -> Option<Time> {
        let state = self.files.get(file)?;
        Some(since + self.policy.race_after(state.slice_time))
    }

    fn stalls_at(&self, fetch: &Fetch) -> Option<Time> {
        let FetchStage::Running { progress_at, .. } = fetch.stage else { return None };
        let rate = self.peers.get(fetch.from).and_then(|peer| peer.record.rate);
        Some(progress_at + self.policy.stall_after(rate))
    }

    /// When something here stalls, is raced or may be written again.
    fn next_fetch_deadline(&self) -> Option<Time> {
        let stalls = self.receiving.fetches().filter_map(|(_, _, fetch)| self.stalls_at(fetch));
        let files: BTreeSet<FileKey> = self.receiving.iter().map(|(file, _)| file).collect();
        let ending: BTreeSet<FileKey> = files.into_iter().filter(|&file| self.is_end_game(file)).collect();
        let unraced = self.receiving.iter().filter(|(file, coming)| !coming.racing && ending.contains(file));
        let races = unraced.filter_map(|(file, coming)| self.races_at(file, coming.since));
        let writable = self.receiving.unwritable.iter();
        let writable =
            writable.filter_map(|&file| self.files.get(file).and_then(|state| state.storage_until));
        stalls.chain(races).chain(writable).min()
    }
}
