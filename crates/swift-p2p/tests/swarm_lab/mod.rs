//! A laboratory for swarms: many machines in virtual time, their uplinks and downlinks shared fairly among what
//! runs over them. The same seed gives the same run.
//!
//! After every step it checks what must hold whatever happens: see [`Lab::check`].

mod links;
mod packets;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swift_chain::NodeId;
use swift_chunks::{CHUNK_LEN, ChunkIndex, ChunkLayout, ChunkSet, FileId, Grains, Slice};
use swift_p2p::swarm::message::Message;
use swift_p2p::swarm::{
    CheckOutcome, Config, FetchFailure, FetchOutcome, Input, Output, Random, SendOutcome, Swarm, Time, Want,
};

pub use links::Flow;
use packets::Packet;

/// What a node does when a slice is requested from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Honest,
    /// Sends other bytes than it should.
    Lies,
    /// Claims everything and has nothing.
    Lacks,
    /// Accepts the request and sends nothing.
    Stalls,
}

pub struct Node {
    pub id: NodeId,
    /// None while the node is off.
    pub swarm: Option<Swarm>,
    pub behaviour: Behaviour,
    /// Bytes per second.
    pub up: f64,
    pub down: f64,
    pub latency: Duration,
    pub completed: BTreeMap<FileId, Duration>,
    /// The grains that were verified here.
    pub verified: BTreeMap<(FileId, ChunkIndex), Grains>,
    /// Grains that were verified a second time.
    pub verified_again: u32,
    pub bytes_sent: f64,
    pub messages_sent: u64,
    /// What the swarm reported: offences, abandoned files, known copies.
    pub reports: Vec<Output>,
    fetching: BTreeSet<(FileId, Slice, usize)>,
    starts: u64,
}

pub struct Lab {
    pub now: Duration,
    pub nodes: Vec<Node>,
    pub flows: Vec<Flow>,
    /// Chunks whose bytes pass BLAKE3 and fail SHA-1.
    pub false_chunks: BTreeSet<(FileId, ChunkIndex)>,
    pub config: Config,
    /// Of a thousand messages, how many vanish without anybody being told.
    pub lost_per_mille: u32,
    /// Every output of every node, in order, as one number.
    pub trace: u64,
    packets: BTreeMap<(Duration, u64), (usize, usize, Packet)>,
    packets_made: u64,
    cut: BTreeSet<(usize, usize)>,
    random: Random,
    ids: BTreeMap<NodeId, usize>,
    next_report: Duration,
}

/// Megabits per second, in bytes per second.
pub fn mbit(rate: f64) -> f64 {
    rate * 125_000.0
}

pub fn file(number: u8) -> FileId {
    FileId::from_bytes([number; 32])
}

pub fn layout(units: u64) -> ChunkLayout {
    ChunkLayout::new(units * CHUNK_LEN).unwrap()
}

const DETECT: Duration = Duration::from_secs(2);
const REPORT_EVERY: Duration = Duration::from_millis(250);

impl Lab {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            nodes: Vec::new(),
            flows: Vec::new(),
            false_chunks: BTreeSet::new(),
            config: Config::default(),
            lost_per_mille: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            packets: BTreeMap::new(),
            packets_made: 0,
            cut: BTreeSet::new(),
            random: Random::new(seed),
            ids: BTreeMap::new(),
            next_report: Duration::ZERO,
        }
    }

    /// Adds a node that is on and that all others reach.
    pub fn add(&mut self, up: f64, down: f64, latency_ms: u64) -> usize {
        let at = self.nodes.len();
        let id = NodeId::from_bytes([u8::try_from(at).unwrap() + 1; 32]);
        self.ids.insert(id, at);
        self.nodes.push(Node {
            id,
            swarm: None,
            behaviour: Behaviour::Honest,
            up,
            down,
            latency: Duration::from_millis(latency_ms),
            completed: BTreeMap::new(),
            verified: BTreeMap::new(),
            verified_again: 0,
            bytes_sent: 0.0,
            messages_sent: 0,
            reports: Vec::new(),
            fetching: BTreeSet::new(),
            starts: 0,
        });
        self.start(at, &[]);
        at
    }

    /// Turns a node on with what it held of these files before.
    pub fn start(&mut self, at: usize, files: &[(FileId, NodeId, ChunkSet)]) {
        self.nodes[at].starts += 1;
        let config = Config { incarnation: self.nodes[at].starts, ..self.config.clone() };
        self.nodes[at].swarm = Some(Swarm::new(self.nodes[at].id, config, self.random.bits()));
        for (file, publisher, held) in files {
            let (file, publisher, held) = (*file, *publisher, held.clone());
            self.input(at, Input::FileAdded { file, publisher, held, want: Want::Wanted });
        }
        for other in 0..self.nodes.len() {
            if other != at && self.nodes[other].swarm.is_some() && !self.cut.contains(&(at, other)) {
                self.send(other, at, Packet::PeerOnline);
                self.send(at, other, Packet::PeerOnline);
            }
        }
    }

    /// Node 0 publishes a file, everybody who is on wants it.
    pub fn publish(&mut self, file: FileId, units: u64) {
        let publisher = self.nodes[0].id;
        for at in 0..self.nodes.len() {
            let full = at == 0 || matches!(self.nodes[at].behaviour, Behaviour::Lacks);
            let held = if full { ChunkSet::full(layout(units)) } else { ChunkSet::empty(layout(units)) };
            self.give(at, file, publisher, held);
        }
    }

    pub fn give(&mut self, at: usize, file: FileId, publisher: NodeId, held: ChunkSet) {
        if self.nodes[at].swarm.is_some() {
            self.input(at, Input::FileAdded { file, publisher, held, want: Want::Wanted });
        }
    }

    /// Turns a node off without a word; says what it held of a file.
    pub fn kill(&mut self, at: usize, file: FileId) -> Option<ChunkSet> {
        let swarm = self.nodes[at].swarm.take();
        self.nodes[at].fetching.clear();
        for other in 0..self.nodes.len() {
            self.break_flows(at, other);
            if other != at && self.nodes[other].swarm.is_some() {
                self.send_after(at, other, Packet::PeerOffline(self.nodes[at].starts), DETECT);
            }
        }
        // Parts of chunks are not kept.
        let held = swarm.and_then(|swarm| swarm.held(&file).cloned());
        let is_kept = |chunk| held.as_ref().is_some_and(|held| held.contains(chunk));
        self.nodes[at].verified.retain(|&(of, chunk), _| of != file || is_kept(chunk));
        held
    }

    /// Cuts all links between two groups.
    pub fn part(&mut self, here: &[usize], there: &[usize]) {
        for (&a, &b) in here.iter().flat_map(|a| there.iter().map(move |b| (a, b))) {
            self.cut.extend([(a, b), (b, a)]);
            self.break_flows(a, b);
            self.send_after(a, b, Packet::PeerOffline(self.nodes[a].starts), DETECT);
            self.send_after(b, a, Packet::PeerOffline(self.nodes[b].starts), DETECT);
        }
    }

    pub fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.cut) {
            self.send(a, b, Packet::PeerOnline);
        }
    }

    fn break_flows(&mut self, a: usize, b: usize) {
        self.advance_flows(self.now);
        let between = |flow: &Flow| (flow.from, flow.to) == (a, b) || (flow.from, flow.to) == (b, a);
        let (gone, stay) = std::mem::take(&mut self.flows).into_iter().partition(between);
        self.flows = stay;
        self.share_links();
        let gone: Vec<Flow> = gone;
        for flow in gone {
            let failed = FetchOutcome::Failed(FetchFailure::Unreachable);
            self.send_after(
                flow.from,
                flow.to,
                Packet::Fetched(flow.file, flow.slice, failed),
                Duration::ZERO,
            );
            self.send_ended(&flow, SendOutcome::Broken);
        }
    }

    fn send_ended(&mut self, flow: &Flow, outcome: SendOutcome) {
        let to = self.nodes[flow.to].id;
        self.input(flow.from, Input::SendEnded { to, file: flow.file, slice: flow.slice, outcome });
    }

    fn send(&mut self, from: usize, to: usize, packet: Packet) {
        self.send_after(from, to, packet, Duration::ZERO);
    }

    /// Puts a packet on the way; up to a millisecond more, so that packets overtake each other.
    fn send_after(&mut self, from: usize, to: usize, packet: Packet, after: Duration) {
        let jitter = Duration::from_micros(self.random.below(1000).into());
        let at = self.now + after + self.nodes[from].latency + self.nodes[to].latency + jitter;
        self.packets_made += 1;
        self.packets.insert((at, self.packets_made), (from, to, packet));
    }

    /// Runs until the condition holds; says when, or none if it did not within `limit` of virtual time.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let end = self.now + limit;
        while !done(self) {
            let packet = self.packets.keys().next().map(|(at, _)| *at);
            let timeouts = self.nodes.iter().filter_map(|node| node.swarm.as_ref()?.poll_timeout());
            let timeout = timeouts.min().map(|at| at.elapsed().max(self.now));
            let flow = self.next_flow_end();
            let report = (!self.flows.is_empty()).then_some(self.next_report.max(self.now));
            let next = [packet, timeout, flow, report].into_iter().flatten().min()?;
            if next > end {
                self.advance_flows(end);
                self.now = end;
                return done(self).then_some(self.now);
            }
            self.advance_flows(next);
            self.now = next;
            self.finish_flows();
            if report == Some(next) {
                self.next_report = next + REPORT_EVERY;
                self.report_progress();
            }
            if packet == Some(next)
                && let Some((_, (from, to, packet))) = self.packets.pop_first()
            {
                self.deliver(from, to, packet);
            }
            if timeout == Some(next) {
                for at in 0..self.nodes.len() {
                    let due = self.nodes[at].swarm.as_ref().and_then(Swarm::poll_timeout);
                    if due.is_some_and(|due| due.elapsed() <= self.now) {
                        self.input(at, Input::Timeout);
                        let again = self.nodes[at].swarm.as_ref().and_then(Swarm::poll_timeout);
                        assert!(again.is_none_or(|again| again.elapsed() > self.now), "a timer in the past");
                    }
                }
            }
        }
        Some(self.now)
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    fn finish_flows(&mut self) {
        let (done, running): (Vec<Flow>, Vec<Flow>) =
            std::mem::take(&mut self.flows).into_iter().partition(Flow::is_done);
        self.flows = running;
        if !done.is_empty() {
            self.share_links();
        }
        for flow in done {
            let outcome = match self.nodes[flow.from].behaviour {
                Behaviour::Lies => FetchOutcome::WrongBytes,
                _ if flow.slice.is_chunk()
                    && self.false_chunks.contains(&(flow.file, flow.slice.chunk())) =>
                {
                    FetchOutcome::ManifestFalse
                }
                _ => FetchOutcome::Verified,
            };
            self.send(flow.from, flow.to, Packet::Fetched(flow.file, flow.slice, outcome));
            self.send_ended(&flow, SendOutcome::Sent);
        }
    }

    fn report_progress(&mut self) {
        let grown: Vec<Flow> = self.flows.iter().filter(|flow| flow.rate > 0.0).cloned().collect();
        for flow in grown {
            let (from, to) = (self.nodes[flow.from].id, self.nodes[flow.to].id);
            let (file, slice) = (flow.file, flow.slice);
            self.input(flow.from, Input::SendProgress { to, file, slice });
            self.input(flow.to, Input::FetchProgress { from, file, slice, bytes: flow.bytes_done() });
        }
    }

    /// One step of one machine: in goes an input, out come its outputs, and everything must still hold.
    pub fn input(&mut self, at: usize, input: Input) {
        let Some(swarm) = &mut self.nodes[at].swarm else { return };
        swarm.handle(Time::after_start(self.now), input);
        let (mut durable, mut whole) = (Vec::new(), Vec::new());
        while let Some(output) = self.nodes[at].swarm.as_mut().and_then(Swarm::poll_output) {
            self.note(at, &output);
            match output {
                Output::Offer { to, exchange, offer } => {
                    self.post(at, to, Packet::Offer(exchange, offer.encode()));
                }
                Output::Answer { to, exchange, answer } => {
                    self.post(at, to, Packet::Answer(exchange, answer.encode()));
                }
                Output::Confirm { to, confirm } => self.post(at, to, Packet::Confirm(confirm.encode())),
                Output::WhoHas { to, who_has } => self.post(at, to, Packet::WhoHas(who_has.encode())),
                Output::Holdings { to, holdings, .. } => {
                    self.post(at, to, Packet::Holdings(holdings.encode()));
                }
                Output::Announce { to, holdings } => self.post(at, to, Packet::Announce(holdings.encode())),
                Output::Fetch { from, file, slice } => {
                    let source = self.ids[&from];
                    let swarm = self.nodes[at].swarm.as_ref().unwrap();
                    let layout = swarm.held(&file).unwrap().layout();
                    assert!(
                        !swarm.grains(&file, slice.chunk()).meets(slice.grains(layout)),
                        "requested what is held"
                    );
                    assert!(
                        self.nodes[at].fetching.insert((file, slice, source)),
                        "requested twice from one"
                    );
                    self.send(at, source, Packet::Request(file, slice));
                }
                Output::CancelFetch { from, file, slice } => {
                    let source = self.ids[&from];
                    assert!(
                        self.nodes[at].fetching.remove(&(file, slice, source)),
                        "cancelled what does not run"
                    );
                    self.send(at, source, Packet::Cancel(file, slice));
                }
                Output::Completed { file } => {
                    assert!(self.nodes[at].completed.insert(file, self.now).is_none(), "completed twice");
                    durable.push(file);
                }
                Output::Whole { file, chunk } => whole.push((file, chunk)),
                report => self.nodes[at].reports.push(report),
            }
        }
        self.check(at);
        for (file, chunk) in whole {
            let is_false = self.false_chunks.contains(&(file, chunk));
            let outcome = if is_false { CheckOutcome::ManifestFalse } else { CheckOutcome::Verified };
            self.input(at, Input::ChunkChecked { file, chunk, outcome });
        }
        durable.into_iter().for_each(|file| self.input(at, Input::Durable { file }));
    }

    fn post(&mut self, from: usize, to: NodeId, packet: Packet) {
        self.nodes[from].messages_sent += 1;
        if self.random.below(1000) >= self.lost_per_mille {
            self.send(from, self.ids[&to], packet);
        }
    }

    /// What holds after every step of every machine.
    fn check(&self, at: usize) {
        let node = &self.nodes[at];
        let fetches = &node.fetching;
        assert!(fetches.len() <= self.config.fetches_limit, "more fetches than allowed");
        for (file, slice, _) in fetches {
            let of_unit = fetches.iter().filter(|(of, other, _)| (of, other) == (file, slice));
            assert!(of_unit.count() <= 2, "a slice from more than two sources");
        }
        assert_eq!(node.verified_again, 0, "what was verified was fetched again");
        let credit = self.config.credit_max;
        let unasked = self.flows.iter().filter(|flow| flow.from == at).count();
        let swarm = node.swarm.as_ref();
        assert!(
            swarm.is_none_or(|swarm| swarm.sends_len() <= credit + unasked),
            "more sends than the credit"
        );
    }

    fn note(&mut self, at: usize, output: &Output) {
        for byte in format!("{:?} {at} {output:?}", self.now).bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    /// Copies of a file of this many units that left a node.
    pub fn copies_sent(&self, at: usize, units: u64) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a ratio to look at")]
        let file_len = (units * CHUNK_LEN) as f64;
        self.nodes[at].bytes_sent / file_len
    }

    pub fn all_have(&self, file: FileId, nodes: &[usize]) -> bool {
        nodes.iter().all(|&at| self.nodes[at].completed.contains_key(&file))
    }

    /// Whether nothing is on its way and nobody waits for anything.
    pub fn is_silent(&self) -> bool {
        let idle = |node: &Node| node.swarm.as_ref().is_none_or(|swarm| swarm.poll_timeout().is_none());
        self.packets.is_empty() && self.flows.is_empty() && self.nodes.iter().all(idle)
    }
}
