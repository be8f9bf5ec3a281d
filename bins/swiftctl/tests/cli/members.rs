//! Changing members, and what is said when the validators cannot decide.

use serde_json::{Value, json};

use crate::{
    fake_node::{Answer, FakeNode, ID, Request},
    program::{Run, swiftctl},
};

/// An id as nodes write them.
fn sent(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// Runs `swiftctl node ...` against a node that answers so.
fn node(args: &[&str], answer: impl Fn(&Request) -> Answer + Send + 'static) -> (Run, Vec<Request>) {
    let (node, folder) = (FakeNode::start(answer), tempfile::tempdir().unwrap());
    let run = swiftctl(folder.path(), &[&["--node", &node.url, "node"], args].concat(), b"");
    (run, node.requests())
}

fn done(already: bool) -> Answer {
    Answer::json(&json!({"status": true, "node_id": ID, "block": 9, "final": true, "already": already}))
}

#[test]
fn a_member_is_promoted_demoted_and_given_a_role() {
    let path = format!("PATCH /v1/nodes/{ID}");
    for (args, body, says) in [
        (&["promote", ID][..], json!({"weight": 1}), "is a validator with weight 1, block 9"),
        (&["promote", ID, "--weight", "2"], json!({"weight": 2}), "is a validator with weight 2, block 9"),
        (&["demote", ID], json!({"weight": 0}), "is no validator, block 9"),
        (&["role", ID, "reader"], json!({"role": "reader"}), "has the role reader, block 9"),
    ] {
        let (run, requests) = node(args, |_| done(false));
        assert_eq!(run.ended(0).text(), format!("node {ID} {says}\n"));
        let [request] = requests.try_into().unwrap();
        assert_eq!((request.line.as_str(), sent(&request)), (path.as_str(), body));
    }
    let (run, _) = node(&["promote", ID], |_| done(true));
    assert_eq!(run.ended(0).text(), format!("node {ID} is a validator with weight 1, as it was before\n"));
}

#[test]
fn force_goes_to_the_node() {
    for (args, line) in [
        (["promote", ID, "--force"], format!("PATCH /v1/nodes/{ID}?force")),
        (["demote", ID, "--force"], format!("PATCH /v1/nodes/{ID}?force")),
        (["remove", ID, "--force"], format!("DELETE /v1/nodes/{ID}?force")),
    ] {
        let (run, requests) = node(&args, |_| done(false));
        run.ended(0);
        assert_eq!(requests[0].line, line);
    }
}

#[test]
fn a_member_is_promoted_by_the_beginning_of_its_id() {
    let (run, requests) = node(&["promote", "AEBAGB"], |request| match request.line.as_str() {
        "GET /v1/nodes?limit=1000" => {
            Answer::json(&json!({"nodes": [{"node_id": "z".repeat(52)}, {"node_id": ID}], "next": null}))
        }
        _ => done(false),
    });
    run.ended(0);
    assert_eq!(requests[1].line, format!("PATCH /v1/nodes/{ID}"));
}

#[test]
fn a_fragile_set_is_made_and_warned_of() {
    let warning = "none of the 2 validators may be away";
    let (run, _) = node(&["promote", ID], move |_| {
        Answer::json(
            &json!({"status": true, "node_id": ID, "block": 9, "already": false, "warning": warning}),
        )
    });
    let run = run.ended(0);
    assert_eq!(run.stderr, format!("warning: {warning}\n"));
    assert!(run.text().ends_with("block 9\n"), "{}", run.text());
}

#[test]
fn a_set_without_a_quorum_within_reach_takes_force() {
    let (run, _) = node(&["promote", ID], |_| {
        Answer::problem(409, "no_quorum_after", "weight 1 of 2 can be reached, 2 is needed")
    });
    let run = run.ended(1);
    let says = "swiftctl: cannot promote node aebagbafay: weight 1 of 2 can be reached, 2 is needed; --force does it";
    assert!(run.stderr.starts_with(says), "{}", run.stderr);
}

#[test]
fn nonsense_is_refused_before_anybody_is_asked() {
    for args in [
        &["promote", ID, "--weight", "0"][..],
        &["promote", ID, "--weight", "1000001"],
        &["role", ID, "king"],
        &["role", ID],
        &["promote"],
        &["promote", "abc"],
    ] {
        let (run, requests) = node(args, |_| Answer::json(&json!({"nodes": [], "next": null})));
        run.ended(2);
        assert!(requests.iter().all(|request| request.line == "GET /v1/nodes?limit=1000"), "{args:?}");
    }
}

#[test]
fn no_quorum_ends_with_6_and_the_nodes_words() {
    let says = "no quorum of the validators (weight 0 of 1 can be reached, 1 is needed; away: x)";
    let refuses = FakeNode::start(move |_| Answer::problem(504, "no_quorum", says));
    let slow = FakeNode::start(|_| Answer::problem(504, "not_final", "no block has taken the write"));
    let folder = tempfile::tempdir().unwrap();
    for file in ["a", "b"] {
        std::fs::write(folder.path().join(file), file).unwrap();
    }
    // With several files it is the same for all: they are not tried one by one. Uploads go side by side, so others may be
    // under way when the first is refused.
    for (args, requests_max) in [
        (&["upload", "a"][..], 1),
        (&["upload", "a", "b"], 2),
        (&["rm", "a"], 1),
        (&["rm", "a", "b"], 1),
        (&["node", "demote", ID], 1),
    ] {
        let asked = refuses.requests().len();
        let run = swiftctl(folder.path(), &[&["--node", &refuses.url], args].concat(), b"").ended(6);
        assert!(run.stderr.contains(says), "{}", run.stderr);
        let requests = refuses.requests().len() - asked;
        assert!((1..=requests_max).contains(&requests), "{requests} requests of {args:?}");
    }
    let run = swiftctl(folder.path(), &["--node", &slow.url, "upload", "a"], b"").ended(6);
    assert!(run.stderr.contains("repeat the command to see whether it is done"), "{}", run.stderr);
}

#[test]
fn the_status_shows_validators_and_shouts_when_there_is_no_quorum() {
    let status = |reachable: u64, warning: Value| {
        json!({
            "node_id": ID, "network_id": "w", "height": 12, "head_hash": "h", "members": 3, "peers_online": reachable,
            "validators": [{"node_id": ID, "weight": 2, "online": true, "signed_last": true},
                           {"node_id": "other", "weight": 1, "online": reachable > 2, "signed_last": true}],
            "last_certificate": {"height": 12, "round": 0, "signers": [ID, "other"]},
            "quorum": {"total": 3, "needed": 3, "reachable": reachable, "has_quorum": reachable > 2,
                       "faults_tolerated": 0, "warning": warning}
        })
    };
    let show = |status: Value| {
        let (node, folder) = (FakeNode::start(move |_| Answer::json(&status)), tempfile::tempdir().unwrap());
        swiftctl(folder.path(), &["--node", &node.url, "status"], b"").ended(0).text()
    };
    let shown = show(status(3, json!("none of the 2 validators may be away")));
    let expected = format!(
        "height      12\nhead        h\nsigned by   2 validators, in round 0\nquorum      weight 3 of 3 can be reached, 3 \
         is needed\nvalidator   {ID}  weight 2, this node, signed the last block\nvalidator   other  weight 1, online, \
         signed the last block\nwarning     none of the 2 validators may be away\n"
    );
    assert!(shown.contains(&expected), "{shown}");
    let shown = show(status(2, json!("weight 2 of 3 can be reached, 3 is needed; away: other")));
    assert!(shown.starts_with("NO QUORUM: writes wait"), "{shown}");
    assert!(shown.contains("\nvalidator   other  weight 1, AWAY"), "{shown}");
}
