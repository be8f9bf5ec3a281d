use std::{fs, net::TcpListener};

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
