//! What requests bring.

use serde_json::json;

use super::Named;
use crate::openapi::shape::{choice, hash, integer, named, object, object_or, one_of, text};

pub(super) fn shapes() -> Vec<Named> {
    let limit = || json!({ "anyOf": [integer(), text(), { "type": "null" }] });
    let optional = |shape: serde_json::Value| json!({ "anyOf": [shape, { "type": "null" }] });
    vec![
        (
            "NodeChange",
            one_of(&[
                object([("role", named("Role"))]),
                object([("weight", json!({ "type": "integer", "minimum": 0, "maximum": 1_000_000 }))]),
            ]),
        ),
        (
            "NewInvite",
            object_or(
                [],
                [
                    ("role", optional(named("Role"))),
                    (
                        "expires_s",
                        optional(json!({ "type": "integer", "minimum": 1, "maximum": 31_622_400 })),
                    ),
                ],
            ),
        ),
        ("Restore", object_or([("name", text())], [("as", optional(text())), ("file_id", optional(hash()))])),
        ("NewScrub", object_or([], [("file", optional(text())), ("rate", optional(text()))])),
        ("NewKeep", object([("keep", named("KeepRule"))])),
        ("NewLimits", object_or([], [("up", limit()), ("down", limit()), ("connections", limit())])),
        ("NewPriority", object([("priority", choice(&["high", "normal", "low"]))])),
        (
            "NewToken",
            object_or(
                [
                    ("label", json!({ "type": "string", "minLength": 1, "maxLength": 64 })),
                    ("scopes", json!({ "type": "array", "items": named("Scope"), "minItems": 1 })),
                ],
                [("expires_s", optional(integer()))],
            ),
        ),
        ("SignIn", one_of(&[object([("secret", text())]), object([("token", text())])])),
        (
            "Upload",
            json!({
                "type": "object", "properties": { "file": { "type": "string", "contentMediaType": "application/octet-stream" } },
                "required": ["file"],
            }),
        ),
        (
            "Form",
            json!({
                "type": "object",
                "properties": {
                    "filename": text(), "chunk": text(), "total_chunks": text(), "start_byte": text(), "end_byte": text(),
                    "sha1": text(), "ip_address": text(), "port": text(),
                },
                "required": ["filename", "chunk"],
            }),
        ),
    ]
}
