//! Blocks and transactions.

use serde_json::{Value, json};

use super::Named;
use crate::openapi::shape::{
    Field, choice, hash, hex, integer, list, named, node_id, object, one_of, or_null, page, text,
};

pub(super) fn shapes() -> Vec<Named> {
    vec![
        ("Blocks", object([("blocks", list(named("Block"))), ("next", or_null(integer()))])),
        (
            "Block",
            object([
                ("height", integer()),
                ("hash", hash()),
                ("previous", hash()),
                ("time_ms", integer()),
                ("creator", node_id()),
                ("state_hash", hash()),
                ("transactions", list(object(transaction()))),
                ("certificate", object([("round", integer()), ("signers", list(node_id()))])),
            ]),
        ),
        ("Transactions", page("transactions", "Transaction")),
        (
            "Transaction",
            object(
                [("height", integer()), ("position", integer()), ("time_ms", integer())]
                    .into_iter()
                    .chain(transaction()),
            ),
        ),
        ("Action", action()),
        (
            "FileEntry",
            object([("name", text()), ("size", integer()), ("file_id", hash()), ("manifest_hash", hash())]),
        ),
        ("Refusals", page("refusals", "Refusal")),
        (
            "Refusal",
            object([
                ("refused_ms", integer()),
                ("on_behalf_of", or_null(text())),
                ("action", named("Action")),
                ("code", text()),
                ("reason", text()),
            ]),
        ),
        (
            "Evidence",
            object([("evidence", list(named("Proof"))), ("next", or_null(text())), ("total", integer())]),
        ),
        (
            "Proof",
            object([
                ("id", hash()),
                ("height", integer()),
                ("kind", choice(&["double vote", "double proposal", "fork"])),
                ("offenders", list(node_id())),
                ("found_ms", integer()),
                ("proof", hex()),
            ]),
        ),
        ("SecurityEvents", page("events", "SecurityEvent")),
        (
            "SecurityEvent",
            object([
                ("id", integer()),
                ("time_ms", integer()),
                ("last_ms", integer()),
                ("kind", text()),
                ("who", text()),
                ("detail", text()),
                ("count", integer()),
            ]),
        ),
    ]
}

fn transaction() -> [Field; 7] {
    [
        ("id", hash()),
        ("network", hash()),
        ("author", node_id()),
        ("sequence", integer()),
        ("valid_until_ms", integer()),
        ("on_behalf_of", or_null(text())),
        ("action", named("Action")),
    ]
}

/// An object with one field, which says what is done.
fn action() -> Value {
    let invitation = object([
        (
            "terms",
            object([
                ("inviter", node_id()),
                ("role", named("Role")),
                ("nonce", json!({ "type": "array", "items": integer(), "minItems": 16, "maxItems": 16 })),
                ("not_after_ms", integer()),
            ]),
        ),
        ("signature", hex()),
    ]);
    let change = one_of(&[
        object([("address", text())]),
        object([("role", named("Role"))]),
        object([("validator_weight", integer())]),
    ]);
    one_of(&[
        object([(
            "add_node",
            object([
                ("node", node_id()),
                ("address", text()),
                ("invitation", invitation),
                ("joiner_signature", hex()),
            ]),
        )]),
        object([("remove_node", object([("node", node_id())]))]),
        object([("update_node", object([("node", node_id()), ("change", change)]))]),
        object([("add_file", object([("file", named("FileEntry")), ("replaces", or_null(hash()))]))]),
        object([("remove_file", object([("name", text()), ("file_id", hash())]))]),
        object([("upgrade", object([("version", integer()), ("from_height", integer())]))]),
        object([("void", object([]))]),
    ])
}
