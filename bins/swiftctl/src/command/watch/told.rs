//! Events in words, a line each or several.

use serde_json::Value;

use crate::text::{date, short, size};

/// The lines of an event.
pub(super) fn lines(kind: &str, data: &Value) -> Vec<String> {
    let time =
        number(data, "time_ms").map_or_else(String::new, |time_ms| format!("{}  ", date::rfc3339(time_ms)));
    let told = match kind {
        "ledger" => vec![ledger(data)],
        "file" => rows(data, "files", file),
        "transfer" => rows(data, "transfers", transfer),
        "node" => vec![node(data)],
        "security" => vec![security(data)],
        "reset" => vec![format!("events were missed ({})", text(data, "reason"))],
        // From a newer node.
        _ => vec![data.to_string()],
    };
    told.into_iter().map(|told| format!("{time}{kind:8}  {told}")).collect()
}

fn rows(data: &Value, field: &str, tell: impl Fn(&Value) -> String) -> Vec<String> {
    let rows = data.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut told: Vec<String> = rows.iter().map(tell).collect();
    match number(data, "more") {
        Some(more) if more > 0 => told.push(format!("and {more} more")),
        _ if told.is_empty() => told.push("nothing any more".to_owned()),
        _ => {}
    }
    told
}

fn ledger(data: &Value) -> String {
    let (height, hash) = (number(data, "height").unwrap_or(0), short(text(data, "hash")));
    match (number(data, "blocks"), number(data, "transactions")) {
        (Some(blocks), _) if blocks > 1 => format!("block {height}  {hash}, the last of {blocks}"),
        (_, Some(1)) => format!("block {height}  {hash}, 1 transaction"),
        (_, count) => format!("block {height}  {hash}, {} transactions", count.unwrap_or(0)),
    }
}

fn file(row: &Value) -> String {
    let size = number(row, "size").map_or_else(String::new, |size| format!(" ({})", size::human(size)));
    let by = match (text(row, "by"), row.get("on_behalf_of").and_then(Value::as_str)) {
        ("-", _) => String::new(),
        (by, Some(label)) => format!(", by {} for {label}", short(by)),
        (by, None) => format!(", by {}", short(by)),
    };
    format!("{} {}{size}{by}", text(row, "change"), text(row, "name"))
}

fn transfer(row: &Value) -> String {
    let (name, total) = (text(row, "file"), number(row, "total_bytes").unwrap_or(0));
    let rate = size::human(number(row, "bytes_per_second").unwrap_or(0));
    match number(row, "done_bytes") {
        Some(done) => format!("in {name}: {} %, {rate}/s", size::percent(done, total.max(1))),
        None => format!("out {name}: {rate}/s"),
    }
}

fn node(data: &Value) -> String {
    let (change, node) = (text(data, "change").replace('_', " "), short(text(data, "node_id")));
    let value = match data.get("value") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(value)) => format!(" {value}"),
        Some(value) => format!(" {value}"),
    };
    format!("{node} {change}{value}")
}

fn security(data: &Value) -> String {
    format!("{}: {}, {}", text(data, "kind").replace('_', " "), text(data, "who"), text(data, "detail"))
}

fn text<'a>(data: &'a Value, field: &str) -> &'a str {
    data.get(field).and_then(Value::as_str).unwrap_or("-")
}

fn number(data: &Value, field: &str) -> Option<u64> {
    data.get(field)?.as_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_is_told_in_words_and_others_as_they_are() {
        let (id, hash) = ("n".repeat(52), "ab".repeat(32));
        let row = json!({"change": "added", "name": "a", "size": 1536, "by": id, "on_behalf_of": "ci"});
        for (kind, data, told) in [
            (
                "ledger",
                json!({"height": 7, "hash": hash, "transactions": 1, "blocks": 1}),
                "block 7  ababababab, 1 transaction",
            ),
            (
                "ledger",
                json!({"height": 7, "hash": hash, "blocks": 99}),
                "block 7  ababababab, the last of 99",
            ),
            ("file", json!({"files": [row], "more": 0}), "added a (1.5 KiB), by nnnnnnnnnn for ci"),
            (
                "transfer",
                json!({"transfers": [{"direction": "in", "file": "a", "total_bytes": 4, "done_bytes": 1,
                "bytes_per_second": 0}], "more": 0}),
                "in a: 25 %, 0 B/s",
            ),
            ("transfer", json!({"transfers": [], "more": 0}), "nothing any more"),
            ("node", json!({"change": "role", "node_id": id, "value": "admin"}), "nnnnnnnnnn role admin"),
            (
                "security",
                json!({"kind": "bad_token", "who": "::1", "detail": "unknown"}),
                "bad token: ::1, unknown",
            ),
            ("dance", json!({"steps": 3}), "{\"steps\":3}"),
        ] {
            assert_eq!(lines(kind, &data), [format!("{kind:8}  {told}")]);
        }
        let many = json!({"time_ms": 0, "files": [{"change": "complete", "name": "b"}], "more": 9});
        let time = "1970-01-01T00:00:00Z";
        assert_eq!(
            lines("file", &many),
            [format!("{time}  file      complete b"), format!("{time}  file      and 9 more")]
        );
    }
}
