use std::{fs, path::Path};

use serde_json::{Value, json};
use swift_chain::{
    Action, FileEntry, Hash, NodeKey, Replica,
    recovery::{Refounding, create_ledger, write_recovery_file},
};

use crate::{
    fake_node::{Answer, FakeNode},
    made_up,
    program::{listed, swiftctl},
};

/// A node's ledger with a genesis block and two files.
fn ledger(folder: &Path) -> (NodeKey, Replica) {
    let files = [(1, "a.txt"), (2, "b.txt")].map(|(number, name)| {
        let hash = Hash::from_bytes([number; 32]);
        let file = FileEntry { name: name.parse().unwrap(), size: 5, file_id: hash, manifest_hash: hash };
        Action::AddFile { file, replaces: None }
    });
    made_up::ledger(folder, None, files.to_vec())
}

/// A chain with a genesis block and two files, and what a node says about itself with it.
fn chain() -> (Vec<u8>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let (_, replica) = ledger(folder.path());
    let (bytes, _) = replica.reader().frames(0, usize::MAX).unwrap();
    let (head, network) = (replica.head(), replica.reader().network());
    let status = json!({"node_id": replica.node(), "network_id": network, "height": head.height, "head_hash": head.hash});
    (bytes, status)
}

#[test]
fn a_recovered_network_says_what_it_goes_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let (key, old) = ledger(folder.path());
    let genesis = Refounding::plan(key.id(), old.reader()).unwrap().sign(&key, [2; 16], 1_700_000_000_000);
    let new = create_ledger(&folder.path().join("new.db"), &genesis, old.reader()).unwrap();
    let mut bytes = Vec::new();
    write_recovery_file(new.reader(), &mut bytes).unwrap();
    fs::write(folder.path().join("chain"), &bytes).unwrap();

    let network = genesis.id().to_string();
    let args = ["inspect-chain", "--file", "chain", "--network", &network];
    let verdict = swiftctl(folder.path(), &[&args[..], &["-o", "json"]].concat(), b"").ended(0).json();
    let (head, origin) = (old.head(), &verdict["origin"]);
    assert_eq!(
        (&verdict["height"], &verdict["files"], &verdict["members"]),
        (&json!(0), &json!(2), &json!(1))
    );
    assert_eq!((&origin["height"], &origin["hash"]), (&json!(head.height), &json!(head.hash)));
    assert_eq!(origin["network_id"], json!(old.reader().network()));
    let text = swiftctl(folder.path(), &args, b"").ended(0).text();
    assert!(text.contains("goes on from") && text.contains(&head.hash.to_string()), "{text}");

    // A name in the state that it began with.
    let at = bytes.windows(5).rposition(|window| window == b"b.txt").unwrap();
    bytes[at] = b'c';
    fs::write(folder.path().join("chain"), &bytes).unwrap();
    swiftctl(folder.path(), &args, b"").ended(5);
    fs::write(folder.path().join("chain"), &bytes[..5 + genesis.to_bytes().len()]).unwrap();
    let run = swiftctl(folder.path(), &args, b"").ended(5);
    assert!(run.stderr.contains("ends after 0 of 1 parts"), "{}", run.stderr);
}

#[test]
fn a_chain_file_is_verified_without_any_node() {
    let (bytes, status) = chain();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("chain"), bytes).unwrap();
    let run = swiftctl(folder.path(), &["inspect-chain", "--file", "chain", "-o", "json"], b"").ended(0);
    let verdict = run.json();
    for (field, value) in [
        ("valid", json!(true)),
        ("blocks", json!(3)),
        ("height", json!(2)),
        ("transactions", json!(2)),
        ("files", json!(2)),
        ("members", json!(1)),
        ("network_id", status["network_id"].clone()),
        ("head_hash", status["head_hash"].clone()),
    ] {
        assert_eq!(verdict[field], value, "{field}");
    }
    let network = status["network_id"].as_str().unwrap();
    let args = ["inspect-chain", "--verify", "--file", "chain", "--network", network];
    assert!(swiftctl(folder.path(), &args, b"").ended(0).text().contains("valid"));
    let other = "0".repeat(64);
    let args = ["inspect-chain", "--file", "chain", "--network", &other];
    let run = swiftctl(folder.path(), &args, b"").ended(5);
    assert!(run.stderr.contains(network), "{}", run.stderr);
}

#[test]
fn a_chain_with_one_changed_or_missing_byte_is_invalid() {
    let (bytes, _) = chain();
    let folder = tempfile::tempdir().unwrap();
    let verdict = |bytes: &[u8]| {
        fs::write(folder.path().join("chain"), bytes).unwrap();
        swiftctl(folder.path(), &["inspect-chain", "--file", "chain", "-o", "json"], b"").ended(5)
    };
    // In the last block, behind the first byte of its frame's head.
    let name = bytes.windows(5).rposition(|window| window == b"b.txt").unwrap();
    let mut tampered = bytes.clone();
    tampered[name] = b'c';
    let run = verdict(&tampered);
    assert_eq!((&run.json()["valid"], &run.json()["valid_height"]), (&json!(false), &json!(1)));
    assert!(run.stderr.contains("block 2") && run.stderr.contains("valid up to block 1"), "{}", run.stderr);
    assert!(verdict(&bytes[..bytes.len() - 1]).stderr.contains("ends in the middle"));
    assert!(verdict(b"").stderr.contains("not even its beginning"));
}

fn node(bytes: Vec<u8>, status: Value) -> FakeNode {
    FakeNode::start(move |request| match request.line.as_str() {
        "GET /v1/status" => Answer::json(&status),
        "POST /getBlockDatas" => {
            assert_eq!(request.body, b"num=0");
            Answer::new(200, bytes.clone())
        }
        line => Answer::problem(404, "not_found", line),
    })
}

#[test]
fn a_nodes_chain_is_verified_and_exported() {
    let (bytes, status) = chain();
    let node = node(bytes.clone(), status);
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "inspect-chain", "--verify"], b"").ended(0);
    assert!(run.text().contains("valid") && run.text().contains("blocks"), "{}", run.text());
    let args = ["--node", &node.url, "inspect-chain", "--verify", "--export", "chain"];
    swiftctl(folder.path(), &args, b"").ended(0);
    assert!(fs::read(folder.path().join("chain")).unwrap() == bytes);
    swiftctl(folder.path(), &args, b"").ended(1);
    swiftctl(folder.path(), &["inspect-chain", "--file", "chain"], b"").ended(0);
}

#[test]
fn a_node_whose_chain_is_not_what_it_says_is_found_out() {
    let (bytes, status) = chain();
    let folder = tempfile::tempdir().unwrap();
    for (field, value) in
        [("height", json!(3)), ("head_hash", json!("0".repeat(64))), ("network_id", json!("1".repeat(64)))]
    {
        let mut lie = status.clone();
        lie[field] = value;
        let node = node(bytes.clone(), lie);
        let args = ["--node", &node.url, "inspect-chain", "--verify", "--export", "chain"];
        swiftctl(folder.path(), &args, b"").ended(5);
        assert!(listed(folder.path()).is_empty(), "{field}");
    }
}

#[test]
fn the_newest_blocks_are_listed_in_words() {
    let (_, status) = chain();
    let block = |height: u64| {
        json!({"height": height, "hash": "cd".repeat(32), "previous": "", "time_ms": 0, "creator": "c",
            "transactions": [{"id": "", "author": "a".repeat(52), "sequence": 1, "valid_until_ms": 0,
                "on_behalf_of": "admin", "action": {"remove_file": {"name": "x", "file_id": "ab".repeat(32)}}}]})
    };
    let node = FakeNode::start(move |request| match request.line.as_str() {
        "GET /v1/status" => Answer::json(&status),
        "GET /v1/blocks?from=1&limit=2" => {
            Answer::json(&json!({"blocks": [block(1), block(2)], "next": null}))
        }
        line => Answer::problem(404, "not_found", line),
    });
    let folder = tempfile::tempdir().unwrap();
    let args = ["--node", &node.url, "inspect-chain", "--limit", "2"];
    let text = swiftctl(folder.path(), &args, b"").ended(0).text();
    assert!(
        text.contains(
            "2  1970-01-01T00:00:00Z  cdcdcdcdcd\n    removed x (ababababab), by aaaaaaaaaa for admin"
        ),
        "{text}"
    );
}
