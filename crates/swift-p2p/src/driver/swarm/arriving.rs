//! Reading a file in order while it is on its way: what is verified is read at once, and what is missing comes first.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use swift_chunks::{
    CHUNK_LEN, ChunkIndex, ChunkLayout, ContentReader, FileId, GRAIN_LEN, GrainTree, ReadError, Slice,
    SliceVerifier, StoreError,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{events::Event, incoming::Incoming, owner::Owner};
use crate::swarm::{Input, Priority, Reader, message::READERS_MAX};

/// Grains that are read at once.
const GRAINS_MAX: u64 = 16;

/// Chunks that are asked for when somebody begins to read, and how many more with each that was read on: all that is
/// asked for comes at the same time, so the more it is, the later the first of it. Who reads on gets more ahead.
const AHEAD_FIRST: u32 = 2;
/// How long after its last reader a file counts as read: many ask for one part after the other.
const QUIET_AFTER: Duration = Duration::from_secs(10);

/// Where those are who read a file while it arrives.
#[derive(Default)]
pub(super) struct Readers(Mutex<Places>);

#[derive(Default)]
struct Places {
    /// Nothing of those who have not begun.
    at: BTreeMap<u64, Option<Place>>,
    next: u64,
    /// When somebody last went.
    left: Option<Instant>,
}

/// Where somebody is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The chunk from which on it has read in order.
    from: ChunkIndex,
    at: ChunkIndex,
    last: ChunkIndex,
}

impl Place {
    /// Where it is now, after it was `before`.
    fn after(before: Option<Self>, at: ChunkIndex, last: ChunkIndex) -> Self {
        let goes_on = before.filter(|before| (0..=1).contains(&at.as_u64().wrapping_sub(before.at.as_u64())));
        Self { from: goes_on.map_or(at, |before| before.from), at, last }
    }

    /// What it comes to next.
    fn reader(self, layout: ChunkLayout) -> Reader {
        let count = AHEAD_FIRST.saturating_mul(1 + self.at.get().saturating_sub(self.from.get()));
        let end = layout.chunk(self.at.as_u64() + u64::from(count) - 1);
        Reader { at: self.at, last: end.map_or(self.last, |end| end.min(self.last)) }
    }
}

impl Readers {
    /// Where they are. Those who wait for the same count as one, and of very many those who came first count.
    pub(super) fn ahead(&self, layout: ChunkLayout) -> Vec<Reader> {
        let mut ahead: Vec<Reader> = Vec::new();
        for place in self.places().at.values().copied().flatten() {
            let reader = place.reader(layout);
            if let Some(other) = ahead.iter_mut().find(|other| other.at == reader.at) {
                other.last = other.last.max(reader.last);
            } else if ahead.len() < READERS_MAX {
                ahead.push(reader);
            }
        }
        ahead
    }

    /// How many read it.
    pub(super) fn len(&self) -> usize {
        self.places().at.len()
    }

    /// Whether nobody reads it, nor did a moment ago.
    pub(super) fn is_quiet(&self) -> bool {
        let places = self.places();
        places.at.is_empty() && places.left.is_none_or(|left| left.elapsed() >= QUIET_AFTER)
    }

    fn enter(&self) -> u64 {
        let mut places = self.places();
        places.next += 1;
        let reader = places.next;
        places.at.insert(reader, None);
        reader
    }

    /// A reader is here now. Says whether it was elsewhere.
    fn step(&self, reader: u64, at: ChunkIndex, last: ChunkIndex) -> bool {
        let mut places = self.places();
        let Some(place) = places.at.get_mut(&reader) else { return false };
        let now = Some(Place::after(*place, at, last));
        std::mem::replace(place, now) != now
    }

    fn leave(&self, reader: u64) {
        let mut places = self.places();
        places.at.remove(&reader);
        places.left = Some(Instant::now());
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is on its way here, for somebody who reads it in order. When it is dropped, the file is in no hurry any
/// more, and one that this node does not keep comes no further.
pub struct Arriving {
    content: ArrivingContent,
    progress: watch::Receiver<()>,
    reader: u64,
    events: mpsc::UnboundedSender<Event>,
}

/// The content of a file that is on its way: what a thread reads that may block.
#[derive(Clone)]
pub struct ArrivingContent(Arc<Incoming>);

/// The file is not on its way any more, and is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file is not on its way to this node any more")]
pub struct NoLongerArriving;

impl Arriving {
    pub(super) fn new(
        incoming: Arc<Incoming>,
        progress: watch::Receiver<()>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let reader = incoming.readers.enter();
        Self { content: ArrivingContent(incoming), progress, reader, events }
    }

    /// Its division into chunks.
    pub fn layout(&self) -> ChunkLayout {
        self.content.layout()
    }

    /// What to read from.
    pub fn content(&self) -> ArrivingContent {
        self.content.clone()
    }

    /// This part of the file is needed next, in order: peers are asked for it first. Call it before reading, and when the
    /// read gave nothing, [`Self::progressed`].
    pub fn seek(&mut self, range: &Range<u64>) {
        self.progress.mark_unchanged();
        let chunk = |offset: u64| self.layout().chunk(offset / CHUNK_LEN);
        let Some((at, last)) = chunk(range.start).zip(chunk(range.end.saturating_sub(1).max(range.start)))
        else {
            return;
        };
        if self.content.0.readers.step(self.reader, at, last) {
            self.tell();
        }
    }

    /// Waits until more of the file is here than at the last [`Self::seek`]. An error if there will be no more.
    pub async fn progressed(&mut self) -> Result<(), NoLongerArriving> {
        self.progress.changed().await.map_err(|_| NoLongerArriving)
    }

    /// Which file it is.
    pub(super) fn file(&self) -> FileId {
        self.content.0.content.file_id
    }

    pub(super) fn incoming(&self) -> &Arc<Incoming> {
        &self.content.0
    }

    fn tell(&self) {
        // The swarm may have ended.
        let _ = self.events.send(Event::ReadingMoved { file: self.file() });
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.content.0.readers.leave(self.reader);
        self.tell();
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving").field("file", &self.content.0.content.file_id).finish_non_exhaustive()
    }
}

impl ArrivingContent {
    /// Reads from the beginning of a range as much as is verified, a few grains or the rest of a chunk, and checks it
    /// again. Nothing if its first byte is not here. Blocks.
    pub fn read(&self, range: Range<u64>) -> Result<Option<Vec<u8>>, ReadError> {
        let layout = self.layout();
        let Some(chunk) = layout.chunk(range.start / CHUNK_LEN) else { return Ok(None) };
        let Some(reader) = self.reader()? else { return Ok(None) };
        let of_chunk = layout.range(chunk);
        let wanted = range.start..range.end.min(of_chunk.end);
        let read = if reader.holds(chunk) {
            let mut bytes = Vec::new();
            reader.read_verified_chunk(chunk, &mut bytes).map(|()| Some((bytes, of_chunk.start)))
        } else if reader.can_read(of_chunk.clone()) {
            whole(&reader, chunk).map(|read| read.map(|bytes| (bytes, of_chunk.start)))
        } else {
            self.grains(&reader, chunk, &wanted)
        };
        match read {
            Ok(read) => Ok(read.map(|(bytes, at)| part(bytes, at, &wanted))),
            // It was let go of, or moved to its place, since it was looked at.
            Err(ReadError::NotHeld { .. } | ReadError::Store(StoreError::NotFound(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What reads the file as it is now; nothing if nothing of it is here.
    fn reader(&self) -> Result<Option<ContentReader>, StoreError> {
        if let Some(download) = self.0.download() {
            return Ok(Some(download.part_reader()));
        }
        match self.0.store.reader(self.0.content.file_id) {
            Ok(reader) => Ok(Some(reader).filter(|reader| reader.content() == self.0.content)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Grains of a chunk that is not whole, checked by the tree by which they were judged when they came.
    fn grains(
        &self,
        reader: &ContentReader,
        chunk: ChunkIndex,
        wanted: &Range<u64>,
    ) -> Result<Option<(Vec<u8>, u64)>, ReadError> {
        let Some(tree) = self.0.tree(chunk) else { return Ok(None) };
        let layout = self.layout();
        let begin = layout.range(chunk).start;
        let first = (wanted.start - begin) / GRAIN_LEN;
        let (mut bytes, mut buffer) = (Vec::new(), Vec::new());
        for number in first..first + GRAINS_MAX {
            let number = u32::try_from(number).ok();
            let grain = number.and_then(|number| Slice::around(layout, chunk, number, 0));
            let Some(grain) = grain.filter(|grain| reader.can_read(grain.range(layout))) else { break };
            let range = grain.range(layout);
            buffer.resize(usize::try_from(range.end - range.start).unwrap_or(0), 0);
            reader.read_at(range.start, &mut buffer)?;
            let mut verifier = SliceVerifier::new(grain, &tree);
            if verifier.update(&buffer).and_then(|()| verifier.finish()).is_err() {
                return Err(differs(reader, chunk));
            }
            bytes.extend_from_slice(&buffer);
            if range.end >= wanted.end {
                break;
            }
        }
        Ok((!bytes.is_empty()).then_some((bytes, begin + first * GRAIN_LEN)))
    }

    fn layout(&self) -> ChunkLayout {
        self.0.layout
    }
}

impl fmt::Debug for ArrivingContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArrivingContent").field(&self.0.content.file_id).finish()
    }
}

/// A chunk that is verified and not durable yet.
fn whole(reader: &ContentReader, chunk: ChunkIndex) -> Result<Option<Vec<u8>>, ReadError> {
    let layout = reader.layout();
    let range = layout.range(chunk);
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
    let len = reader.read_at(range.start, &mut bytes)?;
    let tree = GrainTree::of_chunk(layout, chunk, &bytes[..len]);
    if tree.is_ok_and(|tree| {
        reader.digest(chunk).is_ok_and(|digest| digest.chaining_value == tree.chaining_value())
    }) {
        return Ok(Some(bytes));
    }
    Err(differs(reader, chunk))
}

fn differs(reader: &ContentReader, chunk: ChunkIndex) -> ReadError {
    StoreError::ReadBackDiffers { file_id: reader.content().file_id, chunk: chunk.get() }.into()
}

/// The wanted part of bytes that begin at `at`.
fn part(mut bytes: Vec<u8>, at: u64, wanted: &Range<u64>) -> Vec<u8> {
    let within =
        |offset: u64| usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
    let (start, end) = (within(wanted.start), within(wanted.end));
    bytes.truncate(end);
    bytes.split_off(start)
}

impl Owner {
    /// The file for somebody who reads it while it arrives; nothing if it does not.
    pub(super) fn arriving(&self, file: FileId) -> Option<Arriving> {
        let receiving = self.files.get(&file)?.receiving()?;
        Some(Arriving::new(receiving.incoming.clone(), receiving.progress.subscribe(), self.events.clone()))
    }

    /// More of a file is verified: whoever waits for it looks again.
    pub(super) fn note_readable(&self, file: FileId) {
        if let Some(receiving) = self.files.get(&file).and_then(|entry| entry.receiving()) {
            receiving.progress.send_replace(());
        }
    }

    /// How soon a file is wanted: before others if somebody reads it, whatever its priority.
    pub(super) fn urgency(&self, file: &FileId) -> Priority {
        let is_read = self.files.get(file).is_some_and(|entry| entry.readers.len() > 0);
        if is_read { Priority::High } else { self.priorities.of(file) }
    }

    /// Tells the machine how soon a file is wanted and where it is read.
    pub(super) fn tell_urgency(&mut self, file: FileId) {
        let Some(entry) = self.files.get(&file).filter(|entry| entry.receiving().is_some()) else { return };
        let readers = entry.readers.ahead(entry.layout);
        self.tell(Input::Prioritized { file, priority: self.urgency(&file) });
        self.tell(Input::ReadingAt { file, readers });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> ChunkLayout {
        ChunkLayout::new(100 * CHUNK_LEN).unwrap()
    }

    fn chunk(number: u64) -> ChunkIndex {
        layout().chunk(number).unwrap()
    }

    /// Where the readers are, and how far they are ahead.
    fn ahead(readers: &Readers) -> Vec<(u32, u32)> {
        readers.ahead(layout()).iter().map(|reader| (reader.at.get(), reader.last.get())).collect()
    }

    #[test]
    fn who_reads_on_gets_more_ahead_and_who_jumps_begins_anew() {
        let readers = Readers::default();
        let one = readers.enter();
        assert_eq!((ahead(&readers), readers.len()), (vec![], 1));
        for (at, last) in [(10, 11), (11, 14), (11, 14), (12, 17), (40, 41), (39, 40), (40, 43)] {
            readers.step(one, chunk(at), chunk(99));
            assert_eq!(ahead(&readers), [(u32::try_from(at).unwrap(), last)]);
        }
        assert!(readers.step(one, chunk(99), chunk(99)) && !readers.step(one, chunk(99), chunk(99)));
        assert_eq!(ahead(&readers), [(99, 99)]);
    }

    #[test]
    fn those_at_one_place_count_as_one_and_a_file_is_quiet_a_while_after_the_last_has_gone() {
        let readers = Readers::default();
        assert!(readers.is_quiet());
        let [one, two, three] = [readers.enter(), readers.enter(), readers.enter()];
        readers.step(one, chunk(5), chunk(5));
        readers.step(two, chunk(5), chunk(99));
        readers.step(three, chunk(50), chunk(50));
        assert_eq!(ahead(&readers), [(5, 6), (50, 50)]);
        [one, two, three].into_iter().for_each(|reader| readers.leave(reader));
        assert!(ahead(&readers).is_empty() && readers.len() == 0 && !readers.is_quiet());
        assert!(!readers.step(one, chunk(7), chunk(7)), "it has gone");
    }
}
