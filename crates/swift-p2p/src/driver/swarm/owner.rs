//! The owner of the machine: takes what happens, one thing after the other.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use swift_chain::NodeId;
use swift_chunks::{FileId, Slice};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::{
    LOOK_EVERY,
    copies::Copies,
    events::{Command, Event, FetchEnd},
    files::{Files, Receiving},
    handle::Status,
    incoming::Arrived,
    lanes::Lanes,
    library::Library,
    post::Post,
    priorities::Priorities,
    rates::Rates,
    reading::Leaving,
    sends::Sends,
    survey::Surveys,
    tally::SwarmTally,
    trees::Trees,
};
use crate::driver::conduct::Conduct;
use crate::swarm::{
    ExchangeId, FetchFailure, FetchOutcome, Input, SendOutcome, Swarm, Time,
    message::{Answer, Holdings},
};

/// How often progress is told to the machine, and how long a verified chunk waits for its commit at most.
const TICK: Duration = Duration::from_secs(1);
/// Events that are taken in one turn, at most, before others have theirs.
const TURN_EVENTS_MAX: usize = 256;

/// Files that became whole of which a slow listener hears still.
const STORED_HEARD_MAX: usize = 1024;

/// One request to a peer that runs in a lane.
pub(super) struct Running {
    pub(super) id: u64,
    pub(super) stop: CancellationToken,
    pub(super) arrived: Arc<Arrived>,
    /// Bytes of which the machine was told.
    pub(super) seen: u64,
    /// Bytes that were measured.
    pub(super) counted: u64,
}

/// Owns the machine, and everything that its file ids and peers stand for out here.
pub(super) struct Owner {
    pub(super) me: NodeId,
    pub(super) swarm: Swarm,
    pub(super) start: Instant,
    pub(super) lanes: Lanes,
    pub(super) library: Library,
    pub(super) post: Post,
    pub(super) conduct: Conduct,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// Blocking work under way: the store is not free before it is done.
    pub(super) work: TaskTracker,
    pub(super) files: Files,
    pub(super) fetches: HashMap<(NodeId, FileId, Slice), Running>,
    pub(super) priorities: Priorities,
    pub(super) leaving: Leaving,
    pub(super) next_fetch: u64,
    pub(super) sends: Sends,
    pub(super) received: Rates,
    pub(super) sent: Rates,
    measured: Instant,
    pub(super) tally: SwarmTally,
    /// Of chunks that others were served parts of.
    pub(super) trees: Arc<Trees>,
    /// Those that the machine has just given.
    pub(super) answers: HashMap<ExchangeId, Answer>,
    pub(super) questions: HashMap<ExchangeId, oneshot::Sender<Holdings>>,
    next_exchange: u64,
    pub(super) surveys: Surveys,
    pub(super) copies: Copies,
    pub(super) online: BTreeSet<NodeId>,
    pub(super) status: watch::Sender<Status>,
    /// Blocks up to this height were looked at.
    pub(super) followed: u64,
    pub(super) target: u64,
    pub(super) is_looking: bool,
    /// Whether the store may want more files than the machine was told of.
    pub(super) is_more_wanted: bool,
    /// When it was last asked without a reason.
    checked: Instant,
    pub(super) look_every: Duration,
    /// Hears of files that are whole here now.
    pub(super) stored: broadcast::Sender<FileId>,
}

impl Owner {
    pub(super) fn new(
        me: NodeId,
        swarm: Swarm,
        lanes: Lanes,
        library: Library,
        post: Post,
        (events, work): (mpsc::UnboundedSender<Event>, TaskTracker),
        followed: u64,
    ) -> (Self, watch::Receiver<Status>) {
        let (status, watched) = watch::channel(Status::default());
        let owner = Self {
            me,
            swarm,
            start: Instant::now(),
            lanes,
            library,
            conduct: post.conduct().clone(),
            post,
            events,
            work,
            files: Files::default(),
            fetches: HashMap::new(),
            priorities: Priorities::default(),
            leaving: Leaving::default(),
            next_fetch: 0,
            sends: Sends::default(),
            received: Rates::default(),
            sent: Rates::default(),
            measured: Instant::now(),
            tally: SwarmTally::default(),
            trees: Arc::default(),
            answers: HashMap::new(),
            questions: HashMap::new(),
            next_exchange: 0,
            surveys: Surveys::default(),
            copies: Copies::default(),
            online: BTreeSet::new(),
            status,
            followed,
            target: followed,
            is_looking: false,
            is_more_wanted: true,
            checked: Instant::now(),
            look_every: LOOK_EVERY,
            stored: broadcast::Sender::new(STORED_HEARD_MAX),
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
            // What else has come by now, so that what it leads to is said together.
            for event in std::iter::from_fn(|| events.try_recv().ok()).take(TURN_EVENTS_MAX) {
                self.on_event(event);
            }
            self.post.flush();
        }
        self.end().await;
    }

    /// Lets go of everything. What is verified already becomes durable.
    async fn end(self) {
        let Self { lanes, files, fetches, work, .. } = self;
        fetches.values().for_each(|running| running.stop.cancel());
        let ended = task::spawn_blocking(move || {
            lanes.join();
            for receiving in files.iter().filter_map(|(_, entry)| entry.receiving()) {
                // Also where nothing was noted: the last slices may have come after the last event.
                let committed = receiving.incoming.download().map(|download| download.commit());
                if let Some(Err(error)) = committed {
                    warn!(%error, "what came last was not kept; it is fetched again");
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
        let mut unknown = command.files();
        if matches!(command, Command::Survey { .. }) && self.online.is_empty() {
            // There is nobody to ask, so nothing need be known.
            unknown.clear();
        }
        unknown.retain(|file| self.files.get(file).is_none());
        if unknown.is_empty() {
            self.answer(command);
        } else {
            self.library.find(unknown, command, &self.work, &self.events);
        }
    }

    /// Answers a command. Files it names are known here, if anywhere.
    fn answer(&mut self, command: Command) {
        match command {
            Command::Offers { from, offers, reply } => {
                let answers = offers.into_iter().map(|offer| {
                    let exchange = self.next_exchange();
                    self.tell(Input::Offer { from, exchange, offer });
                    self.answers.remove(&exchange)
                });
                // The machine answers at once. The peer may be gone.
                let _ = reply.send(answers.flatten().collect());
            }
            Command::WhoHas { from, who_has, reply } => {
                let exchange = self.next_exchange();
                self.questions.insert(exchange, reply);
                self.tell(Input::WhoHas { from, exchange, who_has });
            }
            Command::Confirmed { by, confirms } => {
                confirms.into_iter().for_each(|confirm| self.tell(Input::Confirmed { by, confirm }));
            }
            Command::Announced { from, holdings } => {
                self.note_holdings(from, &holdings);
                self.tell(Input::Announced { from, holdings });
            }
            Command::Hint { file } => self.tell(Input::Survey { file }),
            Command::Serve { to, file, range, reply } => {
                // Who asked may be gone; then the send ends with what is dropped here.
                drop(reply.send(self.serve(to, file, &range)));
            }
            Command::Prioritize { file, priority, reply } => self.prioritize(file, priority, reply),
            Command::Priorities { reply } => drop(reply.send(self.priorities.all())),
            Command::Read { file, wanted, reply } => self.read(file, wanted, reply),
            Command::KeepChanged { file } => self.look_again(file),
            Command::IsUsed { file, reply } => drop(reply.send(self.is_used(&file))),
            Command::LetGo { promise, reply } => self.let_go(promise, reply),
            Command::Survey { files, is_new_only, reply } => self.survey(files, is_new_only, reply),
            Command::Copies { files, reply } => {
                drop(reply.send(files.iter().map(|file| self.copies_of(file)).collect()));
            }
            Command::Spread { file, reply } => drop(reply.send(self.swarm.spread(&file))),
            Command::Transfers { reply } => drop(reply.send(self.transfers())),
            Command::Traffic { reply } => drop(reply.send(self.traffic())),
            Command::PeerTraffic { reply } => drop(reply.send(self.peer_traffic())),
            Command::Tally { reply } => drop(reply.send(self.tally())),
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::PeerOnline(peer) => {
                if peer != self.me && self.online.insert(peer) {
                    self.copies.peer_came();
                    self.tell(Input::PeerOnline { peer });
                }
            }
            Event::PeerOffline(peer) => {
                if self.online.remove(&peer) {
                    self.lanes.forget(peer);
                    self.post.forget(&peer);
                    self.tell(Input::PeerOffline { peer });
                    self.copies.peer_went(peer);
                    self.surveys.gone(peer);
                }
            }
            Event::OfferAnswered { by, exchange, answer } => {
                self.tell(Input::OfferAnswered { by, exchange, answer });
            }
            Event::Posted { to, kind } => self.post.ended(to, kind),
            Event::OfferFailed { to, exchange } => self.tell(Input::OfferFailed { to, exchange }),
            Event::WhoHasAnswered { by, asked, holdings } => {
                self.note_holdings(by, &holdings);
                self.tell(Input::WhoHasAnswered { by, holdings });
                self.surveys.answered(by, &asked);
            }
            Event::WhoHasFailed { to, asked } => {
                self.tell(Input::WhoHasFailed { to });
                self.surveys.answered(to, &asked);
            }
            Event::Fetched { id, from, file, slice, end } => self.on_fetched(id, (from, file, slice), end),
            Event::Checked { file, chunk, end } => self.on_checked(file, chunk, end),
            Event::SendEnded { id, outcome } => {
                if let Some(mut sending) = self.sends.end(id) {
                    let (to, file, slice) = (sending.to, sending.file, sending.slice);
                    self.sent.add(file, to, sending.take_fresh());
                    self.tally.pieces_sent += u64::from(outcome == SendOutcome::Sent);
                    self.tell(Input::SendEnded { to, file, slice, outcome });
                }
            }
            Event::Prioritized { file, priority, outcome, reply } => {
                self.on_prioritized(file, priority, outcome, reply);
            }
            Event::ReadBegun { arriving, durable, reply } => self.on_read_begun(arriving, durable, reply),
            Event::RoomLeft { left } => self.on_room_left(left),
            Event::ReadingMoved { file } => self.tell_urgency(file),
            Event::Found { found, then } => {
                self.take_all(found);
                self.answer(then);
            }
            Event::Followed { height, found } => {
                self.is_looking = false;
                self.followed = self.followed.max(height);
                self.take_new(found);
                self.look_further();
            }
            Event::Other { found } => {
                if let Some(live) = found.live.filter(|_| self.has_only_doubt(&found.file)) {
                    self.take(found.file, live);
                }
            }
            Event::LetGo { file, outcome, reply } => self.on_let_go(file, outcome, reply),
            Event::LookedAgain { found } => self.take_all(found),
            Event::NoOther => {}
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
            Event::SurveyOver { id } => self.surveys.close(id),
        }
    }

    /// A fetch that the machine has not broken off has ended.
    fn on_fetched(&mut self, id: u64, (from, file, slice): (NodeId, FileId, Slice), end: FetchEnd) {
        let is_current = self.fetches.get(&(from, file, slice)).is_some_and(|running| running.id == id);
        // One that ended while it was being broken off says nothing of another that was begun since. But what it wrote
        // counts all the same.
        if !is_current && end.outcome != FetchOutcome::Verified {
            return;
        }
        if let Some(running) = self.end_fetch(from, file, slice).filter(|_| !is_current) {
            running.stop.cancel();
        }
        if end.outcome == FetchOutcome::Verified {
            self.note_readable(file);
            self.tally.pieces_received += 1;
        }
        match end.outcome {
            FetchOutcome::Verified if end.is_stored => self.note_taken_in(file),
            FetchOutcome::Verified if slice.is_chunk() => self.note_verified(file, slice.chunk()),
            FetchOutcome::Verified => self.note_part(file, slice),
            FetchOutcome::Failed(FetchFailure::Storage) => self.block(file, end.detail),
            FetchOutcome::Failed(FetchFailure::OtherManifest) => {
                self.block(file, end.detail);
                if let Some(entry) = self.files.get(&file) {
                    self.library.find_other(entry.content, &self.work, &self.events);
                }
            }
            FetchOutcome::WrongBytes => {
                warn!(%from, %file, ?slice, reason = end.detail, "a member sent wrong bytes");
            }
            FetchOutcome::ManifestFalse => {
                warn!(%file, ?slice, reason = end.detail, "the manifest is false");
            }
            FetchOutcome::Failed(failure) => {
                tracing::debug!(%from, %file, ?slice, ?failure, reason = end.detail, "a fetch failed");
            }
        }
        self.tell(Input::Fetched { from, file, slice, outcome: end.outcome });
    }

    /// Takes a fetch out of the books.
    pub(super) fn end_fetch(&mut self, from: NodeId, file: FileId, slice: Slice) -> Option<Running> {
        let mut running = self.fetches.remove(&(from, file, slice))?;
        self.received.add(file, from, running.take_fresh());
        Some(running)
    }

    fn on_tick(&mut self) {
        let mut progressed = Vec::new();
        self.measure();
        let took = self.measured.elapsed();
        self.measured = Instant::now();
        self.received.turn(took);
        self.sent.turn(took);
        for (&(from, file, slice), running) in &mut self.fetches {
            // While one brings the manifest, the others of the file wait for it, and none of them stalls.
            let receiving = self.files.get(&file).and_then(|entry| entry.receiving());
            let of_manifest = receiving.map_or(0, |receiving| receiving.incoming.manifest_bytes());
            let bytes = running.arrived.load(Ordering::Relaxed) + of_manifest;
            if std::mem::replace(&mut running.seen, bytes) != bytes {
                progressed.push(Input::FetchProgress { from, file, slice, bytes });
            }
        }
        progressed.extend(self.sends.progressed());
        progressed.into_iter().for_each(|input| self.tell(input));
        let pending =
            self.files.iter().filter(|(_, entry)| entry.receiving().is_some_and(Receiving::has_pending));
        let pending: Vec<FileId> = pending.map(|(&file, _)| file).collect();
        pending.into_iter().for_each(|file| self.drive_disk(file));
        self.end_quiet_reads();
        if self.checked.elapsed() >= self.look_every {
            self.checked = Instant::now();
            self.is_more_wanted = true;
        }
        self.look_further();
    }

    fn next_exchange(&mut self) -> ExchangeId {
        self.next_exchange += 1;
        ExchangeId(self.next_exchange)
    }
}
