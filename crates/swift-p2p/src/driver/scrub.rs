//! Reading everything that is held again, a little at a time, for as long as the node runs.
//!
//! A disk loses bytes without a word, and what nobody reads is missed when it is needed. So each content is read again
//! and hashed when its last verification is long enough ago, slowly. What has rotted is quarantined by the store and
//! fetched from others by the swarm.
//!
//! One thread does it, and waits for its turn where it is asked whether to go on: asked for something else meanwhile it
//! hears of it there, and ends there when everybody who could ask has gone.

mod pace;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use swift_chunks::{CHUNK_LEN, FileId, ScrubDue, ScrubPass, Store, StoreError};
use tokio::{sync::oneshot, task};
use tracing::{info, warn};

use super::{limits::Rate, wall_clock_ms};
use pace::Pace;

/// How fast a scrub goes that was asked for where the background one is off.
const RATE: u64 = 20 << 20;
/// Between looks whether something is due.
const PAUSE: Duration = Duration::from_secs(60);
/// What is looked at before it is recorded: so many contents, or bytes.
const BATCH_LEN: usize = 64;
const BATCH_BYTES: u64 = 64 << 20;
/// Files that may wait to be looked at.
const WAITING_MAX: usize = 1000;

/// How a node scrubs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubSettings {
    /// How fast; none is not at all.
    pub rate: Option<Rate>,
    /// How long after its last verification a content is verified again.
    pub interval: Duration,
}

impl Default for ScrubSettings {
    fn default() -> Self {
        Self { rate: Rate::new(RATE).ok(), interval: Duration::from_secs(30 * 24 * 60 * 60) }
    }
}

/// How fast a scrub goes that somebody asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScrubPace {
    /// As fast as the one in the background.
    #[default]
    AsSet,
    /// So fast.
    Rate(Rate),
    /// As fast as the disk.
    Unlimited,
}

/// What the owner of a running scrub holds.
#[derive(Debug)]
pub struct ScrubTask {
    /// For those who ask.
    pub handle: ScrubHandle,
    /// Resolves when it has ended: soon after the last handle is gone.
    pub ended: oneshot::Receiver<()>,
}

/// Asks for scrubs and how they go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ScrubHandle {
    commands: mpsc::Sender<Command>,
    now: Arc<Mutex<Now>>,
    settings: ScrubSettings,
}

/// How far the scrubs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubState {
    /// What is being looked at.
    pub running: Option<Scrubbing>,
    /// Files that are looked at next.
    pub waiting: Vec<FileId>,
    /// The last pass over everything that ended.
    pub last: Option<ScrubPass>,
    /// Contents that were found to be unsound and are not whole again.
    pub unrepaired: u64,
}

/// A scrub under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrubbing {
    /// The file, if it is one.
    pub file: Option<FileId>,
    /// When it began.
    pub started_ms: u64,
    /// Bytes that were looked at.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Contents that were not sound.
    pub found_bad: u64,
}

/// The scrub has ended: the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoScrub {
    /// The node is stopping.
    #[error("the scrub has stopped")]
    Stopped,
    /// Too much waits already.
    #[error("{WAITING_MAX} files wait to be scrubbed already; ask again later")]
    Busy,
}

/// What is looked at now, and what waits.
#[derive(Debug, Default)]
struct Now {
    /// Since when.
    file: Option<(FileId, u64)>,
    file_bytes: u64,
    /// Of what is not recorded yet.
    done_bytes: u64,
    waiting: VecDeque<(FileId, ScrubPace)>,
}

#[derive(Debug)]
enum Command {
    /// A pass was begun, or is to go on.
    Pass(ScrubPace),
    /// A file waits.
    File,
}

impl ScrubTask {
    /// Starts scrubbing a store. `on_bad` is told of content that may have lost chunks, which are to be fetched again.
    pub fn spawn(store: Store, settings: ScrubSettings, on_bad: Box<dyn Fn(FileId) + Send + Sync>) -> Self {
        let (commands_in, commands) = mpsc::channel();
        let (ended_out, ended) = oneshot::channel();
        let now = Arc::new(Mutex::new(Now::default()));
        let handle = ScrubHandle { commands: commands_in, now: now.clone(), settings };
        task::spawn_blocking(move || {
            let scrub = Scrub {
                store,
                settings,
                on_bad,
                commands,
                now,
                pace: ScrubPace::AsSet,
                ended: None,
                is_over: false,
            };
            scrub.run();
            // Nobody may be left to hear that it ended.
            let _ = ended_out.send(());
        });
        Self { handle, ended }
    }
}

impl ScrubHandle {
    /// Has everything looked at that was not since now. Durable: it goes on after a restart.
    pub fn begin(&self, store: &Store, pace: ScrubPace) -> Result<Result<ScrubPass, NoScrub>, StoreError> {
        let now_ms = wall_clock_ms();
        let pass = store.begin_scrub(now_ms, now_ms)?;
        Ok(self.commands.send(Command::Pass(pace)).map(|()| pass).map_err(|_| NoScrub::Stopped))
    }

    /// Has one file looked at, before everything else.
    pub fn begin_file(&self, file: FileId, pace: ScrubPace) -> Result<(), NoScrub> {
        {
            let mut now = lock(&self.now);
            if now.waiting.len() >= WAITING_MAX {
                return Err(NoScrub::Busy);
            }
            now.waiting.retain(|(waiting, _)| *waiting != file);
            now.waiting.push_back((file, pace));
        }
        self.commands.send(Command::File).map_err(|_| NoScrub::Stopped)
    }

    /// How far the scrubs are.
    pub fn state(&self, store: &Store) -> Result<ScrubState, StoreError> {
        let (pass, last, unrepaired) = (store.scrub_running()?, store.scrub_last()?, store.unrepaired()?);
        let left = pass.map(|pass| store.scrub_left(pass.before_ms)).transpose()?.unwrap_or_default();
        let now = lock(&self.now);
        let of_file = now.file.map(|(file, started_ms)| Scrubbing {
            file: Some(file),
            started_ms,
            done_bytes: now.done_bytes.min(now.file_bytes),
            total_bytes: now.file_bytes,
            found_bad: 0,
        });
        let of_all = pass.map(|pass| {
            let total_bytes = pass.bytes + left.bytes;
            Scrubbing {
                file: None,
                started_ms: pass.started_ms,
                done_bytes: (pass.bytes + now.done_bytes).min(total_bytes),
                total_bytes,
                found_bad: pass.bad,
            }
        });
        let waiting = now.waiting.iter().map(|(file, _)| *file).collect();
        Ok(ScrubState { running: of_file.or(of_all), waiting, last, unrepaired })
    }

    /// Whether a file is looked at now, or will be because somebody asked.
    pub fn is_waiting(&self, file: FileId) -> bool {
        let now = lock(&self.now);
        now.file.is_some_and(|(looked_at, _)| looked_at == file)
            || now.waiting.iter().any(|(waiting, _)| *waiting == file)
    }

    /// How this node scrubs by itself.
    pub fn settings(&self) -> ScrubSettings {
        self.settings
    }
}

fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread owns.
struct Scrub {
    store: Store,
    settings: ScrubSettings,
    on_bad: Box<dyn Fn(FileId) + Send + Sync>,
    commands: mpsc::Receiver<Command>,
    now: Arc<Mutex<Now>>,
    /// Of the pass under way.
    pace: ScrubPace,
    /// When the last pass ended.
    ended: Option<Instant>,
    /// Nobody is left who could ask.
    is_over: bool,
}

impl Scrub {
    fn run(mut self) {
        let mut after = None;
        while !self.is_over {
            match self.step(&mut after) {
                Ok(true) => self.wait(Duration::ZERO),
                Ok(false) => self.rest(),
                Err(StoreError::Stopped(_)) => return,
                Err(error) => {
                    warn!(%error, "the scrub cannot go on; trying again");
                    self.rest();
                }
            }
        }
    }

    /// Looks at some of what is to be looked at. False when there is nothing.
    fn step(&mut self, after: &mut Option<ScrubDue>) -> Result<bool, StoreError> {
        if let Some((file, pace)) = self.next_file() {
            let looked = self.look_at_file(file, pace);
            lock(&self.now).file = None;
            return looked.map(|()| true);
        }
        let Some(pass) = self.store.scrub_running()? else {
            *after = None;
            return self.begin_if_due();
        };
        let batch = self.batch(pass.before_ms, after.as_ref())?;
        let Some(last) = batch.last() else {
            *after = None;
            return self.end().map(|()| true);
        };
        *after = Some(*last);
        self.look(&batch, self.pace)?;
        Ok(true)
    }

    fn next_file(&self) -> Option<(FileId, ScrubPace)> {
        let mut now = lock(&self.now);
        let next = now.waiting.pop_front();
        now.file = next.map(|(file, _)| (file, wall_clock_ms()));
        now.file_bytes = 0;
        next
    }

    fn look_at_file(&mut self, file: FileId, pace: ScrubPace) -> Result<(), StoreError> {
        let Some(due) = self.store.scrub_due_of(file)? else { return Ok(()) };
        lock(&self.now).file_bytes = due.bytes;
        self.look(&[due], pace)
    }

    /// Begins a pass by itself when something is due for one.
    fn begin_if_due(&self) -> Result<bool, StoreError> {
        // What could not be looked at is due still.
        if self.ended.is_some_and(|ended| ended.elapsed() < PAUSE) {
            return Ok(false);
        }
        let now_ms = wall_clock_ms();
        let interval_ms = u64::try_from(self.settings.interval.as_millis()).unwrap_or(u64::MAX);
        let before_ms = now_ms.saturating_sub(interval_ms);
        if self.settings.rate.is_none() || self.store.scrub_due(before_ms, None, 1)?.is_empty() {
            return Ok(false);
        }
        self.store.begin_scrub(before_ms, now_ms)?;
        Ok(true)
    }

    fn batch(&self, before_ms: u64, after: Option<&ScrubDue>) -> Result<Vec<ScrubDue>, StoreError> {
        let mut due = self.store.scrub_due(before_ms, after, BATCH_LEN)?;
        let mut bytes = 0;
        let fits = |due: &&ScrubDue| {
            let is_first = bytes == 0;
            bytes += due.bytes;
            is_first || bytes <= BATCH_BYTES
        };
        let len = due.iter().take_while(fits).count();
        due.truncate(len);
        Ok(due)
    }

    fn look(&mut self, batch: &[ScrubDue], pace: ScrubPace) -> Result<(), StoreError> {
        let mut pace = Pace::new(self.rate(pace));
        let store = self.store.clone();
        let (mut yields, mut looked_at) = (store.is_taking_in(), 0);
        let scrubbed = store.scrub(batch, wall_clock_ms(), |read| {
            lock(&self.now).done_bytes = read;
            if read - looked_at >= CHUNK_LEN {
                (yields, looked_at) = (store.is_taking_in(), read);
            }
            self.wait(pace.after(read, yields));
            !self.is_over
        });
        lock(&self.now).done_bytes = 0;
        let scrubbed = scrubbed?;
        for (file_id, error) in scrubbed.failed {
            warn!(%file_id, %error, "a content cannot be verified");
        }
        for file_id in scrubbed.bad {
            warn!(%file_id, "stored content has rotted; it was quarantined and is fetched again if anybody has it");
            (self.on_bad)(file_id);
        }
        Ok(())
    }

    fn rate(&self, pace: ScrubPace) -> Option<Rate> {
        match pace {
            ScrubPace::AsSet => self.settings.rate.or(Rate::new(RATE).ok()),
            ScrubPace::Rate(rate) => Some(rate),
            ScrubPace::Unlimited => None,
        }
    }

    fn end(&mut self) -> Result<(), StoreError> {
        (self.pace, self.ended) = (ScrubPace::AsSet, Some(Instant::now()));
        self.store.end_scrub(wall_clock_ms())?;
        if let Some(pass) = self.store.scrub_last()? {
            info!(contents = pass.contents, bytes = pass.bytes, bad = pass.bad, "verified what is stored");
        }
        Ok(())
    }

    /// Waits so long, and notes what is asked for meanwhile.
    fn wait(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        while !self.is_over {
            let left = until.saturating_duration_since(Instant::now());
            match self.commands.recv_timeout(left) {
                Ok(command) => self.note(&command),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => self.is_over = true,
            }
        }
    }

    /// Waits a while, or until something is asked for.
    fn rest(&mut self) {
        match self.commands.recv_timeout(PAUSE) {
            Ok(command) => self.note(&command),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.is_over = true,
        }
    }

    fn note(&mut self, command: &Command) {
        if let Command::Pass(pace) = command {
            self.pace = *pace;
        }
    }
}
