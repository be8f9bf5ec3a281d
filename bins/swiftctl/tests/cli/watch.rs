use serde_json::json;

use crate::{
    fake_node::{Answer, FakeNode},
    program::swiftctl,
};

const FIRST: &str =
    "retry: 10\n\n:\n\nid: 7-1\nevent: node\ndata: {\"change\":\"online\",\"node_id\":\"abc\"}\n\n";
const SECOND: &str = "id: 7-2\nevent: reset\ndata: {\"reason\":\"lagged\"}\n\nid: 7-3\nevent: ";

/// A node whose streams break off; then it refuses.
fn node() -> FakeNode {
    FakeNode::start(|request| {
        assert_eq!(request.line, "GET /v1/events?types=node%2Cfile");
        match request.field("last-event-id") {
            None => Answer::new(200, FIRST),
            Some("7-1") => Answer::new(200, SECOND).cut_after(SECOND.len() - 3),
            Some("7-2") => Answer::problem(401, "unauthorized", "the token has ended"),
            Some(id) => Answer::problem(400, "bad_request", id),
        }
    })
}

#[test]
fn a_broken_stream_is_taken_up_again_where_it_broke_and_a_refusal_ends_it() {
    let (node, folder) = (node(), tempfile::tempdir().unwrap());
    let run = swiftctl(folder.path(), &["--node", &node.url, "watch", "--types", "node,file"], b"").ended(4);
    assert_eq!(run.text(), "node      abc online\nreset     events were missed (lagged)\n");
    assert!(
        run.stderr.contains("trying again") && run.stderr.contains("the token has ended"),
        "{}",
        run.stderr
    );
}

#[test]
fn programs_get_a_line_of_json_for_each_event() {
    let (node, folder) = (node(), tempfile::tempdir().unwrap());
    let args = ["--node", &node.url, "watch", "--types", "node,file", "-o", "json"];
    let text = swiftctl(folder.path(), &args, b"").ended(4).text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = json!({"id": "7-1", "type": "node", "data": {"change": "online", "node_id": "abc"}});
    assert_eq!((lines.len(), &lines[0]), (2, &first));
}

#[test]
fn a_node_that_is_not_there_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    swiftctl(folder.path(), &["--node", "http://127.0.0.1:1", "watch"], b"").ended(7);
}
