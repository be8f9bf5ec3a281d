use serde_json::{Value, json};

use crate::{
    fake_node::{Answer, FakeNode},
    program::swiftctl,
};

fn row(name: Option<&str>, complete: bool, used: bool) -> Value {
    json!({
        "name": name, "size": 1024, "file_id": "ab", "held_bytes": 512, "complete": complete, "used": used,
        "removed_ms": 0, "removed_by": name.map(|_| "a".repeat(52)), "on_behalf_of": name.map(|_| "backup"),
        "expires_ms": 604_800_000,
    })
}

#[test]
fn the_trash_is_listed_page_by_page() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "GET /v1/trash?limit=1000" => {
            Answer::json(&json!({"trash": [row(Some("a b"), true, false)], "next": "7/a b"}))
        }
        "GET /v1/trash?limit=1000&after=7%2Fa%20b" => Answer::json(
            &json!({"trash": [row(Some("c"), true, true), row(None, false, false)], "next": null}),
        ),
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let ls = |args: &[&str]| {
        swiftctl(folder.path(), &[&["--node", &node.url, "trash", "ls"], args].concat(), b"").ended(0)
    };
    let text = ls(&[]).text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[1].starts_with("a b   1.0 KiB  complete  1970-01-01T00:00:00Z  aaaaaaaaaa for backup"),
        "{text}"
    );
    assert!(lines[1].contains("1970-01-08T00:00:00Z"), "{text}");
    assert!(lines[2].contains("in use"), "{text}");
    assert!(lines[3].starts_with("-     1.0 KiB  50 %"), "{text}");
    assert_eq!(ls(&["-o", "json"]).json().as_array().unwrap().len(), 3);
}

#[test]
fn a_file_is_restored_and_a_taken_name_says_what_to_do() {
    let node = FakeNode::start(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let answer = |name: &str, already| {
            let written = json!({"status": true, "name": name, "file_id": "ab", "size": 1, "block": 7, "already": already});
            Answer::json(&written)
        };
        match (request.line.as_str(), body) {
            ("POST /v1/trash", body) if body == json!({"name": "a"}) => answer("a", false),
            ("POST /v1/trash", body) if body == json!({"name": "b", "as": "c", "file_id": "ab"}) => {
                answer("c", true)
            }
            ("POST /v1/trash", body) if body["name"] == "taken" => {
                Answer::problem(409, "name_taken", "it is taken")
            }
            (line, _) => Answer::problem(404, "not_found", line),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let restore = |args: &[&str]| {
        swiftctl(folder.path(), &[&["--node", &node.url, "trash", "restore"], args].concat(), b"")
    };
    assert_eq!(restore(&["a"]).ended(0).text(), "restored a, block 7\n");
    let text = restore(&["b", "--as", "c", "--id", "ab"]).ended(0).text();
    assert_eq!(text, "c has this content already, block 7\n");
    let run = restore(&["taken"]).ended(1);
    assert!(
        run.stderr.contains("it is taken") && run.stderr.contains("trash restore taken --as OTHER"),
        "{}",
        run.stderr
    );
    restore(&["nothing"]).ended(3);
    restore(&["a", "--as", "../b"]).ended(1);
}

#[test]
fn the_trash_is_emptied_only_when_somebody_says_so() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "DELETE /v1/trash" => Answer::json(&json!({"status": true, "contents": 2, "bytes": 2048})),
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let empty = |args: &[&str]| {
        swiftctl(folder.path(), &[&["--node", &node.url, "trash", "empty"], args].concat(), b"y\n")
    };
    let run = empty(&[]).ended(2);
    assert!(run.stderr.contains("add --yes"), "{}", run.stderr);
    assert_eq!(empty(&["--yes"]).ended(0).text(), "deleted 2 contents, 2.0 KiB are free\n");
}
