//! A node and its state; what is said of a request that failed.

use serde_json::json;

use super::Named;
use crate::openapi::{
    document::CODES,
    shape::{always, boolean, choice, hash, integer, list, named, node_id, object, or_null, text},
};

pub(super) fn shapes() -> Vec<Named> {
    let codes: Vec<&str> = CODES.iter().map(|code| code.name).collect();
    vec![
        (
            "Problem",
            object([
                ("type", text()),
                ("title", text()),
                ("status", integer()),
                ("detail", text()),
                ("reason", text()),
                ("code", choice(&codes)),
            ]),
        ),
        ("Refused", object([("status", always(false)), ("reason", text()), ("code", choice(&codes))])),
        ("Answered", object([("status", boolean()), ("reason", text())])),
        (
            "EntryPoints",
            object([
                ("service", text()),
                ("version", text()),
                ("node_id", node_id()),
                ("entry_points", json!({ "type": "object", "additionalProperties": text() })),
            ]),
        ),
        (
            "Status",
            object([
                ("node_id", node_id()),
                ("network_id", hash()),
                ("version", text()),
                ("role", or_null(named("Role"))),
                ("address", or_null(text())),
                ("height", integer()),
                ("head_hash", hash()),
                ("head_time_ms", integer()),
                ("validators", list(named("Validator"))),
                ("quorum", named("Quorum")),
                ("last_certificate", or_null(named("Certificate"))),
                ("evidence", integer()),
                ("members", integer()),
                ("files", integer()),
                ("bytes", integer()),
                ("store", named("Store")),
                ("scrub", named("Scrub")),
                ("traffic", object([("received_bytes", integer()), ("sent_bytes", integer())])),
                ("peers_online", integer()),
                ("problem", or_null(text())),
                ("at_risk", or_null(named("AtRisk"))),
            ]),
        ),
        (
            "Validator",
            object([
                ("node_id", node_id()),
                ("weight", integer()),
                ("online", boolean()),
                ("signed_last", boolean()),
            ]),
        ),
        (
            "Quorum",
            object([
                ("total", integer()),
                ("needed", integer()),
                ("reachable", integer()),
                ("has_quorum", boolean()),
                ("faults_tolerated", integer()),
                ("warning", or_null(text())),
            ]),
        ),
        ("Certificate", object([("height", integer()), ("round", integer()), ("signers", list(node_id()))])),
        (
            "Store",
            object([
                ("bytes", integer()),
                ("trashed_bytes", integer()),
                ("reserved_bytes", integer()),
                ("wanted", integer()),
                ("quota_bytes", or_null(integer())),
                ("free_floor_bytes", integer()),
                ("free_bytes", integer()),
                ("available_bytes", integer()),
            ]),
        ),
        (
            "AtRisk",
            object([
                ("count", integer()),
                ("looked_at", integer()),
                ("files", list(object([("name", text()), ("size", integer()), ("copies", integer())]))),
            ]),
        ),
    ]
}
