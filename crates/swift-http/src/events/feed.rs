//! Listening to the node's parts and telling what they do.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use swift_chain::{Action, Hash, LedgerReader, NodeChange, NodeId, SealedBlock, Transaction};
use swift_chunks::FileId;
use swift_p2p::security::SecurityEvent;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{MissedTickBehavior, interval},
};

use super::{EventType, Events};
use crate::{problem::Problem, services::Services, v1};

/// How often it is looked at what moves, while somebody watches that.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Blocks that are told one by one; of more at once only the last is.
const BLOCKS_MAX: u64 = 64;
/// Rows in an event.
const ROWS_MAX: usize = 100;

/// Fills the events until it is dropped; then every stream ends at once.
#[derive(Debug)]
pub struct EventsFeed(Events);

impl Drop for EventsFeed {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl EventsFeed {
    /// Begins.
    pub fn spawn(services: Services) -> Self {
        let events = services.events.clone();
        tokio::spawn(run(services, events.clone()));
        Self(events)
    }
}

async fn run(services: Services, events: Events) {
    let mut closing = events.0.latest.subscribe();
    // However this ends: nobody watches what does not come any more.
    let _feed = EventsFeed(events.clone());
    tokio::select! {
        // It holds the node's parts, which end when nobody does.
        _ = closing.wait_for(Option::is_none) => {}
        () = follow(&services, &events) => {}
    }
}

async fn follow(services: &Services, events: &Events) {
    let mut head = services.ledger.watch_head();
    let mut told_height = head.borrow_and_update().height;
    let mut presence = services.presence.watch();
    let mut online = presence.borrow_and_update().clone();
    let (mut stored, mut security) = (services.swarm.stored(), services.security.subscribe());
    let (mut tick, mut shown) = (interval(LOOK_EVERY), Value::Null);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watchers = events.0.transfers.subscribe();
    loop {
        let is_watched = *watchers.borrow_and_update() > 0;
        let done = tokio::select! {
            changed = head.changed() => match changed {
                Ok(()) => {
                    let height = head.borrow_and_update().height;
                    let from = std::mem::replace(&mut told_height, height) + 1;
                    tell_blocks(services, events, from, height).await
                }
                Err(_) => return,
            },
            changed = presence.changed() => match changed {
                Ok(()) => {
                    let now = presence.borrow_and_update().clone();
                    tell_presence(events, &online, &now);
                    online = now;
                    Ok(())
                }
                Err(_) => return,
            },
            file = stored.recv() => match file {
                Ok(file) => tell_stored(services, events, file, &mut stored).await,
                Err(RecvError::Lagged(_)) => missed(events),
                Err(RecvError::Closed) => return,
            },
            event = security.recv() => match event {
                Ok(event) => {
                    tell_security(events, &event);
                    Ok(())
                }
                Err(RecvError::Lagged(_)) => missed(events),
                Err(RecvError::Closed) => return,
            },
            _ = tick.tick(), if is_watched => tell_transfers(services, events, &mut shown).await,
            _ = watchers.changed(), if !is_watched => Ok(()),
        };
        if let Err(problem) = done {
            tracing::warn!(reason = %problem.detail, "an event cannot be told: whoever watches is to load anew");
            events.lose();
        }
    }
}

/// More happened than this could follow.
fn missed(events: &Events) -> Result<(), Problem> {
    events.lose();
    Ok(())
}

async fn tell_blocks(services: &Services, events: &Events, from: u64, to: u64) -> Result<(), Problem> {
    if to - from >= BLOCKS_MAX {
        let blocks = to - from + 1;
        let head = services.ledger.head();
        let data = json!({"height": to, "hash": head.hash, "time_ms": head.time_ms, "blocks": blocks});
        events.push(EventType::Ledger, &data);
        return Ok(());
    }
    for height in from..=to {
        let sealed = services.ledger.read(move |reader| reader.block(height)).await?;
        if let Some(sealed) = sealed {
            tell_block(events, &sealed);
        }
    }
    Ok(())
}

fn tell_block(events: &Events, sealed: &SealedBlock) {
    let (header, transactions) = (&sealed.block.header, &sealed.block.transactions);
    let (height, time_ms) = (header.height, header.time_ms);
    let data = json!({"height": height, "hash": header.hash(), "time_ms": time_ms, "blocks": 1,
        "transactions": transactions.len()});
    events.push(EventType::Ledger, &data);
    let mut files = Vec::new();
    for signed in transactions {
        if let Some(node) = node_row(&signed.transaction, height, time_ms) {
            events.push(EventType::Node, &node);
        }
        files.extend(file_row(&signed.transaction));
    }
    let more = files.len().saturating_sub(ROWS_MAX);
    files.truncate(ROWS_MAX);
    if !files.is_empty() {
        let data = json!({"height": height, "time_ms": time_ms, "files": files, "more": more});
        events.push(EventType::File, &data);
    }
}

fn file_row(transaction: &Transaction) -> Option<Value> {
    let (change, name, size, file_id) = match &transaction.action {
        Action::AddFile { file, replaces } => {
            let change = if replaces.is_some() { "replaced" } else { "added" };
            (change, &file.name, Some(file.size), &file.file_id)
        }
        Action::RemoveFile { name, file_id } => ("removed", name, None, file_id),
        _ => return None,
    };
    Some(json!({"change": change, "name": name, "size": size, "file_id": file_id, "by": transaction.author,
        "on_behalf_of": transaction.on_behalf_of}))
}

fn node_row(transaction: &Transaction, height: u64, time_ms: u64) -> Option<Value> {
    let (change, node, value) = match &transaction.action {
        Action::AddNode { node, invitation, .. } => ("joined", node, json!(invitation.terms.role)),
        Action::RemoveNode { node } => ("removed", node, Value::Null),
        Action::UpdateNode { node, change } => match change {
            NodeChange::Address(address) => ("address", node, json!(address)),
            NodeChange::Role(role) => ("role", node, json!(role)),
            NodeChange::ValidatorWeight(weight) => ("validator_weight", node, json!(weight)),
        },
        _ => return None,
    };
    let by = transaction.author;
    Some(
        json!({"change": change, "node_id": node, "value": value, "by": by, "height": height, "time_ms": time_ms}),
    )
}

fn tell_presence(events: &Events, before: &BTreeSet<NodeId>, now: &BTreeSet<NodeId>) {
    let time_ms = swift_p2p::driver::wall_clock_ms();
    let gone = before.difference(now).map(|node| (node, "offline"));
    for (node, change) in now.difference(before).map(|node| (node, "online")).chain(gone) {
        events.push(EventType::Node, &json!({"change": change, "node_id": node, "time_ms": time_ms}));
    }
}

/// What is whole now, and what became so at the same time.
async fn tell_stored(
    services: &Services,
    events: &Events,
    first: FileId,
    stored: &mut broadcast::Receiver<FileId>,
) -> Result<(), Problem> {
    let others = std::iter::from_fn(|| stored.try_recv().ok()).take(ROWS_MAX - 1);
    let files: Vec<FileId> = std::iter::once(first).chain(others).collect();
    let rows = services.ledger.read(move |reader: &LedgerReader| {
        let mut rows = Vec::new();
        for file in files {
            // A name may have gone meanwhile.
            if let Some(record) = reader.file_by_id(&Hash::from_bytes(*file.as_bytes()))? {
                let entry = record.entry;
                rows.push(json!({"change": "complete", "name": entry.name, "size": entry.size, "file_id": entry.file_id}));
            }
        }
        Ok(rows)
    });
    let rows = rows.await?;
    if !rows.is_empty() {
        let time_ms = swift_p2p::driver::wall_clock_ms();
        events.push(EventType::File, &json!({"time_ms": time_ms, "files": rows, "more": 0}));
    }
    Ok(())
}

fn tell_security(events: &Events, event: &SecurityEvent) {
    events.push(EventType::Security, &json!(event));
}

/// What moves, if that is something else than what was told last.
async fn tell_transfers(services: &Services, events: &Events, shown: &mut Value) -> Result<(), Problem> {
    let (rows, more) = v1::transfers(services, ROWS_MAX).await?;
    let mut data = json!({"transfers": rows, "more": more});
    let is_nothing = shown.is_null() && rows_of(&data) == Some(0);
    if data != *shown && !is_nothing {
        shown.clone_from(&data);
        data["time_ms"] = json!(swift_p2p::driver::wall_clock_ms());
        events.push(EventType::Transfer, &data);
    }
    Ok(())
}

fn rows_of(data: &Value) -> Option<usize> {
    data.get("transfers")?.as_array().map(Vec::len)
}
