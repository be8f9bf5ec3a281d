use serde_json::json;

use crate::{
    fake_node::{Answer, FakeNode},
    program::swiftctl,
};

#[test]
fn peers_are_listed_with_what_they_did_wrong() {
    let good = json!({
        "node_id": "good", "address": "10.0.0.1:80", "connected": true, "heard_ms": 0, "received_bytes": 2048,
        "sent_bytes": 1, "offences": {}, "last_offence": null, "isolated_until_ms": null,
    });
    let last = json!({"kind": "wrong_bytes", "at_ms": 0, "detail": "chunk 3\u{1b}[2J"});
    let liar = json!({
        "node_id": "liar", "address": "10.0.0.2:80", "connected": false, "heard_ms": null, "received_bytes": 0,
        "sent_bytes": 0, "offences": {"flood": 7, "wrong_bytes": 2}, "last_offence": last,
        "isolated_until_ms": 60_000,
    });
    let node = FakeNode::start(move |request| match request.line.as_str() {
        "GET /v1/peers?limit=1000" => Answer::json(&json!({"peers": [good], "next": "good"})),
        "GET /v1/peers?limit=1000&after=good" => Answer::json(&json!({"peers": [liar], "next": null})),
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let peers = |args: &[&str]| {
        swiftctl(folder.path(), &[&["--node", &node.url, "peers"], args].concat(), b"").ended(0)
    };
    let text = peers(&[]).text();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[1].starts_with("good     10.0.0.1:80  yes        1970-01-01T00:00:00Z  2.0 KiB"), "{text}");
    assert!(lines[2].contains("7 flood, 2 wrong bytes"), "{text}");
    assert!(lines[2].contains("wrong bytes at 1970-01-01T00:00:00Z: chunk 3"), "{text}");
    assert!(lines[2].ends_with("1970-01-01T00:01:00Z") && !text.contains('\u{1b}'), "{text}");
    assert_eq!(peers(&["-o", "json"]).json()[1]["offences"]["wrong_bytes"], 2);
}
