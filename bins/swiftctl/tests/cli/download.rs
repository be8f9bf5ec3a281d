use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    fake_node::{Answer, FakeNode, Request},
    program::{content, file_id, listed, swiftctl},
};

const LEN: u32 = 5_000_000;

fn record(bytes: &[u8]) -> Value {
    json!({"name": "dir/f", "size": bytes.len(), "file_id": file_id(bytes), "manifest_hash": "", "publisher": "p",
        "height": 1, "time_ms": 0, "held_bytes": 10, "complete": true})
}

/// Serves the record and, as a node does, ranges of the content.
fn serve(request: &Request, bytes: &[u8]) -> Answer {
    if request.line == "GET /v1/files/dir/f?meta" {
        return Answer::json(&record(bytes));
    }
    assert_eq!(request.line, "GET /v1/files/dir/f");
    let etag = format!("\"{}\"", file_id(bytes));
    let from = request.field("range").map(|range| {
        assert_eq!(request.field("if-range"), Some(etag.as_str()));
        range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap()
    });
    match from {
        None => Answer::new(200, bytes).with("etag", etag),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Answer::new(206, &bytes[from..]).with("etag", etag).with("content-range", range)
        }
    }
}

#[test]
fn a_download_lands_under_its_own_name() {
    let node = FakeNode::start(|request| serve(request, &content(LEN)));
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f"], b"").ended(0);
    assert!(fs::read(folder.path().join("f")).unwrap() == content(LEN));
    assert!(run.text().contains("verified"), "{}", run.text());
    // What is there stays, unless told otherwise.
    swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f"], b"").ended(1);
    swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f", "--force"], b"").ended(0);
    assert_eq!(listed(folder.path()), [PathBuf::from("f")]);
}

#[test]
fn an_interrupted_download_goes_on_and_is_verified_as_a_whole() {
    let gets = AtomicUsize::new(0);
    let node = FakeNode::start(move |request| {
        let answer = serve(request, &content(LEN));
        let is_first = request.line == "GET /v1/files/dir/f" && gets.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first { answer.cut_after(2_000_000) } else { answer }
    });
    let folder = tempfile::tempdir().unwrap();
    let args = ["--node", &node.url, "download", "dir/f", "-o", "copy"];
    let run = swiftctl(folder.path(), &args, b"").ended(7);
    assert!(run.stderr.contains("1.9 MiB are kept"), "{}", run.stderr);
    let part = format!("copy.{}.part", &file_id(&content(LEN))[..8]);
    assert_eq!(listed(folder.path()), [PathBuf::from(part)]);

    swiftctl(folder.path(), &args, b"").ended(0);
    let last = node.requests().pop().unwrap();
    assert_eq!(last.field("range"), Some("bytes=2000000-"));
    assert_eq!(listed(folder.path()), [PathBuf::from("copy")]);
    assert!(fs::read(folder.path().join("copy")).unwrap() == content(LEN));
}

#[test]
fn a_damaged_partial_is_found_out_although_the_rest_is_right() {
    let node = FakeNode::start(|request| serve(request, &content(LEN)));
    let folder = tempfile::tempdir().unwrap();
    let part = format!("copy.{}.part", &file_id(&content(LEN))[..8]);
    fs::write(folder.path().join(part), vec![7; 1000]).unwrap();
    let args = ["--node", &node.url, "download", "dir/f", "-o", "copy"];
    swiftctl(folder.path(), &args, b"").ended(5);
    assert!(listed(folder.path()).is_empty());
    swiftctl(folder.path(), &args, b"").ended(0);
}

#[test]
fn a_node_that_ignores_the_range_is_read_from_the_beginning() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "GET /v1/files/dir/f" => Answer::new(200, content(LEN)),
        _ => serve(request, &content(LEN)),
    });
    let folder = tempfile::tempdir().unwrap();
    let part = format!("copy.{}.part", &file_id(&content(LEN))[..8]);
    fs::write(folder.path().join(part), &content(LEN)[..1000]).unwrap();
    swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f", "-o", "copy"], b"").ended(0);
}

#[test]
fn corrupted_content_leaves_no_file() {
    let node = FakeNode::start(|request| {
        let mut bytes = content(LEN);
        let answer = serve(request, &bytes);
        if request.line.ends_with("?meta") {
            return answer;
        }
        bytes[4_321_000] ^= 1;
        Answer::new(200, bytes)
    });
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f"], b"").ended(5);
    assert!(run.stderr.contains("is not its content"), "{}", run.stderr);
    assert!(listed(folder.path()).is_empty());
    let run = swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f", "-o", "-"], b"").ended(5);
    assert_eq!(run.stdout.len(), LEN as usize);
}

#[test]
fn more_bytes_than_the_file_has_are_not_taken() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "GET /v1/files/dir/f" => Answer::new(200, content(LEN + 1)),
        _ => serve(request, &content(LEN)),
    });
    let folder = tempfile::tempdir().unwrap();
    swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f"], b"").ended(5);
    assert!(listed(folder.path()).is_empty());
}

#[test]
fn the_standard_output_gets_the_bytes_and_nothing_else() {
    let node = FakeNode::start(|request| serve(request, &content(LEN)));
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f", "-o", "-"], b"").ended(0);
    assert!(run.stdout == content(LEN));
    assert!(listed(folder.path()).is_empty());
}

#[test]
fn an_empty_file_needs_no_bytes() {
    let node = FakeNode::start(|request| serve(request, b""));
    let folder = tempfile::tempdir().unwrap();
    swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f"], b"").ended(0);
    assert_eq!(fs::read(folder.path().join("f")).unwrap(), b"");
}

#[test]
fn content_that_is_not_here_yet_is_waited_for_on_demand() {
    let gets = AtomicUsize::new(0);
    let node = FakeNode::start(move |request| {
        let early = request.line == "GET /v1/files/dir/f" && gets.fetch_add(1, Ordering::Relaxed) < 2;
        if early {
            Answer::problem(503, "unavailable", "not here yet")
        } else {
            serve(request, &content(LEN))
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f"], b"").ended(6);
    assert!(run.stderr.contains("10 B of 4.8 MiB") && run.stderr.contains("--wait"), "{}", run.stderr);
    swiftctl(folder.path(), &["--node", &node.url, "download", "dir/f", "--wait"], b"").ended(0);
    assert!(fs::read(folder.path().join("f")).unwrap() == content(LEN));
}
