//! The receiver's half: what is accepted, fetched and verified.

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, FileId, Grains, Slice};

use super::Swarm;
use super::coming::FetchStage;
use super::file::{FileKey, Standing};
use super::input::{CheckOutcome, ExchangeId, FetchFailure, FetchOutcome, Priority, Want};
use super::message::{Answer, Confirm, OPEN_CHUNKS_MAX, Offer, Verdict};
use super::output::{AbandonReason, OffenceKind, Output};
use super::peer::PeerKey;
use super::policy::{Admission, Link, ReceiverLoad};
use super::sends::smoothed_len;

impl Swarm {
    /// Steps 1 and 2: an offer is answered at once.
    pub(super) fn on_offer(&mut self, from: NodeId, exchange: ExchangeId, offer: &Offer) {
        let known = self.peers.key(&from).zip(self.files.key(&offer.file));
        let (verdicts, map) = if let Some((from, file)) = known {
            if let Some(map) = &offer.map {
                self.update_view(from, file, map);
            }
            let mut left = offer.take;
            let mut judge = |&number: &u32| {
                let verdict = if left == 0 { Verdict::Enough } else { self.judge(from, file, number) };
                left -= u8::from(verdict == Verdict::Accept);
                verdict
            };
            let verdicts = offer.slices.iter().map(&mut judge).collect();
            (verdicts, self.map_for(from, file))
        } else {
            (vec![Verdict::Unknown; offer.slices.len()], None)
        };
        let answer = Answer { stamp: self.next_stamp(), verdicts, map };
        self.outputs.push_back(Output::Answer { to: from, exchange, answer });
    }

    fn judge(&mut self, from: PeerKey, file: FileKey, number: u32) -> Verdict {
        let Some(state) = self.files.get(file) else { return Verdict::Unknown };
        let Some(slice) = Slice::from_number(state.layout(), number) else { return Verdict::Declined };
        if state.holds(slice.chunk()).meets(slice.grains(state.layout())) {
            return Verdict::Have;
        }
        if !state.is_wanting() || !self.peers.id(from).is_some_and(|id| state.trusts(id, slice.chunk())) {
            return Verdict::Declined;
        }
        // Readers are elsewhere by now, or come to it later.
        if !state.wants(slice.chunk()) {
            return Verdict::Busy;
        }
        if self.receiving.is_taken(state, file, slice, from) {
            return Verdict::Have;
        }
        let cooling = self.peers.get(from).is_some_and(|peer| peer.record.cool_until > self.now);
        if cooling
            || state.storage_until.is_some()
            || !self.may_open(file, slice.chunk())
            || self.policy.admit(self.load(file, from)) == Admission::Busy
        {
            return Verdict::Busy;
        }
        let is_new = self.receiving.insert(self.now, file, slice, from);
        self.look_soon();
        self.downlink.begin(self.now);
        let Some(state) = self.files.get_mut(file) else { return Verdict::Unknown };
        state.coming_len += usize::from(is_new);
        if let Some(asking) = &mut state.asking {
            asking.next = self.now + self.config.starved_after;
        }
        Verdict::Accept
    }

    /// Whether one more chunk may be begun, if it is not.
    fn may_open(&self, file: FileKey, chunk: ChunkIndex) -> bool {
        let Some(state) = self.files.get(file) else { return false };
        let is_open = |chunk| state.open.contains(chunk);
        if is_open(chunk) || self.receiving.of_chunk(file, chunk).next().is_some() {
            return true;
        }
        // Slices come in order of chunks, so those of one chunk follow each other.
        let mut coming: Vec<ChunkIndex> =
            self.receiving.of_file(file).map(|coming| coming.slice.chunk()).collect();
        coming.dedup();
        let begun = state.open.len() + coming.into_iter().filter(|&chunk| !is_open(chunk)).count();
        begun < OPEN_CHUNKS_MAX
    }

    /// What is known of the way that slices take from a peer to here.
    fn link_from(&self, peer: PeerKey) -> Link {
        let round_trip = self.peers.get(peer).and_then(|peer| peer.record.round_trip_least);
        Link { rate: self.downlink.rate, round_trip, slice_len: self.receiving.slice_len }
    }

    fn load(&self, file: FileKey, from: PeerKey) -> ReceiverLoad {
        let state = self.files.get(file);
        let priority = state.map_or(Priority::Normal, |state| state.priority);
        let others = self.finding.active.iter().filter(|&&other| other != file);
        let others = others.filter_map(|&other| self.files.get(other));
        let (mut other_files, mut starved_more_urgent, mut more_urgent) = (0, 0, 0);
        for other in others {
            other_files += 1;
            more_urgent += usize::from(other.priority > priority && other.coming_len > 0);
            starved_more_urgent += usize::from(other.priority > priority && other.coming_len == 0);
        }
        ReceiverLoad {
            coming: self.receiving.len(),
            coming_of_file: state.map_or(0, |state| state.coming_len),
            coming_from_peer: self.receiving.len_from(from),
            has_other_sources: state.is_some_and(|state| state.suppliers().take(2).count() > 1),
            link: self.link_from(from),
            other_files,
            more_urgent,
            starved_more_urgent,
            is_low: priority == Priority::Low,
        }
    }

    /// Step 3: requests what is queued, in order of acceptance, as far as each source has a place.
    pub(super) fn pump_fetches(&mut self) {
        for (from, file, slice) in self.receiving.queued() {
            if self.receiving.running_from(from) < self.policy.requests(self.link_from(from)) {
                self.receiving.run(file, slice, from, self.now);
                self.put(from, file, |from, file| Output::Fetch { from, file, slice });
            }
        }
    }

    pub(super) fn on_fetch_progress(&mut self, from: PeerKey, file: FileKey, slice: Slice, now_bytes: u64) {
        let Some(coming) = self.receiving.get_mut(file, slice) else { return };
        let fetch = coming.fetches.iter_mut().find(|fetch| fetch.from == from);
        if let Some(FetchStage::Running { progress_at, bytes, .. }) = fetch.map(|fetch| &mut fetch.stage)
            && now_bytes > *bytes
        {
            *bytes = now_bytes;
            *progress_at = self.now;
        }
    }

    /// Step 4: a fetch ended.
    /// The source may have gone since; its bytes are as good as any.
    pub(super) fn on_fetched(&mut self, from: NodeId, file: FileId, slice: Slice, outcome: FetchOutcome) {
        let Some(file) = self.files.key(&file) else { return };
        let since = self.receiving.get(file, slice).map(|coming| coming.since);
        let peer = self.peers.key(&from);
        let fetch = peer.and_then(|peer| self.take_fetch(peer, file, slice));
        if self.files.get(file).is_none_or(|state| state.standing == Standing::Stopped) {
            return;
        }
        if outcome != FetchOutcome::Verified {
            self.note_lacking(file, slice);
        }
        let Some(state) = self.files.get_mut(file) else { return };
        match outcome {
            FetchOutcome::Verified => {
                let len = slice.len(state.layout());
                self.downlink.arrived(self.now, len, self.config.fast_uplink);
                self.receiving.slice_len = smoothed_len(self.receiving.slice_len, len);
                if let Some(since) = since {
                    state.saw_slice_take(self.now.since(since));
                }
                if let (Some(peer), Some(FetchStage::Running { since, .. })) =
                    (peer.and_then(|peer| self.peers.get_mut(peer)), fetch.map(|fetch| fetch.stage))
                {
                    peer.record.saw_slice(len, self.now.since(since));
                }
                self.on_verified(peer, file, slice);
            }
            FetchOutcome::WrongBytes => {
                state.sent_wrong_bytes(from, slice);
                if let Some(peer) = peer {
                    self.note_offence(peer, file, OffenceKind::WrongBytes { slice });
                    self.drop_untrusted(peer, file);
                }
            }
            FetchOutcome::ManifestFalse => self.stop(file, slice.chunk()),
            // What was cancelled fails as a matter of course.
            FetchOutcome::Failed(failure) => {
                if let (Some(peer), Some(_)) = (peer, fetch) {
                    self.on_fetch_failed(peer, file, slice, failure);
                }
            }
        }
    }

    fn on_verified(&mut self, from: Option<PeerKey>, file: FileKey, slice: Slice) {
        let Some(state) = self.files.get_mut(file) else { return };
        let (chunk, layout) = (slice.chunk(), state.layout());
        let grains = slice.grains(layout);
        let is_new = !state.holds(chunk).contains(grains);
        let is_held = slice.is_chunk() && state.hold(chunk);
        let is_whole = !slice.is_chunk() && state.add_grains(chunk, grains);
        let here = state.holds(chunk);
        // A loser of the race is told as well, if it has nothing left to send: its place is free.
        let met: Vec<(Slice, bool)> = self
            .receiving
            .of_chunk(file, chunk)
            .map(|coming| (coming.slice, coming.slice.grains(layout)))
            .filter(|(_, other)| other.meets(grains))
            .map(|(other, of_other)| (other, here.contains(of_other)))
            .collect();
        from.into_iter().for_each(|from| self.confirm(from, file, slice));
        for (other, is_here) in met {
            let losers = self.receiving.get(file, other).map(|coming| &coming.fetches);
            let losers: Vec<PeerKey> = losers.into_iter().flatten().map(|fetch| fetch.from).collect();
            losers.into_iter().filter(|_| is_here).for_each(|to| self.confirm(to, file, other));
            self.drop_fetches(|_, of, slice| of == file && slice == other);
        }
        if is_whole {
            self.put_of(file, |file| Output::Whole { file, chunk });
        }
        if is_new {
            self.note_progress(file);
        }
        if is_held {
            self.note_held(file);
        }
    }

    fn confirm(&mut self, to: PeerKey, file: FileKey, slice: Slice) {
        let confirm = |file| Confirm { file, slice: slice.number() };
        self.put(to, file, |to, file| Output::Confirm { to, confirm: confirm(file) });
    }

    /// A chunk that came in several slices was looked at as a whole.
    pub(super) fn on_chunk_checked(&mut self, file: FileKey, chunk: ChunkIndex, outcome: CheckOutcome) {
        let Some(state) = self.files.get_mut(file) else { return };
        if !state.checking.remove(&chunk) || state.standing == Standing::Stopped {
            return;
        }
        match outcome {
            CheckOutcome::Verified => {
                if state.hold(chunk) {
                    self.note_held(file);
                }
            }
            CheckOutcome::Damaged => {
                state.open.remove(chunk);
                self.finding.changed.insert(file);
            }
            CheckOutcome::ManifestFalse => self.stop(file, chunk),
        }
    }

    fn note_progress(&mut self, file: FileKey) {
        let asking = self.files.get_mut(file).and_then(|state| state.asking.as_mut());
        if let Some(asking) = asking {
            asking.round = 0;
            asking.next = self.now + self.config.starved_after;
        }
    }

    fn note_held(&mut self, file: FileKey) {
        let Some(state) = self.files.get_mut(file) else { return };
        if state.held.is_full() && state.standing == Standing::Partial {
            state.standing = Standing::Verified;
            self.deactivate(file);
            self.put_of(file, |file| Output::Completed { file });
        }
    }

    fn on_fetch_failed(&mut self, from: PeerKey, file: FileKey, slice: Slice, failure: FetchFailure) {
        match failure {
            FetchFailure::Storage | FetchFailure::OtherManifest => {
                if let Some(state) = self.files.get_mut(file) {
                    state.storage_until = Some(self.now + self.config.storage_wait);
                    self.receiving.unwritable.insert(file);
                    self.look_soon();
                }
                return;
            }
            FetchFailure::NotThere => {
                if let Some(state) = self.files.get_mut(file) {
                    let grains = slice.grains(state.layout());
                    state.views.lacks(&from, slice.chunk(), grains);
                }
                self.note_offence(from, file, OffenceKind::NotThere { slice });
            }
            FetchFailure::Unreachable => self.drop_queued(from),
            // It has given the file up.
            FetchFailure::Refused => self.drop_view(from, file),
        }
        self.cool_off(from);
    }

    /// The manifest is false: nobody who sent is to blame, and nothing more of the file moves.
    fn stop(&mut self, file: FileKey, chunk: ChunkIndex) {
        let Some(state) = self.files.get_mut(file) else { return };
        state.standing = Standing::Stopped;
        state.open.clear();
        state.checking.clear();
        let publisher = state.publisher;
        self.drop_fetches(|_, of, _| of == file);
        self.free_all(|_, of| of == file);
        self.drop_views_of_file(file);
        self.deactivate(file);
        let reason = AbandonReason::ManifestFalse { chunk };
        self.put_of(file, |file| Output::Abandoned { file, publisher, reason });
    }

    /// Whether everything that is missing is coming; of what is only read, everything that its readers come to next.
    pub(super) fn is_end_game(&self, file: FileKey) -> bool {
        let Some(state) = self.files.get(file) else { return false };
        let is_coming = |chunk| {
            let coming = self.receiving.of_chunk(file, chunk);
            let coming = coming.fold(Grains::NONE, |all, one| all.and(one.slice.grains(state.layout())));
            state.holds(chunk).and(coming).contains(Grains::all_of(state.layout(), chunk))
        };
        if state.want == Want::Reading {
            return state.missing_ahead().all(is_coming);
        }
        let missing = state.layout().chunk_count() - state.held.len();
        missing as usize <= state.open.len() + state.coming_len && state.held.missing().all(is_coming)
    }
}
