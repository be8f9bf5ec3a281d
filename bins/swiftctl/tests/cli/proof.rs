use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use swift_chain::{Action, BlockHash, Checkpoint, FileEntry, Hash, Receipt};

use crate::{
    fake_node::{Answer, FakeNode, Request},
    made_up,
    program::{Run, content, file_id, listed, swiftctl},
};

const LEN: u32 = 5_000_000;
const NAME: &str = "dir/it's.bin";

/// The receipts of a made-up network, and what its node says about itself.
struct Network {
    id: String,
    status: Value,
    /// Of `NAME`, whose content is `content(LEN)`.
    receipt: Vec<u8>,
    /// Of another file, published before.
    other: Vec<u8>,
    /// Of the withdrawal of a third one.
    withdrawal: Vec<u8>,
    block_hash: BlockHash,
}

fn network() -> Network {
    let folder = tempfile::tempdir().unwrap();
    let add = |name: &str, bytes: &[u8]| {
        let file_id: Hash = file_id(bytes).parse().unwrap();
        let (name, size) = (name.parse().unwrap(), bytes.len() as u64);
        Action::AddFile { file: FileEntry { name, size, file_id, manifest_hash: file_id }, replaces: None }
    };
    let third = file_id(b"third").parse().unwrap();
    let actions = [
        add("other", b"other"),
        add("third", b"third"),
        Action::RemoveFile { name: "third".parse().unwrap(), file_id: third },
        add(NAME, &content(LEN)),
    ];
    let (key, replica) = made_up::ledger(folder.path(), Some("ci"), actions.to_vec());
    let (reader, head) = (replica.reader(), replica.head());
    let network = reader.network();
    let receipt = |height| Receipt::of_transaction(reader, height, 0).unwrap().to_bytes();
    Network {
        id: network.to_string(),
        status: json!({"node_id": key.id(), "network_id": network, "height": head.height, "head_hash": head.hash}),
        receipt: receipt(4),
        other: receipt(1),
        withdrawal: receipt(3),
        block_hash: head.hash,
    }
}

/// A node that answers with these bytes when it is asked for the proof of `NAME`.
fn node(status: Value, proof: impl Fn() -> Answer + Send + 'static) -> FakeNode {
    FakeNode::start(move |request: &Request| match request.line.as_str() {
        "GET /v1/status" => Answer::json(&status),
        "GET /v1/proof?name=dir%2Fit%27s.bin" => proof(),
        line => Answer::problem(404, "not_found", line),
    })
}

#[test]
fn a_receipt_is_written_and_the_next_command_verifies_it_without_the_node() {
    let Network { id, status, receipt, .. } = network();
    let given = receipt.clone();
    let node = node(status, move || Answer::new(200, given.clone()));
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "proof", NAME], b"").ended(0);
    assert!(fs::read(folder.path().join("it's.bin.receipt")).unwrap() == receipt);
    assert_eq!(listed(folder.path()), [PathBuf::from("it's.bin.receipt")]);
    let text = run.text();
    for fact in [
        "receipt        valid",
        "name           dir/it's.bin",
        "size           4.8 MiB (5000000 bytes)",
        &file_id(&content(LEN)),
        ", for ci",
        "block          4, 2023-11-14T22:13:24Z",
        "certified by   1 of 1 validators\n",
        &id,
    ] {
        assert!(text.contains(fact), "{fact} is missing in {text}");
    }
    let next = format!(r"swiftctl proof --verify 'it'\''s.bin.receipt' --network {id}");
    assert!(run.stderr.contains(&next), "{}", run.stderr);

    drop(node);
    let args = ["proof", "--verify", "it's.bin.receipt", "--network", &id];
    let run = swiftctl(folder.path(), &args, b"").ended(0);
    assert_eq!(run.text(), text);
    assert!(run.stderr.contains(r"swiftctl ls 'dir/it'\''s.bin'"), "{}", run.stderr);
}

#[test]
fn a_receipt_that_is_there_stays_unless_told_otherwise() {
    let Network { status, receipt, .. } = network();
    let node = node(status, move || Answer::new(200, receipt.clone()));
    let folder = tempfile::tempdir().unwrap();
    let proof = |args: &[&str]| {
        let args = [&["--node", &node.url, "-o", "json", "proof", NAME][..], args].concat();
        swiftctl(folder.path(), &args, b"")
    };
    fs::write(folder.path().join("mine"), "mine").unwrap();
    fs::create_dir(folder.path().join("kept")).unwrap();
    let run = proof(&["-o", "mine"]).ended(1);
    assert!(run.stderr.contains("--force"), "{}", run.stderr);
    assert_eq!(fs::read(folder.path().join("mine")).unwrap(), b"mine");
    assert!(node.requests().is_empty(), "a node was asked in vain");

    assert_eq!(proof(&["-o", "mine", "--force"]).ended(0).json()["path"], "mine");
    assert_eq!(proof(&["-o", "kept"]).ended(0).json()["path"], "kept/it's.bin.receipt");
    proof(&["-o", "kept"]).ended(1);
    proof(&["-o", "-"]).ended(2);
    assert_eq!(listed(folder.path()), [PathBuf::from("kept"), PathBuf::from("mine")]);
}

#[test]
fn what_a_node_gives_is_not_believed() {
    let network = network();
    let folder = tempfile::tempdir().unwrap();
    let mut damaged = network.receipt.clone();
    damaged[100] ^= 1;
    let mut elsewhere = network.status.clone();
    elsewhere["network_id"] = json!("1".repeat(64));
    let run = |status: &Value, bytes: &[u8], more: &[&str]| {
        let bytes = bytes.to_owned();
        let node = node(status.clone(), move || Answer::new(200, bytes.clone()));
        let args = [&["--node", &node.url, "-o", "json", "proof", NAME][..], more].concat();
        swiftctl(folder.path(), &args, b"")
    };
    for (status, bytes, why) in [
        (&network.status, &damaged, "damaged"),
        (&network.status, &network.other, "something else"),
        (&network.status, &network.withdrawal, "something else"),
        (&network.status, &b"<html>".to_vec(), "no receipt"),
        (&elsewhere, &network.receipt, "not of 1111"),
    ] {
        let run = run(status, bytes, &[]).ended(5);
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert_eq!(run.json()["valid"], false);
    }
    let meant = "2".repeat(64);
    let run = run(&network.status, &network.receipt, &["--network", &meant]).ended(5);
    assert!(run.stderr.contains("this node belongs to network"), "{}", run.stderr);
    assert!(listed(folder.path()).is_empty());
}

#[test]
fn a_file_without_a_proof_is_not_found() {
    let Network { status, .. } = network();
    let node = node(status, || Answer::problem(404, "not_found", "no file has the name"));
    let folder = tempfile::tempdir().unwrap();
    let run = swiftctl(folder.path(), &["--node", &node.url, "proof", NAME], b"").ended(3);
    assert!(run.stderr.contains("no file has the name"), "{}", run.stderr);
    assert!(listed(folder.path()).is_empty());
}

/// Verifies these bytes with nothing but the program and, unless the arguments name one, the right network.
fn verify(network: &Network, bytes: &[u8], more: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("receipt"), bytes).unwrap();
    fs::write(folder.path().join("copy"), content(LEN)).unwrap();
    fs::write(folder.path().join("changed"), content(LEN + 1)).unwrap();
    let own = ["--network", network.id.as_str()];
    let network = if more.contains(&"--network") { &[][..] } else { &own };
    swiftctl(folder.path(), &[&["proof", "--verify", "receipt"][..], network, more].concat(), b"")
}

#[test]
fn programs_get_the_verdict_as_json_and_an_exit_code() {
    let network = network();
    let told = verify(&network, &network.receipt, &["-o", "json"]).ended(0).json();
    for (field, value) in [
        ("valid", json!(true)),
        ("network_id", json!(network.id)),
        ("height", json!(4)),
        ("block_hash", json!(network.block_hash)),
        ("time_ms", json!(1_700_000_004_000_u64)),
        ("author", network.status["node_id"].clone()),
        ("on_behalf_of", json!("ci")),
        ("name", json!(NAME)),
        ("size", json!(LEN)),
        ("file_id", json!(file_id(&content(LEN)))),
        ("manifest_hash", json!(file_id(&content(LEN)))),
        ("signers", json!([network.status["node_id"]])),
        ("validator_changes", json!(0)),
        ("checkpoint", Value::Null),
        ("content", Value::Null),
    ] {
        assert_eq!(told[field], value, "{field}");
    }
    assert_eq!(told["action"]["add_file"]["file"]["name"], NAME);

    let mut damaged = network.receipt.clone();
    damaged[100] ^= 1;
    let run = verify(&network, &damaged, &["-o", "json"]).ended(5);
    assert_eq!(run.json()["valid"], false);
    assert!(run.json()["reason"].as_str().unwrap().contains("damaged"), "{}", run.stderr);
    for (bytes, why) in
        [(&b""[..], "begins with"), (&network.receipt[..99], "damaged"), (b"swrcpt\x09\0", "format 9")]
    {
        let run = verify(&network, bytes, &[]).ended(5);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
    let other = "0".repeat(64);
    let run = verify(&network, &network.receipt, &["--network", &other]).ended(5);
    assert!(run.stderr.contains(&network.id) && run.stderr.contains(&other), "{}", run.stderr);
}

#[test]
fn a_receipt_of_another_write_says_what_it_did() {
    let network = network();
    let run = verify(&network, &network.withdrawal, &[]).ended(0);
    assert!(run.text().contains("removed third"), "{}", run.text());
    let run = verify(&network, &network.withdrawal, &["--content", "copy"]).ended(5);
    assert!(run.stderr.contains("about no file"), "{}", run.stderr);
}

#[test]
fn a_copy_of_the_file_is_compared() {
    let network = network();
    let run = verify(&network, &network.receipt, &["--content", "copy"]).ended(0);
    assert!(run.text().contains("copy is that file"), "{}", run.text());
    let run = verify(&network, &network.receipt, &["--content", "changed", "-o", "json"]).ended(5);
    assert!(run.stderr.contains("5000001 bytes with BLAKE3"), "{}", run.stderr);
    assert_eq!(run.json()["valid"], false);
    verify(&network, &network.other, &["--content", "copy"]).ended(5);
    verify(&network, &network.receipt, &["--content", "missing"]).ended(3);
}

#[test]
fn a_checkpoint_is_compared_where_the_receipt_has_its_height() {
    let network = network();
    let with = |height, hash| {
        let checkpoint = Checkpoint { height, hash }.to_string();
        verify(&network, &network.receipt, &["--checkpoint", &checkpoint])
    };
    let other = BlockHash::from_bytes([9; 32]);
    assert!(with(4, network.block_hash).ended(0).text().contains("checkpoint     matches"));
    let run = with(4, other).ended(5);
    assert!(run.stderr.contains(&other.to_string()), "{}", run.stderr);
    let run = with(2, other).ended(0);
    assert!(run.stderr.contains("knows no block of height 2"), "{}", run.stderr);
    assert!(!run.text().contains("matches"), "{}", run.text());
}

#[test]
fn what_makes_no_sense_is_refused_as_usage() {
    let network = network();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("receipt"), &network.receipt).unwrap();
    let run = swiftctl(folder.path(), &["proof", "--verify", "receipt"], b"").ended(2);
    assert!(run.stderr.contains("--network") && run.stderr.contains("swiftctl status"), "{}", run.stderr);
    let id = network.id.as_str();
    for args in [
        &["proof"][..],
        &["proof", "a", "--verify", "receipt", "--network", id],
        &["proof", "a", "--content", "receipt"],
        &["proof", "a", "--checkpoint", "4:00"],
        &["proof", "--verify", "receipt", "--network", "12"],
        &["proof", "--verify", "receipt", "--network", id, "--checkpoint", "4"],
        &["proof", "--verify", "receipt", "--network", id, "--force"],
        &["proof", "--verify", "receipt", "--network", id, "-o", "copy"],
    ] {
        swiftctl(folder.path(), args, b"").ended(2);
    }
    swiftctl(folder.path(), &["proof", "--verify", "missing", "--network", id], b"").ended(3);
}
