//! `GET /v1/files/NAME?holders`: which nodes hold how much of a file, and which parts.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};
use swift_chain::{FileRecord, NodeId};
use swift_chunks::FileId;
use swift_p2p::{driver::FileCopies, swarm::Spread};

use super::in_store;
use crate::{problem::Problem, services::Services};

/// What a member does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Holding {
    /// It holds all of it, durable.
    Complete,
    /// It wants all of it and holds some, or none yet.
    Partial,
    /// It does not want all of it.
    NotKeeping,
    /// It can be reached and has not said.
    Unknown,
    /// It cannot be reached.
    Absent,
}

#[derive(Serialize)]
struct Row {
    node_id: NodeId,
    holding: Holding,
    /// Verified there. Nothing where nobody knows.
    held_bytes: Option<u64>,
    /// How full each part is, in percent; nothing where all are alike, or nobody knows.
    parts: Option<Vec<u8>>,
}

/// Asks members unless that was done of late, and tells what is known then.
pub(super) async fn of(services: &Services, record: &FileRecord) -> Result<Value, Problem> {
    let (file, me) = (FileId::from_bytes(*record.entry.file_id.as_bytes()), services.key.id());
    services.swarm.survey(vec![file]).await?;
    let known = services.swarm.known_copies(vec![file]).await?.pop().unwrap_or_default();
    let spread = services.swarm.spread(file).await?;
    let mut spread: HashMap<NodeId, Spread> =
        spread.into_iter().map(|spread| (spread.node, spread)).collect();
    let is_kept = in_store(services, move |store| store.is_kept(file)).await?;
    let online = services.presence.online();
    let members = services.ledger.members().all();
    let rows = members.into_iter().map(|(node, _)| {
        let is_there = node == me || online.contains(&node);
        let spread = spread.remove(&node).filter(|_| is_there);
        let holding = match holding(&known, node, spread.as_ref()) {
            _ if !is_there => Holding::Absent,
            Holding::Partial | Holding::Unknown if node == me && !is_kept => Holding::NotKeeping,
            holding => holding,
        };
        row(node, holding, spread, record.entry.size)
    });
    let rows: Vec<Row> = rows.collect();
    let entry = &record.entry;
    Ok(json!({ "name": entry.name, "file_id": entry.file_id, "size": entry.size, "holders": rows }))
}

fn holding(known: &FileCopies, node: NodeId, spread: Option<&Spread>) -> Holding {
    if known.complete.contains(&node) {
        Holding::Complete
    } else if known.not_keeping.contains(&node) {
        Holding::NotKeeping
    } else if spread.is_some() {
        Holding::Partial
    } else {
        Holding::Unknown
    }
}

fn row(node_id: NodeId, holding: Holding, spread: Option<Spread>, size: u64) -> Row {
    let (held_bytes, parts) = match (holding, spread) {
        (Holding::Complete, _) => (Some(size), None),
        (_, Some(spread)) => (Some(spread.bytes.min(size)), Some(spread.parts)),
        (Holding::NotKeeping, None) => (Some(0), None),
        (Holding::Partial | Holding::Unknown | Holding::Absent, None) => (None, None),
    };
    let parts = parts.filter(|parts| parts.iter().any(|part| Some(part) != parts.first()));
    Row { node_id, holding, held_bytes, parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn spread(bytes: u64, parts: &[u8]) -> Spread {
        Spread { node: node(1), bytes, parts: parts.to_vec() }
    }

    #[test]
    fn what_a_node_said_last_decides_and_who_said_nothing_is_not_guessed_at() {
        let known = FileCopies { complete: vec![node(1)], not_keeping: vec![node(2)] };
        let some = spread(5, &[50]);
        assert_eq!(holding(&known, node(1), Some(&some)), Holding::Complete);
        assert_eq!(holding(&known, node(2), Some(&some)), Holding::NotKeeping);
        assert_eq!(holding(&known, node(3), Some(&some)), Holding::Partial);
        assert_eq!(holding(&known, node(3), None), Holding::Unknown);
        let unknown = row(node(3), Holding::Unknown, None, 10);
        assert_eq!((unknown.held_bytes, unknown.parts), (None, None));
    }

    #[test]
    fn parts_are_told_where_they_differ() {
        let told = |holding, spread| {
            let row = row(node(1), holding, Some(spread), 10);
            (row.held_bytes, row.parts)
        };
        assert_eq!(told(Holding::Partial, spread(5, &[100, 0])), (Some(5), Some(vec![100, 0])));
        assert_eq!(told(Holding::Partial, spread(0, &[0, 0])), (Some(0), None));
        assert_eq!(told(Holding::Complete, spread(5, &[100, 0])), (Some(10), None));
    }
}
