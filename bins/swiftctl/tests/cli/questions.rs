use serde_json::json;

use crate::{
    fake_node::{Answer, FakeNode},
    program::swiftctl,
};

#[test]
fn the_token_is_shown_bare_and_needs_no_running_node() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("admin-token"), "sesame\n").unwrap();
    let run = swiftctl(folder.path(), &["--data-dir", ".", "token", "show"], b"").ended(0);
    assert_eq!((run.text().as_str(), run.stderr.as_str()), ("sesame\n", ""));
}

#[test]
fn an_invitation_is_one_line_to_paste() {
    let node = FakeNode::start(|request| {
        assert_eq!(request.line, "POST /v1/invites");
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        if body != json!({}) {
            assert_eq!(body, json!({"role": "reader", "expires_s": 3600}));
        }
        Answer::json(&json!({"ticket": "swift1abc", "role": "reader", "expires_ms": 0}))
    });
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "invite"], b"").ended(0);
    assert_eq!(run.text(), "swift1abc\n");
    assert!(run.stderr.contains("swiftserve-node") && run.stderr.contains("--join"), "{}", run.stderr);
    let args = ["--node", &node.url, "invite", "--role", "reader", "--expires", "1h", "-o", "json"];
    assert_eq!(swiftctl(folder.path(), &args, b"").ended(0).json()["ticket"], "swift1abc");
    swiftctl(folder.path(), &["--node", &node.url, "invite", "--role", "king"], b"").ended(2);
}

#[test]
fn json_passes_on_what_the_node_said() {
    let status = json!({"node_id": "n", "network_id": "w", "height": 12, "head_hash": "h", "later": [1]});
    let nodes = json!([{"node_id": "n", "role": "admin", "address": "a:1", "online": true, "is_self": true}]);
    let (said_status, said_nodes) = (status.clone(), nodes.clone());
    let node = FakeNode::start(move |request| match request.line.as_str() {
        "GET /v1/status?copies" => Answer::json(&said_status),
        "GET /v1/nodes?limit=1000" => Answer::json(&json!({"nodes": said_nodes, "next": null})),
        _ => Answer::json(&json!({"transfers": [], "next": null})),
    });
    let folder = tempfile::tempdir().unwrap();
    let ask =
        |command| swiftctl(folder.path(), &["--node", &node.url, command, "-o", "json"], b"").ended(0).json();
    assert_eq!(ask("status"), status);
    assert_eq!(ask("nodes"), nodes);
    assert_eq!(ask("transfers"), json!([]));
    let text = swiftctl(folder.path(), &["--node", &node.url, "nodes"], b"").ended(0).text();
    assert!(text.starts_with("NODE ID") && text.contains("this node"), "{text}");
}

#[test]
fn refusals_say_what_would_have_happened_and_why_it_did_not() {
    let file = json!({"name": "a.iso", "size": 1536, "file_id": "abababababab", "manifest_hash": "x"});
    let action = json!({"add_file": {"file": file, "replaces": null}});
    let refusal = json!({
        "refused_ms": 0, "on_behalf_of": "ci", "action": action, "code": "name_taken", "reason": "it is taken",
    });
    let said = json!({"refusals": [refusal]});
    let answer = said.clone();
    let node = FakeNode::start(move |request| match request.line.as_str() {
        "GET /v1/refusals?limit=7" => Answer::json(&answer),
        "GET /v1/refusals?limit=100" => Answer::json(&json!({"refusals": []})),
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let ask = |args: &[&str]| {
        swiftctl(folder.path(), &[&["--node", &node.url, "refusals"], args].concat(), b"").ended(0)
    };
    let text = ask(&["--limit", "7"]).text();
    let row = "1970-01-01T00:00:00Z  added a.iso (1.5 KiB, ababababab)  ci   it is taken";
    assert!(text.starts_with("REFUSED") && text.contains("WOULD HAVE") && text.contains(row), "{text}");
    assert_eq!(ask(&["--limit", "7", "-o", "json"]).json(), said);
    let none = ask(&[]);
    assert!(none.stdout.is_empty() && none.stderr.contains("no write was refused"), "{}", none.stderr);
}

#[test]
fn a_list_of_files_is_all_of_its_pages() {
    let file = |name| json!({"name": name, "size": 1_u64 << 30, "file_id": "x", "complete": true});
    let node = FakeNode::start(move |request| match request.line.as_str() {
        "GET /v1/files?limit=1000&copies=1&prefix=a%26b" => {
            Answer::json(&json!({"files": [file("a&b/1")], "next": "c 1"}))
        }
        "GET /v1/files?limit=1000&copies=1&prefix=a%26b&after=c%201" => {
            Answer::json(&json!({"files": [file("a&b/2")], "next": null}))
        }
        line => Answer::problem(400, "bad_request", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "ls", "a&b", "-o", "json"], b"").ended(0);
    assert_eq!(run.json(), json!([file("a&b/1"), file("a&b/2")]));
    let run = swiftctl(folder.path(), &["--node", &node.url, "ls", "a&b"], b"").ended(0);
    assert!(run.text().contains("a&b/2  1.0 GiB"), "{}", run.text());
}

#[test]
fn a_member_is_removed_by_the_beginning_of_its_id() {
    let (one, two) = ("abcdefg".repeat(7) + "aaa", "abcdefh".repeat(7) + "bbb");
    let (first, removed) = (one.clone(), two.clone());
    let node = FakeNode::start(move |request| match request.line.as_str() {
        "GET /v1/nodes?limit=1000" => {
            Answer::json(&json!({"nodes": [{"node_id": first}, {"node_id": removed}], "next": null}))
        }
        line if line == format!("DELETE /v1/nodes/{removed}") => {
            Answer::json(&json!({"status": true, "node_id": removed, "block": 9, "already": false}))
        }
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let remove = |id: &str| swiftctl(folder.path(), &["--node", &node.url, "node", "remove", id], b"");
    assert!(remove("abcdefh").ended(0).text().contains("block 9"));
    remove("abcdef").ended(2);
    remove("zzzzzz").ended(3);
}

#[test]
fn tokens_are_made_listed_and_revoked() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "POST /v1/tokens" => {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(body, json!({"label": "ci", "scopes": ["read", "publish"], "expires_s": 2_592_000}));
            Answer::json(&json!({"label": "ci", "token": "fresh"}))
        }
        "GET /v1/tokens?limit=1000" => {
            Answer::json(&json!({"tokens": [{"label": "ci", "scopes": ["read"], "expires_ms": 0}]}))
        }
        "DELETE /v1/tokens/c%20i" => Answer::new(204, ""),
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let token =
        |args: &[&str]| swiftctl(folder.path(), &[&["--node", &node.url, "token"], args].concat(), b"");
    let made = token(&["create", "ci", "--scope", "read", "--scope", "publish", "--expires", "30d"]).ended(0);
    assert_eq!(made.text(), "fresh\n");
    assert!(token(&["list"]).ended(0).text().contains("ci     read    1970-01-01T00:00:00Z"));
    token(&["revoke", "c i"]).ended(0);
}

#[test]
fn transfers_show_what_moves_with_whom_and_how_fast() {
    let peer = |first: &str, bytes, rate| json!({"node_id": first.repeat(52), "bytes": bytes, "bytes_per_second": rate});
    let coming = json!({
        "direction": "in", "file": "a.iso", "file_id": "ab", "total_bytes": 4096, "done_bytes": 1024,
        "durable_bytes": 0, "bytes_per_second": 3072, "remaining_seconds": 75,
        "peers": [peer("b", 512, 1024), peer("c", 600, 2048)], "priority": "high", "readers": 0,
        "state": "receiving", "detail": null,
    });
    let blocked = json!({
        "direction": "in", "file": "b.iso", "file_id": "cd", "total_bytes": 10, "done_bytes": 0,
        "durable_bytes": 0, "bytes_per_second": 0, "remaining_seconds": null, "peers": [],
        "priority": "low", "readers": 1, "state": "blocked", "detail": "disk full",
    });
    let going = json!({
        "direction": "out", "file": "c.iso", "file_id": "ef", "total_bytes": 4096, "bytes_per_second": 1024,
        "peers": [peer("d", 2048, 1024)],
    });
    let said = json!([coming, blocked, going]);
    let answer = json!({"transfers": said, "next": null});
    let node = FakeNode::start(move |_| Answer::json(&answer));
    let folder = tempfile::tempdir().unwrap();
    let ask = |args: &[&str]| swiftctl(folder.path(), &[&["--node", &node.url], args].concat(), b"").ended(0);
    assert_eq!(ask(&["transfers", "-o", "json"]).json(), said);
    let text = ask(&["transfers"]).text();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split("  ").filter(|it| !it.is_empty()).map(str::trim).collect())
        .collect();
    assert_eq!(rows[0], ["FILE", "DIRECTION", "PEER", "DONE", "RATE", "REMAINING", "PRIORITY", "STATE"]);
    assert_eq!(
        rows[1],
        ["a.iso", "in", "2 nodes", "1.0 KiB of 4.0 KiB (25 %)", "3.0 KiB/s", "1m 15s", "high", "receiving"]
    );
    assert_eq!(rows[2][..5], ["a.iso", "in", "bbbbbbbbbb", "512 B", "1.0 KiB/s"]);
    assert_eq!(rows[3][..5], ["a.iso", "in", "cccccccccc", "600 B", "2.0 KiB/s"]);
    assert_eq!(
        rows[4],
        ["b.iso", "in", "-", "0 B of 10 B (0 %)", "0 B/s", "-", "being read", "blocked: disk full"]
    );
    assert_eq!(rows[5], ["c.iso", "out", "dddddddddd", "2.0 KiB", "1.0 KiB/s", "-", "-", "sending"]);
    assert_eq!(rows.len(), 6);
}

#[test]
fn limits_are_shown_and_set_one_at_a_time() {
    let values = json!({"up_bytes_per_second": 10_485_760, "down_bytes_per_second": null, "connections": 64});
    let mut said = values.clone();
    said["at_start"] =
        json!({"up_bytes_per_second": null, "down_bytes_per_second": null, "connections": null});
    let answer = said.clone();
    let node = FakeNode::start(move |request| match request.line.as_str() {
        "GET /v1/limits" => Answer::json(&answer),
        "PATCH /v1/limits" => match serde_json::from_slice::<serde_json::Value>(&request.body).unwrap() {
            body if body == json!({"up": "10MiB/s"}) || body == json!({"connections": "none"}) => {
                Answer::json(&answer)
            }
            body => Answer::problem(400, "bad_request", &format!("{body} is no rate")),
        },
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| swiftctl(folder.path(), &[&["--node", &node.url, "limit"], args].concat(), b"");
    let shown = "LIMIT        NOW         AT START\nup           10.0 MiB/s  none\ndown         none        none\n\
                 connections  64          none\n";
    for args in [&[][..], &["up", "10MiB/s"], &["connections", "none"]] {
        assert_eq!(run(args).ended(0).text(), shown);
    }
    assert_eq!(run(&["-o", "json"]).ended(0).json(), said);
    assert!(run(&["down", "fast"]).ended(1).stderr.contains("is no rate"));
    run(&["up"]).ended(2);
    run(&["sideways", "1MiB/s"]).ended(2);
}

#[test]
fn the_priority_of_a_file_is_set_by_its_name() {
    let node = FakeNode::start(|request| match request.line.as_str() {
        "GET /v1/priorities?limit=1000" => {
            let row = json!({"name": "a b.iso", "file_id": "x", "size": 1536, "priority": "high"});
            Answer::json(&json!({"priorities": [row], "next": null}))
        }
        "PUT /v1/priorities/dir/a%20b.iso" => {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(body, json!({"priority": "low"}));
            Answer::json(&json!({"status": true, "name": "dir/a b.iso", "priority": "low"}))
        }
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let run =
        |args: &[&str]| swiftctl(folder.path(), &[&["--node", &node.url, "priority"], args].concat(), b"");
    assert_eq!(run(&[]).ended(0).text(), "NAME     SIZE     PRIORITY\na b.iso  1.5 KiB  high\n");
    assert_eq!(run(&["dir/a b.iso", "low"]).ended(0).text(), "dir/a b.iso: low\n");
    run(&["nothing", "high"]).ended(3);
    run(&["dir/a b.iso", "urgent"]).ended(2);
    run(&["dir/a b.iso"]).ended(2);
}
