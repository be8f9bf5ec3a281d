//! What the parts of the node say of themselves at one moment.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use swift_chain::{LedgerCounts, LedgerReader};
use swift_chunks::{StoreError, Usage};
use swift_p2p::{
    driver::{Durations, LedgerTally, SwarmTally},
    offences::Offence,
    security::SecurityKind,
};
use tokio::task;

use super::{
    content::Moved,
    page::{Number, Page},
    process::Process,
};
use crate::{problem::Problem, services::Services};

/// Offences that are told by looking at what came, not at how it came.
const PROVED: [Offence; 4] =
    [Offence::WrongBytes, Offence::FalseManifest, Offence::BadBlocks, Offence::ForgedTransactions];

/// All of it.
#[derive(Debug)]
pub(super) struct Snapshot {
    process: Process,
    swarm: SwarmTally,
    ledger: LedgerTally,
    counts: LedgerCounts,
    store: Usage,
    height: u64,
    lag: u64,
    applied: u64,
    /// From and to clients.
    received: Moved,
    sent: Moved,
    offences: BTreeMap<Offence, u64>,
    security: BTreeMap<SecurityKind, u64>,
    online: usize,
    isolated: usize,
    connections: usize,
    watchers: usize,
    browsers: usize,
}

impl Snapshot {
    /// Asks each part once. What that costs has a bound, whatever the number of files, members and blocks.
    pub(super) async fn take(services: &Services) -> Result<Self, Problem> {
        let counts = services.ledger.read(LedgerReader::counts).await?;
        let (store, started) = (services.store.clone(), services.metrics().started);
        let looked =
            task::spawn_blocking(move || Ok::<_, StoreError>((store.usage()?, Process::look(started))));
        let (store, process) = looked.await.map_err(|error| Problem::internal(&error))??;
        let height = services.ledger.head().height;
        let content = services.metrics().content();
        Ok(Self {
            process: process.map_err(|error| Problem::internal(&error))?,
            swarm: services.swarm.tally().await?,
            ledger: services.ledger.tally(),
            counts,
            store,
            height,
            lag: services.presence.highest_head().saturating_sub(height),
            applied: services.catalog.applied(),
            received: content.all_received(),
            sent: content.all_sent(),
            offences: services.conduct.offence_counts(),
            security: services.security.counts(),
            online: services.presence.online().len(),
            isolated: services.conduct.isolated_count(),
            connections: services.connections.counts().sessions,
            watchers: services.events.watchers(),
            browsers: services.sessions().len(),
        })
    }

    /// The part that has its names from elsewhere.
    pub(super) fn process(&self) -> Process {
        self.process
    }

    fn content(&self, page: &mut Page<'_>) -> fmt::Result {
        let (swarm, traffic) = (&self.swarm, &self.swarm.traffic);
        let members = [
            Moved { bytes: traffic.received_bytes, chunks: swarm.pieces_received },
            Moved { bytes: traffic.sent_bytes, chunks: swarm.pieces_sent },
        ];
        let moved = [
            ("in", "member", members[0]),
            ("out", "member", members[1]),
            ("in", "client", self.received),
            ("out", "client", self.sent),
        ];
        let of = |value: fn(Moved) -> u64| {
            moved.map(|(direction, peer, moved)| ([("direction", direction), ("peer", peer)], value(moved)))
        };
        page.counters("content_bytes", "Content that moved, headers apart", of(|moved| moved.bytes))?;
        page.counters(
            "content_chunks",
            "Chunks, and slices of chunks, that moved",
            of(|moved| moved.chunks),
        )?;
        let count = |kind: Offence| self.offences.get(&kind).copied().unwrap_or(0);
        let help = "What came from members and was proved false";
        let failures = PROVED.map(|kind| ([("kind", kind.name())], count(kind)));
        page.counters("verification_failures", help, failures)?;
        page.counters(
            "offences",
            "What members did wrong",
            Offence::ALL.map(|kind| ([("kind", kind.name())], count(kind))),
        )
    }

    fn swarm(&self, page: &mut Page<'_>) -> fmt::Result {
        let swarm = &self.swarm;
        let bounds = Durations::BOUNDS_S.map(f64::from).into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(swarm.transfers.counts).collect();
        let help = "From when a file is wanted until it is durable here";
        page.histogram("transfer_seconds", help, &buckets, swarm.transfers.sum.as_secs_f64())?;
        let files =
            [("wanted", swarm.files_wanted), ("blocked", swarm.files_blocked), ("read", swarm.files_read)];
        page.gauges("swarm_files", "Files on their way here", "state", files)?;
        page.gauge("swarm_fetches", "Requests for content to members that run", swarm.fetches_running)?;
        page.gauge("swarm_sends", "Pieces of content that members are being sent", swarm.sends_running)
    }

    fn store(&self, page: &mut Page<'_>) -> fmt::Result {
        let store = &self.store;
        page.gauge("store_used_bytes", "Held, and promised to running transfers", store.used)?;
        page.gauge("store_trashed_bytes", "Of these in the trash", store.trashed)?;
        page.gauge("store_reserved_bytes", "Of these not written yet", store.reserved)?;
        page.gauge("store_free_bytes", "Free on the disk", store.free)?;
        page.gauge("store_available_bytes", "That a transfer could still be promised", store.available)?;
        let quota = store.quota.map_or(Number::Part(f64::INFINITY), Number::Whole);
        page.gauge("store_quota_bytes", "The quota; infinite if there is none", quota)
    }

    fn ledger(&self, page: &mut Page<'_>) -> fmt::Result {
        let (ledger, counts) = (&self.ledger, &self.counts);
        page.gauge("ledger_height", "The last block", self.height)?;
        page.gauge("ledger_lag_blocks", "Blocks that somebody who can be reached has beyond it", self.lag)?;
        page.gauge("ledger_applied_height", "The last block whose names the store has", self.applied)?;
        page.gauge("ledger_members", "Members", counts.members)?;
        page.gauge("ledger_files", "Live files", counts.files)?;
        page.gauge("ledger_file_bytes", "Their sizes together", counts.bytes as f64)?;
        page.counter(
            "consensus_rounds",
            "Rounds that the blocks took which came since the start",
            ledger.rounds,
        )?;
        page.counter("ledger_blocks", "Blocks that came since the start", ledger.blocks)?;
        page.gauge("mempool_transactions", "Transactions that wait for a block", ledger.waiting)?;
        page.gauge("mempool_bytes", "Their bytes", ledger.waiting_bytes)
    }

    fn others(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge("peers_online", "Members that can be reached", self.online)?;
        page.gauge("peers_isolated", "Members that are isolated for their offences", self.isolated)?;
        page.gauge("peer_connections", "Open connections of nodes", self.connections)?;
        page.gauge("event_streams", "Open streams of events", self.watchers)?;
        page.gauge("browser_sessions", "Browsers that are signed in", self.browsers)?;
        let count = |kind: SecurityKind| self.security.get(&kind).copied().unwrap_or(0);
        let kinds = SecurityKind::ALL.map(|kind| ([("kind", kind.name())], count(kind)));
        page.counters("security_events", "What the security log was told", kinds)
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.content(&mut page)?;
        self.swarm(&mut page)?;
        self.store(&mut page)?;
        self.ledger(&mut page)?;
        self.others(&mut page)
    }
}
