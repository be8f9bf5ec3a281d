use std::{fs, net::TcpListener};

use serde_json::json;

use crate::{
    fake_node::{Answer, FakeNode, ID},
    program::swiftctl,
};

#[test]
fn a_refused_credential_ends_with_4_and_says_what_to_do() {
    let node = FakeNode::start(|_| Answer::problem(401, "unauthorized", "this node does not know the token"));
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "--token", "sesame", "status"], b"").ended(4);
    assert!(
        run.stderr.contains("does not know the token") && run.stderr.contains("--data-dir"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("sesame"));
}

#[test]
fn a_missing_right_ends_with_4() {
    let node = FakeNode::start(|_| Answer::problem(403, "forbidden", "it takes the scope admin"));
    let folder = tempfile::tempdir().unwrap();
    swiftctl(folder.path(), &["--node", &node.url, "invite"], b"").ended(4);
}

#[test]
fn what_does_not_exist_ends_with_3() {
    let node = FakeNode::start(|_| Answer::problem(404, "not_found", "there is no file x"));
    let folder = tempfile::tempdir().unwrap();
    for args in [["download", "x"], ["rm", "x"]] {
        swiftctl(folder.path(), &[&["--node", &node.url], &args[..]].concat(), b"").ended(3);
    }
    swiftctl(folder.path(), &["--node", &node.url, "upload", "no-such-file"], b"").ended(3);
    let run = swiftctl(folder.path(), &["--node", &node.url, "rm", "x", "y"], b"").ended(1);
    assert!(run.stderr.contains("2 of 2 failed: x, y"), "{}", run.stderr);
}

#[test]
fn a_node_that_is_not_there_ends_with_7_and_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), "x").unwrap();
    fs::write(folder.path().join("node.json"), format!(r#"{{"url": "{url}", "node_id": "{ID}", "pid": 1}}"#))
        .unwrap();
    fs::write(folder.path().join("admin-token"), "t\n").unwrap();
    for args in [&["status"][..], &["upload", "f"], &["download", "f"], &["inspect-chain", "--verify"]] {
        let run = swiftctl(folder.path(), &[&["--data-dir", "."], args].concat(), b"").ended(7);
        assert!(run.stderr.contains(&url) && run.stderr.contains("may not be running"), "{}", run.stderr);
        assert!(run.stderr.contains("swiftserve-node --data-dir ."), "{}", run.stderr);
    }
}

#[test]
fn a_folder_without_a_node_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--data-dir", ".", "status"], b"").ended(7);
    assert!(run.stderr.contains("no node has run in"), "{}", run.stderr);
    assert!(run.stderr.contains("swiftserve-node --data-dir ."), "{}", run.stderr);
}

#[test]
fn wrong_usage_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["status"][..], &["no-such-command"], &["--node", "nonsense", "ls"], &["upload"]] {
        swiftctl(folder.path(), args, b"").ended(2);
    }
}

#[test]
fn an_answer_that_is_no_nodes_is_reported_as_such() {
    let node = FakeNode::start(|_| Answer::new(200, "<html>hello</html>"));
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "status"], b"").ended(1);
    assert!(run.stderr.contains("is this a SwiftServe node"), "{}", run.stderr);
}

/// A node that lets everybody in only at the second time.
fn busy_at_first() -> FakeNode {
    let asked = std::sync::Mutex::new(std::collections::BTreeMap::<String, u32>::new());
    FakeNode::start(move |request| {
        let mut asked = asked.lock().unwrap();
        let times = asked.entry(request.line.clone()).or_default();
        *times += 1;
        match (*times, request.line.as_str()) {
            (1, _) => Answer::problem(429, "rate_limited", "too many requests").with("retry-after", "0"),
            (_, line) if line.starts_with("PUT") => Answer::json(&json!({
                "name": "f", "file_id": "00", "size": 3, "block": 1, "copies": 1,
            })),
            (_, line) if line.starts_with("DELETE") => Answer::json(&json!({"label": "ci"})),
            _ => Answer::json(&json!({"tokens": []})),
        }
    })
}

#[test]
fn a_node_that_is_asked_too_often_is_asked_again_when_it_says() {
    let (node, folder) = (busy_at_first(), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("f"), "abc").unwrap();
    for args in [&["token", "list"][..], &["token", "revoke", "ci"], &["upload", "f"]] {
        let run = swiftctl(folder.path(), &[&["--node", &node.url], args].concat(), b"").ended(0);
        assert!(run.stderr.contains("note:") && run.stderr.contains("too many requests"), "{}", run.stderr);
    }
    let requests = node.requests();
    let lines: Vec<&str> = requests.iter().map(|request| request.line.as_str()).collect();
    let (list, revoke, put) = ("GET /v1/tokens?limit=1000", "DELETE /v1/tokens/ci", "PUT /v1/files/f");
    assert_eq!(lines, [list, list, revoke, revoke, put, put]);
    assert_eq!(requests.last().unwrap().body, b"abc");
}

#[test]
fn what_cannot_be_read_twice_is_not_sent_twice() {
    let (node, folder) = (busy_at_first(), tempfile::tempdir().unwrap());
    let args = ["--node", &node.url, "upload", "-", "--as", "f"];
    let run = swiftctl(folder.path(), &args, b"abc").ended(6);
    assert!(run.stderr.contains("cannot be read a second time"), "{}", run.stderr);
    assert_eq!(node.requests().len(), 1);
}

#[test]
fn a_node_that_wants_to_be_left_alone_for_long_ends_the_command_with_6() {
    let node = FakeNode::start(|_| {
        Answer::problem(429, "rate_limited", "too many requests").with("retry-after", "3600")
    });
    let folder = tempfile::tempdir().unwrap();
    swiftctl(folder.path(), &["--node", &node.url, "status"], b"").ended(6);
}
