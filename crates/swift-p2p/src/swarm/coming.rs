//! The books of what is on its way here.

use std::collections::{BTreeMap, BTreeSet};

use swift_chunks::{ChunkIndex, Grains, Slice};

use super::file::{FileKey, FileState};
use super::peer::PeerKey;
use super::time::Time;

/// Sources of one slice at once, in the end game.
const RACERS_MAX: usize = 2;

/// Everything that is on its way here.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    /// By file and number of the slice.
    coming: BTreeMap<(FileKey, u32), Coming>,
    /// Fetches of each source.
    sources: BTreeMap<PeerKey, Counts>,
    /// Fetches, running or queued.
    fetches: usize,
    /// What was accepted and not requested, in order of acceptance.
    queue: BTreeMap<u64, (PeerKey, FileKey, Slice)>,
    next_place: u64,
    /// Bytes in a slice, smoothed.
    pub(super) slice_len: u64,
    /// Files of which nothing is accepted because this node could not write.
    pub(super) unwritable: BTreeSet<FileKey>,
}

/// How many fetches a source has.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: usize,
    running: usize,
}

/// A slice that was accepted and is not here.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) slice: Slice,
    pub(super) since: Time,
    /// So slow, and so near the end, that a second source is welcome.
    pub(super) racing: bool,
    /// At least one.
    pub(super) fetches: Vec<Fetch>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
    pub(super) from: PeerKey,
    /// Order of acceptance.
    pub(super) place: u64,
    pub(super) stage: FetchStage,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum FetchStage {
    /// Accepted; requested when the source has a place for it.
    Queued,
    Running {
        since: Time,
        progress_at: Time,
        bytes: u64,
    },
}

impl Fetch {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, FetchStage::Running { .. })
    }
}

impl Coming {
    /// Whether the map names it as coming, so that nobody else offers it.
    pub(super) fn is_claimed(&self) -> bool {
        !self.racing || self.fetches.len() >= RACERS_MAX
    }

    fn is_from(&self, source: PeerKey) -> bool {
        self.fetches.iter().any(|fetch| fetch.from == source)
    }
}

impl Receiving {
    /// Fetches, running or queued.
    pub(super) fn len(&self) -> usize {
        self.fetches
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (FileKey, &Coming)> {
        self.coming.iter().map(|(&(file, _), coming)| (file, coming))
    }

    /// What is coming of a file.
    pub(super) fn of_file(&self, file: FileKey) -> impl Iterator<Item = &Coming> {
        self.coming.range((file, 0)..=(file, u32::MAX)).map(|(_, coming)| coming)
    }

    /// What is coming of a chunk.
    pub(super) fn of_chunk(&self, file: FileKey, chunk: ChunkIndex) -> impl Iterator<Item = &Coming> {
        let numbers = Slice::numbers_of(chunk);
        self.coming.range((file, *numbers.start())..=(file, *numbers.end())).map(|(_, coming)| coming)
    }

    pub(super) fn get(&self, file: FileKey, slice: Slice) -> Option<&Coming> {
        self.coming.get(&(file, slice.number()))
    }

    pub(super) fn get_mut(&mut self, file: FileKey, slice: Slice) -> Option<&mut Coming> {
        self.coming.get_mut(&(file, slice.number()))
    }

    /// Whether a slice that is offered would be fetched from there already, or while it is coming from elsewhere.
    pub(super) fn is_taken(&self, state: &FileState, file: FileKey, slice: Slice, from: PeerKey) -> bool {
        let grains = slice.grains(state.layout());
        self.of_chunk(file, slice.chunk()).any(|coming| {
            let meets = coming.slice.grains(state.layout()).meets(grains);
            meets && (coming.is_claimed() || coming.is_from(from))
        })
    }

    /// The grains of a chunk that nobody else need offer.
    pub(super) fn claimed(&self, state: &FileState, file: FileKey, chunk: ChunkIndex) -> Grains {
        let claimed = self.of_chunk(file, chunk).filter(|coming| coming.is_claimed());
        claimed.fold(Grains::NONE, |all, coming| all.and(coming.slice.grains(state.layout())))
    }

    /// Takes a fetch into the books; says whether the slice was not coming before.
    pub(super) fn insert(&mut self, now: Time, file: FileKey, slice: Slice, from: PeerKey) -> bool {
        let fetch = Fetch { from, place: self.next_place, stage: FetchStage::Queued };
        self.queue.insert(self.next_place, (from, file, slice));
        self.next_place += 1;
        self.fetches += 1;
        self.sources.entry(from).or_default().all += 1;
        let coming = self.coming.entry((file, slice.number()));
        let coming =
            coming.or_insert_with(|| Coming { slice, since: now, racing: false, fetches: Vec::new() });
        coming.fetches.push(fetch);
        coming.fetches.len() == 1
    }

    /// Takes a fetch out of the books; says whether it was the slice's last.
    pub(super) fn remove(&mut self, file: FileKey, slice: Slice, from: PeerKey) -> Option<(Fetch, bool)> {
        let coming = self.coming.get_mut(&(file, slice.number()))?;
        let at = coming.fetches.iter().position(|fetch| fetch.from == from)?;
        let fetch = coming.fetches.swap_remove(at);
        let running = usize::from(fetch.is_running());
        self.fetches -= 1;
        self.queue.remove(&fetch.place);
        if let Some(of_source) = self.sources.get_mut(&from) {
            of_source.all -= 1;
            of_source.running -= running;
            if of_source.all == 0 {
                self.sources.remove(&from);
            }
        }
        let was_last = coming.fetches.is_empty();
        if was_last {
            self.coming.remove(&(file, slice.number()));
        }
        Some((fetch, was_last))
    }

    /// Every fetch with its file and slice.
    pub(super) fn fetches(&self) -> impl Iterator<Item = (FileKey, Slice, &Fetch)> {
        let all = self.coming.iter();
        all.flat_map(|(&(file, _), coming)| {
            coming.fetches.iter().map(move |fetch| (file, coming.slice, fetch))
        })
    }

    /// What was accepted and not requested, in order of acceptance.
    pub(super) fn queued(&self) -> Vec<(PeerKey, FileKey, Slice)> {
        self.queue.values().copied().collect()
    }

    /// A queued fetch is requested.
    pub(super) fn run(&mut self, file: FileKey, slice: Slice, from: PeerKey, now: Time) {
        let Some(coming) = self.coming.get_mut(&(file, slice.number())) else { return };
        let Some(fetch) = coming.fetches.iter_mut().find(|fetch| fetch.from == from && !fetch.is_running())
        else {
            return;
        };
        fetch.stage = FetchStage::Running { since: now, progress_at: now, bytes: 0 };
        self.queue.remove(&fetch.place);
        if let Some(of_source) = self.sources.get_mut(&from) {
            of_source.running += 1;
        }
    }

    /// Fetches from a source, running or queued.
    pub(super) fn len_from(&self, source: PeerKey) -> usize {
        self.sources.get(&source).map_or(0, |counts| counts.all)
    }

    pub(super) fn running_from(&self, source: PeerKey) -> usize {
        self.sources.get(&source).map_or(0, |counts| counts.running)
    }
}
