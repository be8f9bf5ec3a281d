//! Members, and what is known of them.

use serde_json::json;

use super::Named;
use crate::openapi::shape::{
    always, boolean, choice, integer, list, named, node_id, object, object_or, or_null, page, text,
};

pub(super) fn shapes() -> Vec<Named> {
    vec![
        ("Role", choice(&["admin", "publisher", "reader"])),
        ("Nodes", page("nodes", "Node")),
        (
            "Node",
            object([
                ("node_id", node_id()),
                ("role", named("Role")),
                ("address", text()),
                ("joined_height", integer()),
                ("validator_weight", integer()),
                ("online", boolean()),
                ("is_self", boolean()),
                ("holds", or_null(object([("files", integer()), ("bytes", integer())]))),
                ("keeps", or_null(choice(&["all", "none", "some"]))),
                ("height", or_null(integer())),
                ("heard_ms", or_null(integer())),
                ("available_bytes", or_null(integer())),
                ("version", or_null(text())),
            ]),
        ),
        (
            "Changed",
            object_or(
                [
                    ("status", always(true)),
                    ("node_id", node_id()),
                    ("final", boolean()),
                    ("block", or_null(integer())),
                    ("already", boolean()),
                ],
                [("role", named("Role")), ("weight", integer()), ("warning", or_null(text()))],
            ),
        ),
        ("Peers", page("peers", "Peer")),
        (
            "Peer",
            object([
                ("node_id", node_id()),
                ("role", named("Role")),
                ("address", text()),
                ("connected", boolean()),
                ("heard_ms", or_null(integer())),
                ("received_bytes", integer()),
                ("sent_bytes", integer()),
                ("message_bytes", integer()),
                ("offences", json!({ "type": "object", "additionalProperties": integer() })),
                (
                    "last_offence",
                    or_null(object([("kind", text()), ("at_ms", integer()), ("detail", text())])),
                ),
                ("isolations", integer()),
                ("isolated_until_ms", or_null(integer())),
            ]),
        ),
        (
            "Invite",
            object_or(
                [("ticket", text()), ("role", named("Role")), ("expires_ms", integer())],
                [("qr", list(text()))],
            ),
        ),
        ("Scope", choice(&["read", "publish", "remove", "admin"])),
        ("Tokens", page("tokens", "Token")),
        (
            "Token",
            object([
                ("label", text()),
                ("scopes", list(named("Scope"))),
                ("created_ms", integer()),
                ("expires_ms", or_null(integer())),
                ("expired", boolean()),
            ]),
        ),
        (
            "TokenMade",
            object([
                ("token", text()),
                ("label", text()),
                ("scopes", list(named("Scope"))),
                ("expires_ms", or_null(integer())),
            ]),
        ),
        ("TokenRevoked", object([("status", always(true)), ("label", text())])),
        (
            "Session",
            object([("label", text()), ("scopes", list(named("Scope"))), ("expires_ms", or_null(integer()))]),
        ),
        ("SignedOut", object([("status", always(true)), ("already", boolean())])),
        ("SignInAddress", object([("url", text()), ("expires_ms", integer())])),
    ]
}
