//! The receiver's half: what is accepted, fetched, verified, raced and given up.

use std::collections::{BTreeMap, BTreeSet};

use swift_chain::NodeId;
use swift_chunks::FileId;

use super::Swarm;
use super::file::Standing;
use super::input::{ExchangeId, FetchFailure, FetchOutcome};
use super::message::{Answer, Confirm, Offer, Verdict};
use super::output::{AbandonReason, OffenceKind, Output};
use super::policy::{Admission, ReceiverLoad};
use super::time::Time;
use super::unit::Unit;

/// Sources of one unit at once, in the end game.
const RACERS_MAX: usize = 2;

/// Everything that is on its way here.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    /// One entry per unit that is neither held nor lacking.
    pub(super) coming: BTreeMap<(FileId, Unit), Coming>,
    next_place: u64,
    /// Files of which nothing is accepted because this node could not write.
    pub(super) unwritable: BTreeSet<FileId>,
}

#[derive(Debug)]
pub(super) struct Coming {
    since: Time,
    /// So slow, and so near the end, that a second source is welcome.
    racing: bool,
    /// At least one.
    fetches: Vec<Fetch>,
}

#[derive(Clone, Copy, Debug)]
struct Fetch {
    from: NodeId,
    /// Order of acceptance.
    place: u64,
    stage: FetchStage,
}

#[derive(Clone, Copy, Debug)]
enum FetchStage {
    /// Accepted; requested when the source has a place for it.
    Queued,
    Running {
        since: Time,
        progress_at: Time,
        bytes: u64,
    },
}

impl Coming {
    /// Whether the map names it as coming, so that nobody else offers it.
    pub(super) fn is_claimed(&self) -> bool {
        !self.racing || self.fetches.len() >= RACERS_MAX
    }
}

impl Receiving {
    fn fetches(&self) -> impl Iterator<Item = (FileId, Unit, &Fetch)> {
        let all = self.coming.iter();
        all.flat_map(|(&(file, unit), coming)| coming.fetches.iter().map(move |fetch| (file, unit, fetch)))
    }

    fn running_from(&self, source: NodeId) -> usize {
        let running =
            |fetch: &Fetch| fetch.from == source && matches!(fetch.stage, FetchStage::Running { .. });
        self.fetches().filter(|(_, _, fetch)| running(fetch)).count()
    }
}

impl Swarm {
    /// Steps 1 and 2: an offer is answered at once.
    pub(super) fn on_offer(&mut self, from: NodeId, exchange: ExchangeId, offer: &Offer) {
        let verdicts = if self.files.contains_key(&offer.file) && self.peers.contains_key(&from) {
            if let Some(map) = &offer.map {
                self.update_view(from, offer.file, map);
            }
            offer.units.iter().map(|&number| self.judge(from, offer.file, number)).collect()
        } else {
            vec![Verdict::Unknown; offer.units.len()]
        };
        let known = !verdicts.contains(&Verdict::Unknown);
        let map = if known { self.map_for(from, offer.file) } else { None };
        let answer = Answer { stamp: self.next_stamp(), verdicts, map };
        self.outputs.push_back(Output::Answer { to: from, exchange, answer });
    }

    fn judge(&mut self, from: NodeId, file: FileId, number: u32) -> Verdict {
        let Some(state) = self.files.get_mut(&file) else { return Verdict::Unknown };
        let Some(unit) = Unit::from_number(state.layout(), number) else { return Verdict::Declined };
        if state.held.contains(unit.chunk()) {
            return Verdict::Have;
        }
        if !state.is_fetching() || !state.trusts(from, unit) {
            return Verdict::Declined;
        }
        let coming = self.receiving.coming.get(&(file, unit));
        if coming.is_some_and(|coming| coming.is_claimed() || coming.fetches.iter().any(|f| f.from == from)) {
            return Verdict::Have;
        }
        let cooling = self.peers.get(&from).is_some_and(|peer| peer.cool_until > self.now);
        let load = ReceiverLoad {
            coming: self.receiving.fetches().count(),
            coming_of_file: state.coming_len,
            other_files: self.finding.active.len() - usize::from(state.asking.is_some()),
        };
        if cooling || state.storage_until.is_some() || self.policy.admit(load) == Admission::Busy {
            return Verdict::Busy;
        }
        let fetch = Fetch { from, place: self.receiving.next_place, stage: FetchStage::Queued };
        self.receiving.next_place += 1;
        let coming = self.receiving.coming.entry((file, unit)).or_insert_with(|| {
            state.coming_len += 1;
            Coming { since: self.now, racing: false, fetches: Vec::new() }
        });
        coming.fetches.push(fetch);
        if let Some(asking) = &mut state.asking {
            asking.next = self.now + self.config.starved_after;
        }
        Verdict::Accept
    }

    /// Step 3: requests what is queued, in order of acceptance, as far as each source has a place.
    pub(super) fn pump_fetches(&mut self) {
        let queued =
            self.receiving.fetches().filter(|(_, _, fetch)| matches!(fetch.stage, FetchStage::Queued));
        let mut queued: Vec<_> =
            queued.map(|(file, unit, fetch)| (fetch.place, fetch.from, file, unit)).collect();
        queued.sort_unstable_by_key(|&(place, ..)| place);
        for (place, from, file, unit) in queued {
            if self.receiving.running_from(from) >= self.config.fetches_per_source_max {
                continue;
            }
            let fetches = self.receiving.coming.get_mut(&(file, unit)).map(|coming| &mut coming.fetches);
            if let Some(fetch) = fetches.and_then(|all| all.iter_mut().find(|fetch| fetch.place == place)) {
                fetch.stage = FetchStage::Running { since: self.now, progress_at: self.now, bytes: 0 };
                self.outputs.push_back(Output::Fetch { from, file, unit });
            }
        }
    }

    pub(super) fn on_fetch_progress(&mut self, from: NodeId, file: FileId, unit: Unit, now_bytes: u64) {
        let Some(coming) = self.receiving.coming.get_mut(&(file, unit)) else { return };
        let fetch = coming.fetches.iter_mut().find(|fetch| fetch.from == from);
        if let Some(FetchStage::Running { progress_at, bytes, .. }) = fetch.map(|fetch| &mut fetch.stage)
            && now_bytes > *bytes
        {
            *bytes = now_bytes;
            *progress_at = self.now;
        }
    }

    /// Step 4: a fetch ended.
    pub(super) fn on_fetched(&mut self, from: NodeId, file: FileId, unit: Unit, outcome: FetchOutcome) {
        let since = self.receiving.coming.get(&(file, unit)).map(|coming| coming.since);
        let fetch = self.take_fetch(from, file, unit);
        if self.files.get(&file).is_none_or(|state| state.standing == Standing::Stopped) {
            return;
        }
        if outcome != FetchOutcome::Verified {
            self.note_lacking(file, unit);
        }
        let Some(state) = self.files.get_mut(&file) else { return };
        match outcome {
            FetchOutcome::Verified => {
                let len = unit.len(state.layout());
                if let Some(since) = since {
                    state.saw_unit_take(self.now.since(since));
                }
                if let (Some(peer), Some(FetchStage::Running { since, .. })) =
                    (self.peers.get_mut(&from), fetch.map(|fetch| fetch.stage))
                {
                    peer.saw_unit(len, self.now.since(since));
                }
                self.on_verified(from, file, unit);
            }
            FetchOutcome::WrongBytes => {
                state.sent_wrong_bytes(from, unit);
                let kind = OffenceKind::WrongBytes { unit };
                self.outputs.push_back(Output::Offence { peer: from, file, kind });
                self.drop_untrusted(from, file);
            }
            FetchOutcome::ManifestFalse => self.stop(file, unit),
            // What was cancelled fails as a matter of course.
            FetchOutcome::Failed(failure) if fetch.is_some() => {
                self.on_fetch_failed(from, file, unit, failure);
            }
            FetchOutcome::Failed(_) => {}
        }
    }

    fn on_verified(&mut self, from: NodeId, file: FileId, unit: Unit) {
        let Some(state) = self.files.get_mut(&file) else { return };
        let new = state.held.insert(unit.chunk());
        // A loser of the race is told as well: its place is free.
        let of_unit = self.receiving.coming.get(&(file, unit)).map(|coming| &coming.fetches);
        let losers = of_unit.into_iter().flatten().map(|fetch| fetch.from);
        let senders: Vec<NodeId> = std::iter::once(from).chain(losers).collect();
        let confirm = Confirm { file, unit: unit.number() };
        self.outputs.extend(senders.into_iter().map(|to| Output::Confirm { to, confirm }));
        self.drop_fetches(|_, of, other| of == file && other == unit);
        let Some(state) = self.files.get_mut(&file).filter(|_| new) else { return };
        if let Some(asking) = &mut state.asking {
            asking.round = 0;
            asking.next = self.now + self.config.starved_after;
        }
        if state.held.is_full() && state.standing == Standing::Partial {
            state.standing = Standing::Verified;
            self.deactivate(file);
            self.outputs.push_back(Output::Completed { file });
        }
    }

    fn on_fetch_failed(&mut self, from: NodeId, file: FileId, unit: Unit, failure: FetchFailure) {
        match failure {
            FetchFailure::Storage | FetchFailure::OtherManifest => {
                if let Some(state) = self.files.get_mut(&file) {
                    state.storage_until = Some(self.now + self.config.storage_wait);
                    self.receiving.unwritable.insert(file);
                }
                return;
            }
            FetchFailure::NotThere => {
                let view = self.files.get_mut(&file).and_then(|state| state.views.get_mut(&from));
                if let Some(view) = view {
                    view.held.remove(unit.chunk());
                }
                let kind = OffenceKind::NotThere { unit };
                self.outputs.push_back(Output::Offence { peer: from, file, kind });
            }
            FetchFailure::Unreachable => self.drop_queued(from),
            FetchFailure::Refused => {}
        }
        self.cool_off(from);
    }

    /// The manifest is false: nobody who sent is to blame, and nothing more of the file moves.
    fn stop(&mut self, file: FileId, unit: Unit) {
        let Some(state) = self.files.get_mut(&file) else { return };
        state.standing = Standing::Stopped;
        let publisher = state.publisher;
        self.drop_fetches(|_, of, _| of == file);
        self.free_all(|_, of| of == file);
        self.drop_views_of_file(file);
        self.deactivate(file);
        let reason = AbandonReason::ManifestFalse { unit };
        self.outputs.push_back(Output::Abandoned { file, publisher, reason });
    }

    /// Nothing is accepted from a failing source for a while.
    fn cool_off(&mut self, source: NodeId) {
        if let Some(peer) = self.peers.get_mut(&source).filter(|peer| peer.cool_until <= self.now) {
            peer.cool_until = self.now + self.policy.cool_off(peer.cool_streak);
            peer.cool_streak = peer.cool_streak.saturating_add(1);
        }
    }

    /// Takes a fetch out of the books; without its last fetch a unit is not coming any more.
    fn take_fetch(&mut self, from: NodeId, file: FileId, unit: Unit) -> Option<Fetch> {
        let coming = self.receiving.coming.get_mut(&(file, unit))?;
        let at = coming.fetches.iter().position(|fetch| fetch.from == from)?;
        let fetch = coming.fetches.swap_remove(at);
        if coming.fetches.is_empty() {
            self.receiving.coming.remove(&(file, unit));
            if let Some(state) = self.files.get_mut(&file) {
                state.coming_len = state.coming_len.saturating_sub(1);
            }
        }
        Some(fetch)
    }

    /// If a unit is neither held nor coming any more, holders are told.
    fn note_lacking(&mut self, file: FileId, unit: Unit) {
        let held = self.files.get(&file).is_some_and(|state| state.held.contains(unit.chunk()));
        if !held && !self.receiving.coming.contains_key(&(file, unit)) {
            self.finding.changed.insert(file);
        }
    }

    /// Takes out fetches and breaks off those that run.
    pub(super) fn drop_fetches(&mut self, which: impl Fn(NodeId, FileId, Unit) -> bool) {
        let all = self.receiving.fetches().map(|(file, unit, fetch)| (fetch.from, file, unit));
        let dropped: Vec<_> = all.filter(|&(from, file, unit)| which(from, file, unit)).collect();
        for (from, file, unit) in dropped {
            if let Some(Fetch { stage: FetchStage::Running { .. }, .. }) = self.take_fetch(from, file, unit) {
                self.outputs.push_back(Output::CancelFetch { from, file, unit });
            }
            self.note_lacking(file, unit);
        }
    }

    fn drop_queued(&mut self, source: NodeId) {
        let of_source = self.receiving.fetches().filter(|(_, _, fetch)| fetch.from == source);
        let queued = of_source.filter(|(_, _, fetch)| matches!(fetch.stage, FetchStage::Queued));
        let queued: Vec<_> = queued.map(|(file, unit, _)| (file, unit)).collect();
        for (file, unit) in queued {
            self.take_fetch(source, file, unit);
            self.note_lacking(file, unit);
        }
    }

    fn drop_untrusted(&mut self, source: NodeId, file: FileId) {
        let Some(state) = self.files.get(&file) else { return };
        let untrusted: BTreeSet<Unit> = self
            .receiving
            .fetches()
            .filter(|&(of, unit, fetch)| of == file && fetch.from == source && !state.trusts(source, unit))
            .map(|(_, unit, _)| unit)
            .collect();
        self.drop_fetches(|from, of, unit| from == source && of == file && untrusted.contains(&unit));
    }

    pub(super) fn expire_fetches(&mut self) {
        let stalled: Vec<_> = self
            .receiving
            .fetches()
            .filter(|(_, _, fetch)| self.stalls_at(fetch).is_some_and(|at| at <= self.now))
            .map(|(file, unit, fetch)| (fetch.from, file, unit))
            .collect();
        for (from, file, unit) in stalled {
            self.drop_fetches(|source, of, other| (source, of, other) == (from, file, unit));
            self.drop_queued(from);
            self.cool_off(from);
            self.outputs.push_back(Output::Offence { peer: from, file, kind: OffenceKind::Stalled { unit } });
        }
        for ((file, _), coming) in &mut self.receiving.coming {
            let Some(state) = self.files.get(file).filter(|state| state.is_end_game()) else { continue };
            if coming.is_claimed()
                && !coming.racing
                && coming.since + self.policy.race_after(state.unit_time) <= self.now
            {
                coming.racing = true;
                self.finding.changed.insert(*file);
            }
        }
        let writable_again =
            |state: &super::FileState| state.storage_until.is_none_or(|until| until <= self.now);
        let unwritable = std::mem::take(&mut self.receiving.unwritable);
        for file in unwritable {
            match self.files.get_mut(&file) {
                Some(state) if writable_again(state) => {
                    state.storage_until = None;
                    self.finding.changed.insert(file);
                }
                Some(_) => _ = self.receiving.unwritable.insert(file),
                None => {}
            }
        }
    }

    fn stalls_at(&self, fetch: &Fetch) -> Option<Time> {
        let FetchStage::Running { progress_at, .. } = fetch.stage else { return None };
        let rate = self.peers.get(&fetch.from).and_then(|peer| peer.rate);
        Some(progress_at + self.policy.stall_after(rate))
    }

    /// When something here stalls, is raced or may be written again.
    pub(super) fn next_fetch_deadline(&self) -> Option<Time> {
        let stalls = self.receiving.fetches().filter_map(|(_, _, fetch)| self.stalls_at(fetch));
        let races = self.receiving.coming.iter().filter_map(|((file, _), coming)| {
            let state = self.files.get(file).filter(|state| state.is_end_game() && !coming.racing)?;
            Some(coming.since + self.policy.race_after(state.unit_time))
        });
        let writable = self.receiving.unwritable.iter();
        let writable = writable.filter_map(|file| self.files.get(file).and_then(|state| state.storage_until));
        stalls.chain(races).chain(writable).min()
    }
}
