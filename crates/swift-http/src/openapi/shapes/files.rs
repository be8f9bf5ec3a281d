//! Files, and what writes of them answer.

use serde_json::Value;

use super::Named;
use crate::openapi::shape::{
    Field, always, boolean, choice, hash, integer, list, named, node_id, object, one_of, or_null, page, text,
};

pub(super) fn shapes() -> Vec<Named> {
    vec![
        (
            "File",
            object([
                ("name", text()),
                ("size", integer()),
                ("file_id", hash()),
                ("manifest_hash", hash()),
                ("publisher", node_id()),
                ("height", integer()),
                ("time_ms", integer()),
                ("held_bytes", integer()),
                ("complete", boolean()),
                ("copies", integer()),
            ]),
        ),
        (
            "Files",
            object([
                ("files", list(named("File"))),
                ("next", or_null(text())),
                ("total", or_null(integer())),
            ]),
        ),
        (
            "Copies",
            object([
                ("name", text()),
                ("file_id", hash()),
                ("complete", list(node_id())),
                ("not_keeping", list(node_id())),
                ("online", list(node_id())),
                ("absent", list(node_id())),
            ]),
        ),
        (
            "Holders",
            object([
                ("name", text()),
                ("file_id", hash()),
                ("size", integer()),
                ("holders", list(named("Holder"))),
            ]),
        ),
        (
            "Holder",
            object([
                ("node_id", node_id()),
                ("holding", choice(&["complete", "partial", "not_keeping", "unknown", "absent"])),
                ("held_bytes", or_null(integer())),
                ("parts", or_null(list(integer()))),
            ]),
        ),
        ("Published", object(written([("copies", integer())]))),
        ("Withdrawn", object(written([]))),
        ("Restored", object(written([("copies", integer()), ("was", text())]))),
        (
            "Uploaded",
            object([
                ("status", always(true)),
                ("reason", text()),
                ("name", text()),
                ("size", integer()),
                ("file_id", hash()),
                ("block", or_null(integer())),
            ]),
        ),
        ("Transfers", page("transfers", "Transfer")),
        ("Transfer", one_of(&[incoming(), outgoing()])),
        ("PeerRate", object([("node_id", node_id()), ("bytes", integer()), ("bytes_per_second", integer())])),
        ("Level", choice(&["high", "normal", "low"])),
        ("Priorities", page("priorities", "Priority")),
        (
            "Priority",
            object([
                ("name", text()),
                ("file_id", hash()),
                ("size", integer()),
                ("priority", named("Level")),
            ]),
        ),
        ("PrioritySet", object([("status", always(true)), ("name", text()), ("priority", named("Level"))])),
    ]
}

/// What every write of a name answers, and more.
fn written(more: impl IntoIterator<Item = Field>) -> Vec<Field> {
    let fields = [
        ("status", always(true)),
        ("name", text()),
        ("file_id", hash()),
        ("size", integer()),
        ("final", boolean()),
        ("block", or_null(integer())),
        ("already", boolean()),
    ];
    fields.into_iter().chain(more).collect()
}

fn incoming() -> Value {
    object([
        ("direction", choice(&["in"])),
        ("file", text()),
        ("file_id", hash()),
        ("total_bytes", integer()),
        ("done_bytes", integer()),
        ("durable_bytes", integer()),
        ("bytes_per_second", integer()),
        ("remaining_seconds", or_null(integer())),
        ("peers", list(named("PeerRate"))),
        ("priority", named("Level")),
        ("readers", integer()),
        ("state", choice(&["waiting", "receiving", "reading", "blocked"])),
        ("detail", or_null(text())),
    ])
}

fn outgoing() -> Value {
    object([
        ("direction", choice(&["out"])),
        ("file", text()),
        ("file_id", hash()),
        ("total_bytes", integer()),
        ("bytes_per_second", integer()),
        ("peers", list(named("PeerRate"))),
    ])
}
