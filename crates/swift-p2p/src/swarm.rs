//! One node's part in distributing files: a state machine, and nothing else.
//!
//! # The cycle
//! 1. A holder **offers** slices of a file to a peer that lacks them.
//! 2. The receiver **queues** them and answers each with accept, have, busy or declined, and with its map: what it
//!    holds and what is coming. The map replaces what the sender knew.
//! 3. It **requests** a slice from the sender.
//! 4. It verifies the slice and **confirms** it to the sender.
//! 5. The confirmation frees a place of the sender's *credit*, and the sender offers the next slice.
//!
//! Open offers and running sends together stay within the credit, a few more than run at once: a slice is offered
//! and accepted while others are under way, so nothing waits for a round trip between slices. A receiver that comes
//! late or restarts *asks* neighbours who has its files, telling its own map; holders then know what to offer.
//!
//! What is offered, requested and confirmed is a [slice](swift_chunks::Slice): a chunk, or over slow links a part of
//! one that is verified by itself and passed on before its chunk is whole. Judgement is in [`policy`]: whom to serve,
//! what to offer, how large a slice, how much at once, how long to wait.
//!
//! # Use
//! [`Swarm::handle`] takes one [`Input`]; then [`Swarm::poll_output`] until it is empty, then
//! [`Swarm::poll_timeout`]: give [`Input::Timeout`] when that moment has come. [`message`] has the bytes of what
//! peers tell each other.
//!
//! # Invariants
//! - The machine never reads a clock and does no IO, and entropy decides nothing. The same inputs give the same outputs.
//! - A grain of a chunk is in exactly one state: held, coming, or lacking. What is held is never requested, and
//!   nothing verified is fetched twice; while it is coming it is requested once, or again in the end game, then from
//!   another source.
//! - Nothing is claimed that the caller has not reported as verified, and no copy as complete that it has not
//!   reported as durable.
//! - Open offers never exceed the credit, whatever happens; every place has a deadline.
//! - A message never makes anything grow beyond the bounds in [`Config`]; one about a file or from a member that the
//!   caller has not named changes nothing.
//! - Messages may be lost, repeated and overtake each other. Nothing but a delay comes of it.
//! - A node without anything to fetch, whose neighbours lack nothing that it has, sends nothing and sets no timer.
//! - No message carries an address or a name; of content it carries the file's id and nothing else.
//!
//! ```
//! use std::time::Duration;
//! use swift_chain::NodeId;
//! use swift_chunks::{CHUNK_LEN, ChunkLayout, ChunkSet, FileId};
//! use swift_p2p::swarm::{Config, Input, Output, Swarm, Time, Want};
//!
//! let (me, source) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
//! let mut swarm = Swarm::new(me, Config::default(), 7);
//! swarm.handle(Time::ZERO, Input::PeerOnline { peer: source });
//! let layout = ChunkLayout::new(10 * CHUNK_LEN)?;
//! swarm.handle(Time::ZERO, Input::FileAdded {
//!     file: FileId::from_bytes([3; 32]),
//!     publisher: source,
//!     held: ChunkSet::empty(layout),
//!     parts: Vec::new(),
//!     want: Want::Wanted,
//! });
//! // Nothing is here, so the first thing to do is to ask.
//! assert!(matches!(swarm.poll_output(), Some(Output::WhoHas { to, .. }) if to == source));
//! assert!(swarm.poll_output().is_none());
//! assert!(swarm.poll_timeout() > Some(Time::after_start(Duration::from_millis(200))));
//! # Ok::<(), swift_chunks::FileTooLong>(())
//! ```

mod by_chunk;
mod choosing;
mod coming;
mod config;
mod file;
mod finding;
mod giving_up;
mod holding;
mod input;
mod maps;
pub mod message;
mod meter;
mod output;
mod peer;
pub mod policy;
mod random;
mod rarity;
mod receiving;
mod sending;
mod sends;
mod sent;
mod spread;
mod table;
#[cfg(test)]
mod tests;
mod time;
mod view;

use std::collections::VecDeque;

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, ChunkSet, FileId, Grains, Slice};

pub use config::Config;
pub use input::{
    CheckOutcome, ExchangeId, FetchFailure, FetchOutcome, Input, Priority, Reader, SendOutcome, Want,
};
pub use output::{AbandonReason, OffenceKind, Output};
pub use policy::{Policy, Standard};
pub use random::Random;
pub use spread::{SPREAD_NODES_MAX, SPREAD_PARTS_MAX, Spread};
pub use time::Time;

use coming::Receiving;
use file::{FileKey, FileState, Standing};
use finding::Finding;
use meter::Meter;
use peer::{Peer, PeerKey};
use sends::Sending;
use table::Table;

/// How far a file is on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Chunks verified and held.
    pub held: u32,
    /// Chunks in the file.
    pub total: u32,
    /// Bytes verified: those of chunks that are held, and of grains of others.
    pub bytes: u64,
    /// Slices accepted and not here yet.
    pub coming: usize,
}

/// One node's part in distributing files. See the [module](self).
#[derive(Debug)]
pub struct Swarm {
    me: NodeId,
    config: Config,
    policy: Box<dyn Policy>,
    random: Random,
    now: Time,
    seq: u64,
    files: Table<FileId, FileState>,
    peers: Table<NodeId, Peer>,
    uplink: Meter,
    downlink: Meter,
    sending: Sending,
    receiving: Receiving,
    finding: Finding,
    /// When to look for what is late: never later than that, often sooner.
    look_at: Time,
    outputs: VecDeque<Output>,
}

impl Swarm {
    /// A node that knows nobody and no file. All its choices follow from `seed`.
    pub fn new(me: NodeId, config: Config, seed: u64) -> Self {
        let policy = Box::new(Standard::new(config.clone()));
        Self::with_policy(me, config, policy, seed)
    }

    /// The same with judgements of the caller's own.
    pub fn with_policy(me: NodeId, config: Config, policy: Box<dyn Policy>, seed: u64) -> Self {
        Self {
            me,
            config,
            policy,
            random: Random::new(seed),
            now: Time::ZERO,
            seq: 0,
            files: Table::new(),
            peers: Table::new(),
            uplink: Meter::default(),
            downlink: Meter::default(),
            sending: Sending::default(),
            receiving: Receiving::default(),
            finding: Finding::default(),
            look_at: Time::NEVER,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in one thing that happened. A time earlier than one before counts as that one.
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        self.take(input);
        self.expire();
        self.pump_fetches();
        self.pump_announcements();
        self.pump_asks();
        self.pump_offers();
    }

    /// The next thing to do, in order; none when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, if nothing happens before. Ask again after every input.
    pub fn poll_timeout(&self) -> Option<Time> {
        let late = Some(self.look_at).filter(|_| self.awaits_anything());
        [late, self.next_retry(), self.next_ask_deadline()].into_iter().flatten().min()
    }

    /// Whether a peer's request for a slice may be served: it is verified, and the file is not given up.
    pub fn serves(&self, file: &FileId, slice: Slice) -> bool {
        let state = self.file(file).filter(|state| state.standing != Standing::Stopped);
        state.is_some_and(|state| state.holds(slice.chunk()).contains(slice.grains(state.layout())))
    }

    /// Whether the file was given up: its manifest is false.
    pub fn is_given_up(&self, file: &FileId) -> bool {
        self.file(file).is_some_and(|state| state.standing == Standing::Stopped)
    }

    /// The grains of a chunk that are verified.
    pub fn grains(&self, file: &FileId, chunk: ChunkIndex) -> Grains {
        self.file(file).map_or(Grains::NONE, |state| state.holds(chunk))
    }

    /// The grains that are verified of chunks that are not held, in order.
    pub fn parts(&self, file: &FileId) -> Vec<(ChunkIndex, Grains)> {
        self.file(file).map_or(Vec::new(), |state| state.open.iter().collect())
    }

    /// The most open offers and running sends at once, sends that nobody was offered apart.
    pub fn credit(&self) -> usize {
        self.policy.credit(self.link_of_sends(), self.peers.len() > 1)
    }

    /// How far a file is, if it is known.
    pub fn progress(&self, file: &FileId) -> Option<Progress> {
        self.file(file).map(|state| Progress {
            held: state.held.len(),
            total: state.layout().chunk_count(),
            bytes: state.bytes(),
            coming: state.coming_len,
        })
    }

    /// The chunks of a file that are held, if it is known.
    pub fn held(&self, file: &FileId) -> Option<&ChunkSet> {
        self.file(file).map(|state| &state.held)
    }

    /// Open offers and running sends.
    pub fn sends_len(&self) -> usize {
        self.sending.len()
    }

    fn file(&self, id: &FileId) -> Option<&FileState> {
        self.files.get(self.files.key(id)?)
    }

    /// Something to do with a peer and a file, as long as both are known.
    fn put(&mut self, peer: PeerKey, file: FileKey, make: impl FnOnce(NodeId, FileId) -> Output) {
        let ids = self.peers.id(peer).zip(self.files.id(file));
        self.outputs.extend(ids.map(|(peer, file)| make(peer, file)));
    }

    /// Something to do with a file, as long as it is known.
    fn put_of(&mut self, file: FileKey, make: impl FnOnce(FileId) -> Output) {
        self.outputs.extend(self.files.id(file).map(make));
    }

    fn note_offence(&mut self, peer: PeerKey, file: FileKey, kind: OffenceKind) {
        self.put(peer, file, |peer, file| Output::Offence { peer, file, kind });
    }

    /// What comes from whom is not known, or is about what is not known, changes nothing; a question is answered.
    fn take(&mut self, input: Input) {
        match input {
            Input::FileAdded { file, publisher, held, parts, want } => {
                self.on_file_added(file, publisher, (held, &parts), want);
            }
            Input::Offer { from, exchange, offer } => self.on_offer(from, exchange, &offer),
            Input::Fetched { from, file, slice, outcome } => self.on_fetched(from, file, slice, outcome),
            Input::WhoHas { from, exchange, who_has } => self.on_who_has(from, exchange, &who_has),
            Input::PeerOnline { peer } => self.on_peer_online(peer),
            Input::Timeout => {}
            other => _ = self.take_known(other),
        }
    }

    fn take_known(&mut self, input: Input) -> Option<()> {
        let of = |file: &FileId| self.files.key(file);
        let who = |peer: &NodeId| self.peers.key(peer);
        match input {
            Input::FileRemoved { file } => self.on_file_removed(of(&file)?),
            Input::Durable { file } => self.on_durable(of(&file)?),
            Input::Lost { file, chunks } => self.on_lost(of(&file)?, &chunks),
            Input::Evicted { file } => self.on_evicted(of(&file)?),
            Input::Prioritized { file, priority } => {
                let file = of(&file)?;
                self.files.get_mut(file)?.priority = priority;
            }
            Input::ReadingAt { file, readers } => self.on_reading_at(of(&file)?, readers),
            Input::Survey { file } => {
                let file = of(&file)?;
                let peers: Vec<PeerKey> = self.peers.keys().collect();
                peers.into_iter().for_each(|peer| self.put_question(peer, file));
            }
            Input::PeerOffline { peer } => self.on_peer_offline(who(&peer)?),
            Input::OfferAnswered { by, exchange, answer } => {
                self.on_offer_answered(who(&by)?, exchange, answer);
            }
            Input::OfferFailed { to, exchange } => self.on_offer_failed(who(&to)?, exchange),
            Input::SendStarted { to, file, slice } => self.on_send_started(who(&to)?, of(&file)?, slice),
            Input::SendProgress { to, file, slice } => self.on_send_progress(who(&to)?, of(&file)?, slice),
            Input::SendEnded { to, file, slice, outcome } => {
                self.on_send_ended(who(&to)?, of(&file)?, slice, outcome);
            }
            Input::FetchProgress { from, file, slice, bytes } => {
                self.on_fetch_progress(who(&from)?, of(&file)?, slice, bytes);
            }
            Input::ChunkChecked { file, chunk, outcome } => {
                self.on_chunk_checked(of(&file)?, chunk, outcome);
            }
            Input::Confirmed { by, confirm } => {
                self.on_confirmed(who(&by)?, of(&confirm.file)?, confirm.slice);
            }
            Input::WhoHasAnswered { by, holdings } => self.on_who_has_answered(who(&by)?, &holdings),
            Input::WhoHasFailed { to } => self.on_who_has_failed(who(&to)?),
            Input::Announced { from, holdings } => self.on_announced(who(&from)?, &holdings),
            // Those that need not be about what is known.
            Input::FileAdded { .. }
            | Input::Offer { .. }
            | Input::Fetched { .. }
            | Input::WhoHas { .. }
            | Input::PeerOnline { .. }
            | Input::Timeout => {}
        }
        Some(())
    }

    fn on_peer_online(&mut self, id: NodeId) {
        if id == self.me || self.peers.key(&id).is_some() || self.peers.len() >= self.config.peers_max {
            return;
        }
        let peer = self.peers.insert(id, Peer::default());
        // Where there are few, everybody is a neighbour and is asked at once; among many, questions come around.
        if self.peers.len() <= self.config.neighbours_max {
            let active: Vec<FileKey> = self.finding.active.iter().copied().collect();
            active.into_iter().for_each(|file| self.put_question(peer, file));
        }
    }

    fn on_peer_offline(&mut self, peer: PeerKey) {
        self.drop_fetches(|from, _, _| from == peer);
        self.free_all(|to, _| to == peer);
        self.drop_views_of_peer(peer);
        self.peers.remove(peer);
    }
}
