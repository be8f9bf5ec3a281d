//! The owner of the machine: takes what happens, one thing after the other.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use swift_chain::NodeId;
use swift_chunks::{CHUNK_LEN, ChunkSet, FileId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::{
    events::{Command, Event, FetchEnd},
    files::{Entry, Files, Receiving, Stage, WANTED_MAX, Waiting},
    handle::{Status, TransferStage, TransferState},
    incoming::{Arrived, Incoming},
    lanes::Lanes,
    library::{Found, Library, Live},
    post::Post,
    sends::Sends,
    survey::{PATIENCE, Surveyed, Surveys},
};
use crate::swarm::{
    ExchangeId, FetchFailure, FetchOutcome, Input, Swarm, Time, Unit, Want,
    message::{Answer, Holdings, Interest},
};

/// How often progress is told to the machine, and how long a verified chunk waits for its commit at most.
const TICK: Duration = Duration::from_secs(1);
/// Rows of transfers that are shown.
const TRANSFERS_SHOWN_MAX: usize = 1000;

/// One request to a peer that runs in a lane.
pub(super) struct Running {
    pub(super) stop: CancellationToken,
    pub(super) arrived: Arc<Arrived>,
    pub(super) seen: u64,
}

/// Owns the machine, and everything that its file ids and peers stand for out here.
pub(super) struct Owner {
    pub(super) me: NodeId,
    pub(super) swarm: Swarm,
    pub(super) start: Instant,
    pub(super) lanes: Lanes,
    pub(super) library: Library,
    pub(super) post: Post,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// Blocking work under way: the store is not free before it is done.
    pub(super) work: TaskTracker,
    pub(super) files: Files,
    pub(super) fetches: HashMap<(NodeId, FileId, Unit), Running>,
    pub(super) sends: Sends,
    pub(super) offers: HashMap<ExchangeId, oneshot::Sender<Answer>>,
    pub(super) questions: HashMap<ExchangeId, oneshot::Sender<Holdings>>,
    next_exchange: u64,
    surveys: Surveys,
    online: BTreeSet<NodeId>,
    status: watch::Sender<Status>,
    /// Blocks up to this height were looked at.
    followed: u64,
    target: u64,
    is_looking: bool,
    /// Whether the store may want more files than the machine was told of.
    is_more_wanted: bool,
}

impl Owner {
    pub(super) fn new(
        me: NodeId,
        swarm: Swarm,
        lanes: Lanes,
        library: Library,
        post: Post,
        events: mpsc::UnboundedSender<Event>,
        followed: u64,
    ) -> (Self, watch::Receiver<Status>) {
        let (status, watched) = watch::channel(Status::default());
        let owner = Self {
            me,
            swarm,
            start: Instant::now(),
            lanes,
            library,
            post,
            events,
            work: TaskTracker::new(),
            files: Files::default(),
            fetches: HashMap::new(),
            sends: Sends::default(),
            offers: HashMap::new(),
            questions: HashMap::new(),
            next_exchange: 0,
            surveys: Surveys::default(),
            online: BTreeSet::new(),
            status,
            followed,
            target: followed,
            is_looking: false,
            is_more_wanted: true,
        };
        (owner, watched)
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut events: mpsc::UnboundedReceiver<Event>,
        mut heights: watch::Receiver<u64>,
    ) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_catalog_running = true;
        self.look_further();
        loop {
            let due = self.swarm.poll_timeout().map(|due| self.start + due.elapsed());
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                Some(event) = events.recv() => self.on_event(event),
                changed = heights.changed(), if is_catalog_running => {
                    is_catalog_running = changed.is_ok();
                    self.target = self.target.max(*heights.borrow_and_update());
                    self.look_further();
                }
                () = sleep_until(due.unwrap_or(self.start)), if due.is_some() => self.tell(Input::Timeout),
                _ = tick.tick() => self.on_tick(),
            }
        }
        self.end().await;
    }

    /// Lets go of everything. Chunks that are verified already become durable.
    async fn end(self) {
        let Self { lanes, files, fetches, work, .. } = self;
        fetches.values().for_each(|running| running.stop.cancel());
        let ended = task::spawn_blocking(move || {
            lanes.join();
            let receiving = files.iter().filter_map(|(_, entry)| entry.receiving());
            for receiving in receiving.filter(|receiving| !receiving.pending.is_empty()) {
                let committed = receiving.incoming.download().map(|download| download.commit());
                if let Some(Err(error)) = committed {
                    warn!(%error, "the last chunks were not kept; they are fetched again");
                }
            }
        });
        work.close();
        work.wait().await;
        // A panic in it was reported.
        let _ = ended.await;
    }

    /// Tells the machine, and does what it asks for.
    pub(super) fn tell(&mut self, input: Input) {
        self.swarm.handle(Time::after_start(self.start.elapsed()), input);
        while let Some(output) = self.swarm.poll_output() {
            self.carry_out(output);
        }
    }

    fn on_command(&mut self, command: Command) {
        let unknown: Vec<FileId> =
            command.files().into_iter().filter(|file| self.files.get(file).is_none()).collect();
        if unknown.is_empty() {
            self.answer(command);
        } else {
            self.library.find(unknown, command, &self.work, &self.events);
        }
    }

    /// Answers a command. Files it names are known here, if anywhere.
    fn answer(&mut self, command: Command) {
        match command {
            Command::Offer { from, offer, reply } => {
                let exchange = self.next_exchange();
                self.offers.insert(exchange, reply);
                self.tell(Input::Offer { from, exchange, offer });
            }
            Command::WhoHas { from, who_has, reply } => {
                let exchange = self.next_exchange();
                self.questions.insert(exchange, reply);
                self.tell(Input::WhoHas { from, exchange, who_has });
            }
            Command::Confirmed { by, confirm } => self.tell(Input::Confirmed { by, confirm }),
            Command::Announced { from, holdings } => {
                self.forget_holder(from, &holdings);
                self.tell(Input::Announced { from, holdings });
            }
            Command::Hint { file } => self.tell(Input::Survey { file }),
            Command::Send { to, file, range, reply } => {
                let entry = self.files.get(&file);
                let layout = entry.map(|entry| entry.layout);
                let chunk = layout.and_then(|layout| layout.chunk(range.start / CHUNK_LEN));
                let unit = chunk.zip(layout).filter(|(chunk, layout)| layout.range(*chunk).end >= range.end);
                let Some((chunk, _)) = unit else {
                    // Who asked may be gone; so below.
                    let _ = reply.send(None);
                    return;
                };
                let unit = Unit::of_chunk(chunk);
                let guard = self.sends.begin(to, file, (unit, range.end - range.start), &self.events);
                self.tell(Input::SendStarted { to, file, unit });
                match self.files.receiving_mut(&file).filter(|receiving| receiving.pending.contains(&unit)) {
                    Some(receiving) => {
                        receiving.waiting.push(Waiting { unit, guard, reply });
                        self.drive_disk(file);
                    }
                    None => drop(reply.send(Some(guard))),
                }
            }
            Command::Copies { file, reply } => self.survey(file, reply),
            Command::Transfers { reply } => drop(reply.send(self.transfers())),
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::PeerOnline(peer) => {
                if peer != self.me && self.online.insert(peer) {
                    self.show_online();
                    self.tell(Input::PeerOnline { peer });
                }
            }
            Event::PeerOffline(peer) => {
                if self.online.remove(&peer) {
                    self.show_online();
                    self.lanes.forget(peer);
                    self.tell(Input::PeerOffline { peer });
                    let over = self.surveys.gone(peer);
                    self.report(over);
                }
            }
            Event::OfferAnswered { by, exchange, answer } => {
                self.tell(Input::OfferAnswered { by, exchange, answer });
            }
            Event::OfferFailed { to, exchange } => self.tell(Input::OfferFailed { to, exchange }),
            Event::WhoHasAnswered { by, asked, holdings } => {
                self.forget_holder(by, &holdings);
                self.tell(Input::WhoHasAnswered { by, holdings });
                let over = self.surveys.answered(by, &asked);
                self.report(over);
            }
            Event::WhoHasFailed { to, asked } => {
                self.tell(Input::WhoHasFailed { to });
                let over = self.surveys.answered(to, &asked);
                self.report(over);
            }
            Event::Fetched { from, file, unit, end } => self.on_fetched(from, file, unit, end),
            Event::SendEnded { id, outcome } => {
                if let Some(sending) = self.sends.end(id) {
                    let (to, file, unit) = (sending.to, sending.file, sending.unit);
                    self.tell(Input::SendEnded { to, file, unit, outcome });
                }
            }
            Event::Found { found, then } => {
                self.take_all(found);
                self.answer(then);
            }
            Event::Followed { height, found } => {
                self.is_looking = false;
                self.followed = self.followed.max(height);
                self.take_all(found);
                self.look_further();
            }
            Event::Refilled { found, more } => {
                self.is_looking = false;
                self.is_more_wanted = more;
                self.take_all(found);
                self.look_further();
            }
            Event::LookFailed { error } => {
                self.is_looking = false;
                warn!(%error, "the ledger or the store cannot be read; trying again");
            }
            Event::Committed { file, outcome } => self.on_committed(file, outcome),
            Event::Finished { file, outcome } => self.on_finished(file, outcome),
            Event::FinishAgain { file } => self.finish_again(file),
            Event::SurveyOver { id } => {
                let over = self.surveys.close(id);
                self.report(over);
            }
        }
    }

    /// A fetch that the machine has not broken off has ended.
    fn on_fetched(&mut self, from: NodeId, file: FileId, unit: Unit, end: FetchEnd) {
        if self.fetches.remove(&(from, file, unit)).is_none() {
            // It ended while it was being broken off. What it wrote counts all the same.
            if end.outcome != FetchOutcome::Verified {
                return;
            }
        }
        match end.outcome {
            FetchOutcome::Verified => self.note_verified(file, unit),
            FetchOutcome::Failed(FetchFailure::Storage) => self.block(file, end.detail),
            FetchOutcome::WrongBytes => {
                warn!(%from, %file, chunk = unit.number(), reason = end.detail, "a member sent wrong bytes");
            }
            FetchOutcome::ManifestFalse => {
                warn!(%file, chunk = unit.number(), reason = end.detail, "the manifest is false");
            }
            FetchOutcome::Failed(failure) => {
                tracing::debug!(%from, %file, chunk = unit.number(), ?failure, reason = end.detail, "a fetch failed");
            }
        }
        self.tell(Input::Fetched { from, file, unit, outcome: end.outcome });
    }

    fn on_tick(&mut self) {
        let mut progressed = Vec::new();
        for (&(from, file, unit), running) in &mut self.fetches {
            let bytes = running.arrived.load(std::sync::atomic::Ordering::Relaxed);
            if std::mem::replace(&mut running.seen, bytes) != bytes {
                progressed.push(Input::FetchProgress { from, file, unit, bytes });
            }
        }
        let sends = self.sends.progressed().into_iter();
        progressed.extend(sends.map(|(to, file, unit)| Input::SendProgress { to, file, unit }));
        progressed.into_iter().for_each(|input| self.tell(input));
        let pending = self
            .files
            .iter()
            .filter(|(_, entry)| entry.receiving().is_some_and(|receiving| !receiving.pending.is_empty()));
        let pending: Vec<FileId> = pending.map(|(&file, _)| file).collect();
        pending.into_iter().for_each(|file| self.drive_disk(file));
        self.look_further();
    }

    /// Looks at the next blocks, or at more of what the store wants, one look at a time.
    pub(super) fn look_further(&mut self) {
        if self.is_looking {
            return;
        }
        if self.is_more_wanted {
            let receiving = self.files.receiving_len();
            if receiving <= WANTED_MAX / 2 {
                let known: HashSet<FileId> = self.files.iter().map(|(&file, _)| file).collect();
                self.is_looking = true;
                let room = WANTED_MAX - receiving;
                return self.library.refill(known, room, &self.work, &self.events);
            }
        }
        if self.target > self.followed {
            self.is_looking = true;
            self.library.follow(self.followed + 1, self.target, &self.work, &self.events);
        }
    }

    fn take_all(&mut self, found: Vec<Found>) {
        let mut receiving = self.files.receiving_len();
        for Found { file, live } in found {
            match live {
                None => self.forget(file),
                Some(live) if live.is_complete || receiving < WANTED_MAX => {
                    receiving += usize::from(!live.is_complete);
                    self.take(file, live);
                }
                Some(_) => self.is_more_wanted = true,
            }
        }
    }

    /// A file that a live name means, as it was a moment ago.
    fn take(&mut self, file: FileId, live: Live) {
        let Live { publisher, content, held, is_complete } = live;
        let known = self.files.get(&file).map(|entry| (entry.content == content, &entry.stage));
        match known {
            Some((true, Stage::Receiving(_))) if !is_complete => return,
            Some((true, Stage::Stored)) if is_complete => return,
            Some((true, Stage::Abandoned)) => return,
            Some((true, Stage::Stored)) => return self.lose(file, &held),
            // Published here under another name meanwhile.
            Some((true, Stage::Receiving(_))) => return self.note_stored(file),
            // The same bytes under another manifest.
            Some((false, _)) => self.forget(file),
            None => {}
        }
        let (layout, holders) = (held.layout(), BTreeSet::new());
        if is_complete {
            self.files.insert(file, Entry { publisher, content, layout, stage: Stage::Stored, holders });
            self.tell(Input::FileAdded { file, publisher, held, want: Want::Wanted });
            return self.evict(file);
        }
        let incoming = Incoming::new(self.library.store.clone(), content);
        let mut receiving = Box::new(Receiving::new(incoming));
        receiving.is_finish_due = held.is_full();
        self.files
            .insert(file, Entry { publisher, content, layout, stage: Stage::Receiving(receiving), holders });
        if held.is_full() {
            // Nothing to fetch: it is empty, or a stop came between its last chunk and its name.
            self.drive_disk(file);
        } else {
            self.tell(Input::FileAdded { file, publisher, held, want: Want::Wanted });
        }
    }

    /// Chunks of a complete file turned out to be damaged.
    fn lose(&mut self, file: FileId, held: &ChunkSet) {
        let Some(entry) = self.files.get_mut(&file) else { return };
        let incoming = Incoming::new(self.library.store.clone(), entry.content);
        entry.stage = Stage::Receiving(Box::new(Receiving::new(incoming)));
        let units = held.missing().map(Unit::of_chunk).collect();
        self.tell(Input::Lost { file, units });
    }

    /// Drops everything about a file.
    pub(super) fn forget(&mut self, file: FileId) {
        if self.files.get(&file).is_some() {
            self.tell(Input::FileRemoved { file });
            self.files.remove(&file);
            self.show_problem();
        }
    }

    /// Keeps the number of complete files that are known within its bound.
    pub(super) fn evict(&mut self, stored: FileId) {
        if let Some(oldest) = self.files.note_stored(stored) {
            self.forget(oldest);
        }
    }

    /// Notes why nothing of a file can be stored. Said once, until something can be again.
    pub(super) fn block(&mut self, file: FileId, detail: String) {
        let Some(receiving) = self.files.receiving_mut(&file) else { return };
        if receiving.blocked.is_none() {
            warn!(%file, reason = detail, "a file cannot be stored; trying again until it can");
        }
        receiving.blocked = Some(detail);
        self.show_problem();
    }

    pub(super) fn unblock(&mut self, file: FileId) {
        let Some(receiving) = self.files.receiving_mut(&file) else { return };
        if receiving.blocked.take().is_some() {
            info!(%file, "the file can be stored again");
            self.show_problem();
        }
    }

    pub(super) fn show_problem(&self) {
        let receiving = self.files.iter().filter_map(|(_, entry)| entry.receiving());
        let problem = receiving.filter_map(|receiving| receiving.blocked.clone()).min();
        self.status.send_if_modified(|status| {
            let is_new = status.problem != problem;
            status.problem = problem;
            is_new
        });
    }

    fn show_online(&self) {
        self.status.send_modify(|status| status.online = self.online.iter().copied().collect());
    }

    fn survey(&mut self, file: FileId, reply: oneshot::Sender<Vec<NodeId>>) {
        let Some(id) = self.surveys.join(file, &self.online, reply) else { return };
        if self.online.is_empty() || self.swarm.progress(&file).is_none() {
            let over = self.surveys.close(id);
            return self.report(over);
        }
        self.tell(Input::Survey { file });
        let events = self.events.clone();
        task::spawn(async move {
            sleep(PATIENCE).await;
            let _ = events.send(Event::SurveyOver { id });
        });
    }

    /// Answers those who asked for copies.
    fn report(&self, over: impl IntoIterator<Item = Surveyed>) {
        for Surveyed { file, replies } in over {
            let entry = self.files.get(&file);
            let mine = entry.is_some_and(|entry| matches!(entry.stage, Stage::Stored)).then_some(self.me);
            let others = entry.into_iter().flat_map(|entry| entry.holders.intersection(&self.online));
            let complete: BTreeSet<NodeId> = others.copied().chain(mine).collect();
            for reply in replies {
                // Who asked may be gone.
                let _ = reply.send(complete.iter().copied().collect());
            }
        }
    }

    /// A member that says it has no whole copy is no holder, whatever it said before.
    fn forget_holder(&mut self, peer: NodeId, holdings: &Holdings) {
        for holding in &holdings.holdings {
            let is_holder = holding.map.as_ref().is_some_and(|map| map.interest == Interest::Complete);
            if let Some(entry) = self.files.get_mut(&holding.file).filter(|_| !is_holder) {
                entry.holders.remove(&peer);
            }
        }
    }

    fn transfers(&self) -> Vec<TransferState> {
        let unfinished = self.files.iter().filter(|(_, entry)| !matches!(entry.stage, Stage::Stored));
        let mut rows: Vec<TransferState> =
            unfinished.take(TRANSFERS_SHOWN_MAX).map(|(&file, entry)| self.transfer(file, entry)).collect();
        rows.sort_unstable_by_key(|row| row.file);
        rows
    }

    fn transfer(&self, file: FileId, entry: &Entry) -> TransferState {
        let total_bytes = entry.content.len;
        let running = self.fetches.iter().filter(|((_, of, _), _)| *of == file);
        let (mut peers, mut arriving) = (BTreeSet::new(), 0);
        for ((from, ..), running) in running {
            peers.insert(*from);
            arriving += running.arrived.load(std::sync::atomic::Ordering::Relaxed).min(CHUNK_LEN);
        }
        let progress = self.swarm.progress(&file);
        let held = progress.map_or(total_bytes, |progress| u64::from(progress.held) * CHUNK_LEN);
        let receiving = entry.receiving();
        let is_moving = !peers.is_empty()
            || progress.is_some_and(|progress| progress.coming > 0)
            || receiving.is_some_and(|receiving| receiving.is_finish_due);
        let (stage, detail) = match (&entry.stage, receiving.and_then(|receiving| receiving.blocked.clone()))
        {
            (Stage::Abandoned, _) => {
                let detail = format!("its manifest is false: node {} published a lie", entry.publisher);
                (TransferStage::Blocked, Some(detail))
            }
            (_, Some(detail)) => (TransferStage::Blocked, Some(detail)),
            _ if is_moving => (TransferStage::Receiving, None),
            _ => (TransferStage::Waiting, None),
        };
        let done_bytes = (held + arriving).min(total_bytes);
        TransferState { file, done_bytes, total_bytes, peers: peers.into_iter().collect(), stage, detail }
    }

    fn next_exchange(&mut self) -> ExchangeId {
        self.next_exchange += 1;
        ExchangeId(self.next_exchange)
    }
}
