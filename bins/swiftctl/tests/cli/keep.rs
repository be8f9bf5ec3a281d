use serde_json::{Value, json};

use crate::{
    fake_node::{Answer, FakeNode},
    program::swiftctl,
};

#[test]
fn pins_are_set_and_taken_back_by_name() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "PUT /v1/pins/a%20b/c" => Answer::json(&json!({"status": true, "name": "a b/c", "already": false})),
        "PUT /v1/pins/d" => Answer::json(&json!({"status": true, "name": "d", "already": true})),
        "DELETE /v1/pins/d" => Answer::json(&json!({"status": true, "name": "d", "already": false})),
        "DELETE /v1/pins/e" => Answer::json(&json!({"status": true, "name": "e", "already": true})),
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let ctl = |args: &[&str]| swiftctl(folder.path(), &[&["--node", &node.url], args].concat(), b"");
    let run = ctl(&["pin", "a b/c", "d"]).ended(0);
    assert_eq!(run.text(), "pinned a b/c\nd was pinned before\n");
    assert!(run.stderr.contains("it comes by itself"), "{}", run.stderr);
    assert_eq!(ctl(&["unpin", "d", "e"]).ended(0).text(), "unpinned d\ne was not pinned\n");
    let json = ctl(&["pin", "d", "-o", "json"]).ended(0).json();
    assert_eq!(json, json!([{"status": true, "name": "d", "already": true}]));
    ctl(&["pin", "nothing"]).ended(3);
    ctl(&["pin", "d", "nothing"]).ended(1);
    ctl(&["pin"]).ended(2);
}

#[test]
fn the_rule_is_shown_and_set() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "GET /v1/keep" => Answer::json(&json!({"keep": ["*.iso", "b/**"], "set_at_start": null})),
        "PUT /v1/keep" => {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let keep = &body["keep"];
            Answer::json(&json!({"status": true, "keep": keep, "set_at_start": "none", "already": false}))
        }
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let keep = |args: &[&str]| swiftctl(folder.path(), &[&["--node", &node.url, "keep"], args].concat(), b"");
    assert_eq!(keep(&[]).ended(0).text(), "*.iso\nb/**\n");
    let run = keep(&["all"]).ended(0);
    assert_eq!(run.text(), "all\n");
    assert!(run.stderr.contains("was started with --keep none"), "{}", run.stderr);
    let run = keep(&["none"]).ended(0);
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    assert_eq!(keep(&["a*", "b,c", "-o", "json"]).ended(0).json()["keep"], json!(["a*", "b,c"]));
    keep(&["all", "a*"]).ended(2);
}

#[test]
fn promises_are_listed_with_who_keeps_what() {
    let said = json!({
        "given": [{"file": "a", "file_id": "ab", "to": "n1", "until_ms": 0}],
        "held": [{"file": null, "file_id": "cd", "by": "n2", "until_ms": 1000, "promise": "00"}],
    });
    let answer = said.clone();
    let node = FakeNode::start(move |_| Answer::json(&answer));
    let folder = tempfile::tempdir().unwrap();
    let ask = |args: &[&str]| swiftctl(folder.path(), &[&["--node", &node.url], args].concat(), b"").ended(0);
    assert_eq!(ask(&["promises", "-o", "json"]).json(), said);
    let text = ask(&["promises"]).text();
    assert!(text.contains("a     kept here for  n1    1970-01-01T00:00:00Z"), "{text}");
    assert!(text.contains("cd    kept by        n2    1970-01-01T00:00:01Z"), "{text}");
}
