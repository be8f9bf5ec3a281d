use std::{fs, sync::Mutex};

use serde_json::json;

use crate::{
    fake_node::{Answer, FakeNode, Request},
    program::{content, file_id, swiftctl, swiftctl_with},
};

/// Stores everything under the name in the path.
fn stored(request: &Request) -> Answer {
    let name = request.line.trim_start_matches("PUT /v1/files/").trim_end_matches("?replace");
    let id = file_id(&request.body);
    let size = request.body.len();
    Answer::json(&json!({"status": true, "name": name, "file_id": id, "size": size, "block": 3,
        "already": false, "copies": 1}))
}

#[test]
fn a_file_goes_out_as_it_is_under_its_encoded_name() {
    let (node, folder) = (FakeNode::start(stored), tempfile::tempdir().unwrap());
    let bytes = content(3_000_000);
    fs::write(folder.path().join("a b#1.iso"), &bytes).unwrap();
    let env = [("SWIFTSERVE_TOKEN", "secret"), ("SWIFTSERVE_NODE", node.url.as_str())];
    let run = swiftctl_with(folder.path(), &env, &["upload", "a b#1.iso"], b"").ended(0);

    let [request] = node.requests().try_into().unwrap();
    assert_eq!(request.line, "PUT /v1/files/a%20b%231.iso");
    assert_eq!(request.field("content-length"), Some("3000000"));
    assert_eq!(request.field("transfer-encoding"), None);
    assert_eq!(request.field("authorization"), Some("Bearer secret"));
    assert!(request.body == bytes);
    for line in [
        "name:     a%20b%231.iso",
        "size:     2.9 MiB (3000000 bytes)",
        &format!("file id:  {}", file_id(&bytes)),
        "block:    3",
        "copies: 1",
        "next: swiftctl download a%20b%231.iso",
    ] {
        assert!(run.text().lines().any(|found| found == line), "{line:?} is missing in:\n{}", run.text());
    }
    assert!(!run.text().contains("secret") && run.stderr.is_empty(), "{}", run.stderr);
}

#[test]
fn an_empty_file_is_a_file() {
    let (node, folder) = (FakeNode::start(stored), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("empty"), "").unwrap();
    swiftctl(folder.path(), &["--node", &node.url, "upload", "empty"], b"").ended(0);
    let request = &node.requests()[0];
    assert_eq!((request.field("content-length"), request.body.len()), (Some("0"), 0));
}

#[test]
fn the_standard_input_is_streamed_under_the_given_name() {
    let (node, folder) = (FakeNode::start(stored), tempfile::tempdir().unwrap());
    let (args, bytes) =
        (["--node", &node.url, "upload", "-", "--as", "logs/today", "--replace"], content(700_000));
    swiftctl(folder.path(), &args, &bytes).ended(0);
    let request = &node.requests()[0];
    assert_eq!(request.line, "PUT /v1/files/logs/today?replace");
    assert!(request.body == bytes);
    swiftctl(folder.path(), &["--node", &node.url, "upload", "-"], b"x").ended(2);
}

#[test]
fn a_folder_goes_on_after_a_file_that_failed() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "PUT /v1/files/d/taken" => Answer::problem(409, "name_taken", "d/taken holds other content"),
        _ => stored(request),
    });
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("d/sub")).unwrap();
    for file in ["d/taken", "d/sub/z", "d/a", "d/CON"] {
        fs::write(folder.path().join(file), file).unwrap();
    }
    let run = swiftctl(folder.path(), &["--node", &node.url, "upload", "d", "-o", "json"], b"").ended(1);
    let mut lines: Vec<_> = node.requests().into_iter().map(|request| request.line).collect();
    lines.sort();
    assert_eq!(lines, ["PUT /v1/files/d/a", "PUT /v1/files/d/sub/z", "PUT /v1/files/d/taken"]);
    assert!(run.stderr.contains("2 of 4 failed: d/CON, d/taken"), "{}", run.stderr);
    assert!(run.stderr.contains("--replace"), "{}", run.stderr);
    let rows = run.json();
    let good = rows.as_array().unwrap().iter().filter(|row| row["status"] == true).count();
    assert_eq!((rows.as_array().unwrap().len(), good), (4, 2));
}

/// Such a file says that it has a page of bytes, and has fewer.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_shorter_than_it_was_is_not_the_nodes_fault() {
    let (node, folder) = (FakeNode::start(stored), tempfile::tempdir().unwrap());
    let args = ["--node", &node.url, "upload", "/sys/kernel/mm/transparent_hugepage/enabled"];
    if fs::metadata(args[3]).is_ok() {
        let run = swiftctl(folder.path(), &args, b"").ended(1);
        assert!(run.stderr.contains("and had 4096"), "{}", run.stderr);
    }
}

/// A node refuses before it has read the body; the reason must arrive although the rest of the body cannot be sent.
#[test]
fn an_early_refusal_is_understood_in_the_middle_of_a_body() {
    let node = FakeNode::hasty(|_| Answer::problem(409, "name_taken", "big holds other content"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("big"), content(6_000_000)).unwrap();
    for _ in 0..10 {
        let run = swiftctl(folder.path(), &["--node", &node.url, "upload", "big"], b"").ended(1);
        assert!(run.stderr.contains("--replace"), "{}", run.stderr);
    }
}

#[test]
fn waiting_ends_when_all_that_are_online_are_complete() {
    let asked = Mutex::new(0);
    let node = FakeNode::start(move |request| {
        if request.line.starts_with("PUT") {
            return stored(request);
        }
        assert_eq!(request.line, "GET /v1/files/f?copies");
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        let complete = if *asked < 3 { vec!["aaaa"] } else { vec!["aaaa", "bbbb"] };
        Answer::json(&json!({"name": "f", "file_id": "", "complete": complete, "online": ["aaaa", "bbbb"],
            "absent": ["cccc"]}))
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), "x").unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "upload", "f", "--wait", "all"], b"").ended(0);
    assert!(run.text().contains("copies: 2"), "{}", run.text());
    assert!(run.stderr.contains("cccc"), "{}", run.stderr);
    let args = ["--node", &node.url, "upload", "f", "--wait", "3", "--timeout", "0s"];
    let run = swiftctl(folder.path(), &args, b"").ended(6);
    assert!(run.stderr.contains("absent: cccc"), "{}", run.stderr);
    assert!(run.text().contains("block:    3"), "{}", run.text());
}
