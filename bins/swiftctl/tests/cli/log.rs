use serde_json::{Value, json};

use crate::{
    fake_node::{Answer, FakeNode},
    program::swiftctl,
};

fn removed(height: u64, label: Option<&str>) -> Value {
    let action = json!({"remove_file": {"name": "dir/a", "file_id": "cd".repeat(32)}});
    json!({"height": height, "position": 0, "time_ms": height * 1000, "id": "i", "author": "a".repeat(52),
        "on_behalf_of": label, "action": action})
}

#[test]
fn the_log_shows_the_newest_last_and_goes_from_page_to_page() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "GET /v1/transactions?limit=3&name=dir%2Fa" => {
            Answer::json(&json!({"transactions": [removed(9, Some("ci")), removed(8, None)], "next": "8.0"}))
        }
        "GET /v1/transactions?limit=1&name=dir%2Fa&after=8.0" => {
            Answer::json(&json!({"transactions": [removed(2, None)], "next": "2.0"}))
        }
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let args = ["--node", &node.url, "log", "dir/a", "--limit", "3"];
    let run = swiftctl(folder.path(), &args, b"").ended(0);
    let lines: Vec<_> = run.text().lines().map(|line| line.trim_end().to_owned()).collect();
    assert_eq!(lines[1], "2      1970-01-01T00:00:02Z  aaaaaaaaaa  -    removed dir/a (cdcdcdcdcd)");
    assert_eq!(lines[3], "9      1970-01-01T00:00:09Z  aaaaaaaaaa  ci   removed dir/a (cdcdcdcdcd)");
    assert!(run.stderr.contains("--limit"), "{}", run.stderr);
    let json = swiftctl(folder.path(), &[&args[..], &["-o", "json"]].concat(), b"").ended(0).json();
    assert_eq!(json, json!([removed(2, None), removed(8, None), removed(9, Some("ci"))]));
}

#[test]
fn a_moment_that_cannot_be_read_is_a_wrong_usage_and_nobody_is_asked() {
    let node = FakeNode::start(|request| Answer::problem(404, "not_found", &request.line));
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "log", "--since", "yesterday"], b"").ended(2);
    assert!(run.stderr.contains("2h"), "{}", run.stderr);
    assert!(node.requests().is_empty());
}

#[test]
fn since_is_sent_as_the_moment_that_it_means() {
    let node = FakeNode::start(|request| {
        assert_eq!(request.line, "GET /v1/transactions?limit=100&since_ms=1700000000000");
        Answer::json(&json!({"transactions": [], "next": null}))
    });
    let folder = tempfile::tempdir().unwrap();
    let args = ["--node", &node.url, "log", "--since", "2023-11-14T22:13:20Z"];
    let run = swiftctl(folder.path(), &args, b"").ended(0);
    assert!(run.stdout.is_empty() && run.stderr.contains("nothing"), "{}", run.stderr);
}

#[test]
fn the_security_log_tells_how_often_and_leaves_out_what_is_older() {
    let noted = |id: u64, (from_s, to_s): (u64, u64), count: u64| {
        json!({"id": id, "time_ms": from_s * 1000, "last_ms": to_s * 1000, "kind": "bad_token", "who": "10.0.0.9",
            "detail": "unknown", "count": count})
    };
    let node = FakeNode::start(move |request| {
        assert_eq!(request.line, "GET /v1/security?limit=100");
        // The third went on for longer than the second, which began later; the last is older than all that could.
        let events =
            [noted(9, (580, 600), 7), noted(8, (495, 495), 1), noted(7, (490, 530), 2), noted(1, (9, 9), 1)];
        Answer::json(&json!({"events": events, "next": "1"}))
    });
    let folder = tempfile::tempdir().unwrap();
    let args = ["--node", &node.url, "log", "--security", "--since", "1970-01-01T00:08:20Z"];
    let text = swiftctl(folder.path(), &args, b"").ended(0).text();
    let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines.len(), 3, "{text}");
    let before = ["1970-01-01T00:08:10Z", "1970-01-01T00:08:50Z", "2", "bad", "token", "10.0.0.9", "unknown"];
    let again = ["1970-01-01T00:09:40Z", "1970-01-01T00:10:00Z", "7", "bad", "token", "10.0.0.9", "unknown"];
    assert_eq!((&lines[1][..], &lines[2][..]), (&before[..], &again[..]));
}
