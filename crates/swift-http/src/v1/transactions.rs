//! `GET /v1/transactions`: who did what, the newest first.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{
    FileName, HistoryEntry, HistoryFilter, HistoryPlace, NameKey, NodeId, Transaction, TransactionId,
};

use super::page::PageLen;
use crate::{
    access::{Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

#[derive(Serialize)]
struct Row {
    height: u64,
    position: u16,
    time_ms: u64,
    id: TransactionId,
    #[serde(flatten)]
    transaction: Transaction,
}

impl From<HistoryEntry> for Row {
    fn from(entry: HistoryEntry) -> Self {
        let HistoryEntry { place: HistoryPlace { height, position }, time_ms, signed } = entry;
        Self { height, position, time_ms, id: signed.id(), transaction: signed.transaction }
    }
}

#[derive(Deserialize)]
pub(super) struct Asked {
    name: Option<String>,
    node: Option<String>,
    since_ms: Option<u64>,
    after: Option<String>,
    limit: Option<u64>,
}

impl Asked {
    fn filter(self) -> Result<HistoryFilter, Problem> {
        Ok(HistoryFilter {
            name: self.name.map(|name| key_of(&name)).transpose()?,
            node: self.node.map(|node| id_of(&node)).transpose()?,
            since_ms: self.since_ms.unwrap_or(0),
            before: self.after.map(|after| place_of(&after)).transpose()?,
            limit: PageLen::of(self.limit).len(),
        })
    }
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let filter = asked.filter()?;
    let page = services.ledger.read(move |reader| reader.history(&filter)).await?;
    let next = page.next.map(|place| format!("{}.{}", place.height, place.position));
    let rows: Vec<Row> = page.entries.into_iter().map(Row::from).collect();
    Ok(Json(json!({ "transactions": rows, "next": next })))
}

fn key_of(name: &str) -> Result<NameKey, Problem> {
    let name = FileName::normalized(name);
    name.map(|name| name.key()).map_err(|error| Problem::bad_request(format!("name: {error}")))
}

fn id_of(node: &str) -> Result<NodeId, Problem> {
    node.parse().map_err(|error| Problem::bad_request(format!("node: {error}")))
}

fn place_of(after: &str) -> Result<HistoryPlace, Problem> {
    let place = after.split_once('.').and_then(|(height, position)| {
        Some(HistoryPlace { height: height.parse().ok()?, position: position.parse().ok()? })
    });
    // Heights are stored with a sign.
    place
        .filter(|place| i64::try_from(place.height).is_ok())
        .ok_or_else(|| Problem::bad_request(format!("after: {after:?} is not the `next` of a page before")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_what_a_page_gave_and_nothing_else() {
        assert_eq!(place_of("7.3"), Ok(HistoryPlace { height: 7, position: 3 }));
        for text in ["", "7", "7.", ".3", "7.3.1", "-1.0", "7.65536", "18446744073709551615.0"] {
            assert!(place_of(text).is_err(), "{text:?}");
        }
    }
}
