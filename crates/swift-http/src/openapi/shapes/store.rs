//! What a node stores and keeps.

use serde_json::{Value, json};

use super::Named;
use crate::openapi::shape::{
    Field, always, boolean, hash, hex, integer, list, named, node_id, object, one_of, or_null, page, text,
};

pub(super) fn shapes() -> Vec<Named> {
    vec![
        ("Trash", page("trash", "Trashed")),
        (
            "Trashed",
            object([
                ("name", or_null(text())),
                ("size", integer()),
                ("file_id", hash()),
                ("held_bytes", integer()),
                ("complete", boolean()),
                ("removed_ms", integer()),
                ("removed_by", or_null(text())),
                ("on_behalf_of", or_null(text())),
                ("expires_ms", integer()),
                ("used", boolean()),
            ]),
        ),
        ("Emptied", object([("status", always(true)), ("contents", integer()), ("bytes", integer())])),
        ("Scrub", object(scrub())),
        (
            "Scrubs",
            object(
                scrub()
                    .into_iter()
                    .chain([("rotten", list(named("Rotten"))), ("file", or_null(named("ScrubbedFile")))]),
            ),
        ),
        (
            "Rotten",
            object([
                ("name", or_null(text())),
                ("file_id", hash()),
                ("bad_chunks", integer()),
                ("found_ms", integer()),
                ("repaired", boolean()),
            ]),
        ),
        (
            "ScrubbedFile",
            object([
                ("name", text()),
                ("file_id", hash()),
                ("verified_ms", integer()),
                ("waiting", boolean()),
                ("rotten", or_null(named("Rotten"))),
            ]),
        ),
        (
            "ScrubBegun",
            object([("status", always(true)), ("file", or_null(text())), ("started_ms", integer())]),
        ),
        ("KeepRule", keep_rule()),
        ("Keep", object([("keep", named("KeepRule")), ("set_at_start", or_null(named("KeepRule")))])),
        (
            "KeepSet",
            object([
                ("status", always(true)),
                ("already", boolean()),
                ("keep", named("KeepRule")),
                ("set_at_start", or_null(named("KeepRule"))),
            ]),
        ),
        ("Pins", object([("pins", list(text())), ("next", or_null(text()))])),
        (
            "Pinned",
            object([("status", always(true)), ("name", text()), ("file_id", hash()), ("already", boolean())]),
        ),
        ("Unpinned", object([("status", always(true)), ("name", text()), ("already", boolean())])),
        (
            "Promises",
            object([("given", list(promise("to", []))), ("held", list(promise("by", [("promise", hex())])))]),
        ),
        ("Limits", object(limits().into_iter().chain([("at_start", object(limits()))]))),
    ]
}

pub(super) fn keep_rule() -> Value {
    one_of(&[
        json!({ "type": "string", "enum": ["all", "none"] }),
        json!({ "type": "array", "items": text() }),
    ])
}

fn scrub() -> [Field; 6] {
    [
        (
            "running",
            or_null(object([
                ("file", or_null(text())),
                ("started_ms", integer()),
                ("done_bytes", integer()),
                ("total_bytes", integer()),
                ("found_bad", integer()),
            ])),
        ),
        ("waiting", list(text())),
        (
            "last",
            or_null(object([
                ("started_ms", integer()),
                ("ended_ms", or_null(integer())),
                ("contents", integer()),
                ("bytes", integer()),
                ("found_bad", integer()),
            ])),
        ),
        ("unrepaired", integer()),
        ("rate_bytes_per_second", or_null(integer())),
        ("interval_seconds", integer()),
    ]
}

fn promise(with: &'static str, more: impl IntoIterator<Item = Field>) -> Value {
    let fields =
        [("file", or_null(text())), ("file_id", hash()), (with, or_null(node_id())), ("until_ms", integer())];
    object(fields.into_iter().chain(more))
}

fn limits() -> [Field; 3] {
    ["up_bytes_per_second", "down_bytes_per_second", "connections"].map(|name| (name, or_null(integer())))
}
