//! The program against a real node, over TLS that only that node can answer.

use std::fs;

use crate::{
    program::{content, swiftctl, swiftctl_with},
    real_node::RealNode,
};

#[test]
fn a_node_is_asked_over_tls_by_whoever_knows_its_id() {
    let node = RealNode::start();
    let run = node.ask(&node.named(), &["-o", "json", "status"]).ended(0);
    assert_eq!(run.json()["node_id"], node.id);
    assert!(!run.stderr.contains("unencrypted"), "{}", run.stderr);
    let flag = ["--node", &node.named(), "--token-file", "node/admin-token", "ls"];
    swiftctl(node.path(), &flag, b"").ended(0);
}

/// The name in the Host header guards against pages in browsers, which do not speak this.
#[test]
fn a_node_whose_id_is_known_may_be_called_by_any_name_that_leads_to_it() {
    let node = RealNode::start();
    let by_name = format!("{}@localhost:{}", node.id, node.at.port());
    node.ask(&by_name, &["status"]).ended(0);
}

#[test]
fn large_files_go_both_ways_over_tls_as_in_the_clear() {
    let node = RealNode::start();
    let bytes = content(24 << 20);
    fs::write(node.path().join("large"), &bytes).unwrap();
    let in_clear = format!("http://{}", node.at);
    node.ask(&node.named(), &["upload", "large"]).ended(0);
    node.ask(&in_clear, &["upload", "--as", "second", "large"]).ended(0);
    for (way, name, to) in [(&node.named(), "second", "a"), (&in_clear, "large", "b")] {
        node.ask(way, &["download", name, "-o", to]).ended(0);
        assert!(fs::read(node.path().join(to)).unwrap() == bytes, "{way}");
    }
}

#[test]
fn another_node_in_its_place_gets_no_token_and_ends_with_7() {
    let (node, other) = (RealNode::start(), RealNode::start());
    let misplaced = format!("{}@{}", node.id, other.at);
    fs::write(node.path().join("f"), "x").unwrap();
    for args in [&["status"][..], &["upload", "f"], &["download", "f"]] {
        let run = node.ask(&misplaced, args).ended(7);
        assert!(run.stderr.contains(&format!("is not {}", node.id)), "{}", run.stderr);
        assert!(run.stderr.contains(&other.id) && run.stderr.contains("nothing was sent"), "{}", run.stderr);
        assert!(!run.stderr.contains(&node.token), "{}", run.stderr);
    }
}

#[test]
fn without_a_token_tls_opens_nothing() {
    let node = RealNode::start();
    let run = swiftctl(node.path(), &["--node", &node.named(), "status"], b"").ended(4);
    assert!(run.stderr.contains("token"), "{}", run.stderr);
    let wrong = [("SWIFTSERVE_TOKEN", "sst_wrong")];
    let run = swiftctl_with(node.path(), &wrong, &["--node", &node.named(), "status"], b"").ended(4);
    assert!(!run.stderr.contains("sst_wrong"), "{}", run.stderr);
}

#[test]
fn what_speaks_no_tls_is_not_taken_for_the_node() {
    let node = RealNode::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("{}@{}", node.id, listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            // Whether it listens is its own affair.
            let _ = std::io::Write::write_all(&mut tcp.unwrap(), b"HTTP/1.1 200 OK\r\n\r\n");
        }
    });
    node.ask(&elsewhere, &["status"]).ended(7);
}

#[test]
fn a_sign_in_address_is_printed_and_an_expired_token_is_listed_as_such() {
    let node = RealNode::start();
    let run = node.ask(&node.named(), &["dashboard"]).ended(0);
    assert!(run.text().starts_with(&format!("http://{}/#signin=", node.at)), "{}", run.text());
    assert!(run.stderr.contains("once") && !run.stderr.contains("#signin"), "{}", run.stderr);
    node.ask(&node.named(), &["token", "create", "short", "--scope", "read", "--expires", "0s"]).ended(0);
    let listed = node.ask(&node.named(), &["token", "list"]).ended(0).text();
    assert!(listed.lines().any(|line| line.contains("short") && line.contains("expired ")), "{listed}");
}
