use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::{
    fake_node::{Answer, FakeNode},
    program::{Run, swiftctl},
};

/// A node that begins a scrub when asked, says each of these in turn, and then the last for ever.
fn scrub(begun: Value, says: Vec<Value>, args: &[&str]) -> Run {
    let turn = AtomicUsize::new(0);
    let node = FakeNode::start(move |request| match request.line.as_str() {
        "POST /v1/scrub" => {
            assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), begun);
            Answer::json(&json!({"status": true, "file": null, "started_ms": 5}))
        }
        "GET /v1/scrub" | "GET /v1/scrub?file=a%20b" => {
            let turn = turn.fetch_add(1, Ordering::Relaxed).min(says.len() - 1);
            Answer::json(&says[turn])
        }
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    swiftctl(folder.path(), &[&["--node", &node.url, "scrub"], args].concat(), b"")
}

fn ended(found_bad: u64, unrepaired: u64, rotten: &Value) -> Value {
    let last = json!({"started_ms": 5, "ended_ms": 9, "contents": 3, "bytes": 2048, "found_bad": found_bad});
    json!({"running": null, "last": last, "unrepaired": unrepaired, "rotten": rotten, "file": null})
}

fn rotten(repaired: bool) -> Value {
    json!({"name": "a b", "file_id": "ab", "bad_chunks": 2, "found_ms": 6000, "repaired": repaired})
}

#[test]
fn a_scrub_is_followed_to_its_end() {
    let going = json!({
        "running": {"file": null, "started_ms": 5, "done_bytes": 1, "total_bytes": 2, "found_bad": 0},
        "last": {"started_ms": 1, "ended_ms": 2}, "unrepaired": 0, "rotten": [],
    });
    let says = vec![going.clone(), going, ended(0, 0, &json!([]))];
    let run = scrub(json!({}), says.clone(), &[]).ended(0);
    assert_eq!(run.text(), "verified 3 contents, 2.0 KiB: all sound\n");
    assert_eq!(scrub(json!({}), says, &["-o", "json"]).ended(0).json(), ended(0, 0, &json!([])));
}

#[test]
fn what_was_repaired_is_told_and_no_failure() {
    let says = vec![
        ended(1, 1, &json!([rotten(false)])),
        ended(1, 1, &json!([rotten(false)])),
        ended(1, 0, &json!([rotten(true)])),
    ];
    let text = scrub(json!({"rate": "none"}), says, &["--rate", "none"]).ended(0).text();
    assert!(text.starts_with("verified 3 contents, 2.0 KiB: 1 rotten\n"), "{text}");
    assert!(text.contains("a b     2       1970-01-01T00:00:06Z  whole again"), "{text}");
}

#[test]
fn what_is_not_repaired_in_time_is_a_failure() {
    let run = scrub(json!({}), vec![ended(1, 1, &json!([rotten(false)]))], &["--repair-wait", "0s"]).ended(5);
    assert!(run.text().contains("NOT WHOLE"), "{}", run.text());
    assert!(run.stderr.contains("1 content is rotten and not whole again"), "{}", run.stderr);
}

#[test]
fn one_file_is_followed_by_its_name() {
    let file = |waiting: bool, verified_ms: u64, rotten: Value| {
        let file = json!({"name": "a b", "file_id": "ab", "verified_ms": verified_ms, "waiting": waiting, "rotten": rotten});
        json!({"running": null, "last": null, "unrepaired": 7, "rotten": [], "file": file})
    };
    let begun = || json!({"file": "a b"});
    let says = vec![file(true, 1, json!(null)), file(false, 6, json!(null))];
    assert_eq!(scrub(begun(), says, &["a b"]).ended(0).text(), "a b is sound\n");
    let says = vec![file(false, 6, rotten(false))];
    let run = scrub(begun(), says, &["a b", "--repair-wait", "0s"]).ended(5);
    assert!(run.text().contains("NOT WHOLE"), "{}", run.text());
    let run = scrub(begun(), vec![file(false, 1, json!(null))], &["a b"]).ended(1);
    assert!(run.stderr.contains("could not be verified"), "{}", run.stderr);
}
