//! Transactions and blocks made by hand by somebody with a valid key, and tickets that are void: refused, and nothing
//! has changed.

use std::net::IpAddr;

use serde_json::Value;
use swift_chain::{
    Action, Certificate, FileEntry, Hash, Label, NetworkParams, NodeChange, NodeKey, Role, SignedTransaction,
    Ticket, Transaction,
};
use swift_p2p::{
    driver::{Finality, JoinDesk, JoinOffer, JoinRefusal, Patience, Presence},
    transport::Dialer,
};

use crate::{
    ledger_routes::{certified_block, next_block, next_header, stream_from},
    liar::Liar,
    program::fails,
    site::{Home, Site},
    validators::validators,
};

fn file(name: &str, size: u64) -> FileEntry {
    let hash = Hash::from_bytes(*blake3::hash(name.as_bytes()).as_bytes());
    FileEntry { name: name.parse().unwrap(), size, file_id: hash, manifest_hash: hash }
}

fn add(name: &str, size: u64) -> Action {
    Action::AddFile { file: file(name, size), replaces: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_not_its_authors_is_refused_with_the_reason() {
    let site = Site::found().await;
    let liar = Liar::join(&site).await;
    let height = site.client.height().await;
    let signed = |transaction| SignedTransaction::sign(&liar.key, transaction);
    let of_another = Transaction { author: site.node.id(), sequence: 1_000, ..liar.signs(add("a", 1)) };
    let mut altered = signed(liar.signs(add("a", 1)));
    altered.transaction.on_behalf_of = Some(Label::try_from("admin".to_owned()).unwrap());
    let elsewhere = Transaction { network: "ab".repeat(32).parse().unwrap(), ..liar.signs(add("a", 1)) };
    for (what, forged) in [
        ("in the name of the founder", signed(of_another)),
        ("with a label that was not signed", altered),
        ("for another network", signed(elsewhere)),
    ] {
        let liar = Liar::join(&site).await;
        let (status, answer) = liar.brings(&forged).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!((status, &answer["code"]), (400, &"bad_request".into()), "{what}: {answer}");
        assert!(!answer["reason"].as_str().unwrap().is_empty());
        let row = liar.row(&site).await;
        assert_eq!(row["last_offence"]["kind"], "forged_transactions", "{what}: {row}");
    }
    assert!(site.client.names().await.is_empty());
    // Each of the members that joined is a block, and nothing else is.
    assert_eq!(site.client.height().await, height + 3);
}

/// What a key may sign and the rules do not allow never gets into a block; who signed it hears of that from its own
/// ledger.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_transaction_that_breaks_a_rule_changes_nothing() {
    let site = Site::found().await;
    let theirs = site.client.put("theirs", b"x").await.ok().json();
    let theirs: Hash = theirs["file_id"].as_str().unwrap().parse().unwrap();
    let liar = Liar::join(&site).await;
    let me = liar.key.id();
    let signed = |transaction| SignedTransaction::sign(&liar.key, transaction);
    let used = signed(liar.signs(add("first", 1)));
    assert_eq!(liar.brings(&used).await.0, 202);
    site.reaches(3).await;
    let remove = Action::RemoveFile { name: "theirs".parse().unwrap(), file_id: theirs };
    let in_the_name_of_admin = Transaction {
        on_behalf_of: Some(Label::try_from("admin".to_owned()).unwrap()),
        ..liar.signs(remove.clone())
    };
    let far_ahead = Transaction { sequence: u64::MAX, ..liar.signs(add("far", 1)) };
    let lapsed = Transaction { valid_until_ms: 1, ..liar.signs(add("lapsed", 1)) };
    let replayed = Transaction { sequence: used.transaction.sequence, ..liar.signs(add("again", 1)) };
    let forbidden = [
        liar.signs(remove),
        in_the_name_of_admin,
        liar.signs(Action::RemoveNode { node: site.node.id() }),
        liar.signs(Action::UpdateNode { node: me, change: NodeChange::Role(Role::Admin) }),
        liar.signs(Action::UpdateNode { node: me, change: NodeChange::ValidatorWeight(1) }),
        liar.signs(add("large", u64::MAX)),
        liar.signs(add("larger than 16 TiB", (16 << 40) + 1)),
        far_ahead,
        lapsed,
        replayed,
    ];
    for transaction in forbidden {
        liar.brings(&signed(transaction)).await;
    }
    liar.brings(&used).await;
    // The next block has everything from the pool that may be in it.
    site.client.put("after", b"y").await.ok();
    assert_eq!(site.client.names().await, ["after", "first", "theirs"]);
    assert_eq!(site.client.height().await, 4);
    let members = site.node.ledger().members();
    assert_eq!(members.member(&me).unwrap().role, Role::Publisher);
    assert_eq!(members.validators().len(), 1);
}

/// A stolen key of a publisher fills neither the ledger nor the fleet.
#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_the_genesis_block_hold_for_who_signs_by_hand() {
    let params = NetworkParams {
        live_files_per_author_max: 3,
        live_bytes_per_author_max: 1_000,
        transactions_per_author_and_block_max: 2,
    };
    let site = Home::new().found_with_limits(params).await;
    let thief = Liar::join(&site).await;
    let signed: Vec<SignedTransaction> = [("a", 1), ("b", 1), ("c", 999), ("d", 998), ("e", 0), ("f", 0)]
        .into_iter()
        .map(|(name, size)| SignedTransaction::sign(&thief.key, thief.signs(add(name, size))))
        .collect();
    for one in &signed {
        assert_eq!(thief.brings(one).await.0, 202);
    }
    site.client.put("honest", b"").await.ok();
    // 1 + 1 + 999 bytes are too many, 1 + 1 + 998 are not; three files are enough.
    crate::client::until(|| async { site.client.names().await.len() >= 4 }).await;
    site.client.put("honest too", b"").await.ok();
    assert_eq!(site.client.names().await, ["a", "b", "d", "honest", "honest too"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_without_a_true_certificate_is_refused_whoever_brings_it() {
    let sites = validators(2).await;
    let site = &sites[0];
    let head = site.node.ledger().head();
    let (key, network) = (site.home.key(), site.node.network());
    let header = next_header(site, &key);
    let alone = Certificate::sign_alone(&key, &network, header.height, header.hash());
    let mut doubled = alone.clone();
    doubled.signatures.extend_from_within(..);
    let mut nobody = alone.clone();
    nobody.signatures.clear();
    let member = NodeKey::from_seed([9; 32]);
    let mut with_a_stranger = alone.clone();
    let strangers = Certificate::sign_alone(&member, &network, header.height, header.hash());
    with_a_stranger.signatures.extend(strangers.signatures);
    let block = |certificate| certified_block(&key, header.clone(), certificate, network);
    let forged = [
        ("too few signers", block(alone)),
        ("a signer twice", block(doubled)),
        ("no signer", block(nobody)),
        ("a signer that is no validator", block(with_a_stranger)),
    ];
    for (what, block) in forged {
        let reason = site.client.post("/addBlock", block).await.refused(400, "bad_request");
        assert!(!reason.is_empty(), "{what}");
    }
    assert_eq!(site.node.ledger().head(), head);
    site.client.put("a", b"a").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_another_network_are_refused_with_their_certificates_and_isolate() {
    let (site, other) = (Site::found().await, Site::found().await);
    for name in ["a", "b"] {
        other.client.put(name, b"x").await.ok();
    }
    let theirs = stream_from(&other, 1).await;
    let liar = Liar::join(&site).await;
    let head = site.node.ledger().head();
    let (status, answer) = liar.says("/addBlock", theirs.clone()).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert!(matches!(status, 400 | 409) && answer["status"] == false, "{status} {answer}");
    let stranger = next_block(&site, &liar.key, |_| {});
    for _ in 0..2 {
        let (status, _) = liar.says("/addBlock", stranger.clone()).await;
        assert!(matches!(status, 0 | 400 | 403), "{status}");
    }
    assert_eq!(liar.is_isolated(&site).await["last_offence"]["kind"], "bad_blocks");
    assert_eq!(site.node.ledger().head(), head);
    // The same where the node asks for them: it is told of a head that is far ahead.
    let liar = Liar::join(&site).await;
    let ahead = swift_p2p::gossip::Hello {
        height: 1_000,
        hash: other.node.ledger().head().hash,
        shelf: swift_p2p::gossip::Shelf::default(),
        release: swift_p2p::gossip::Release::THIS,
    };
    liar.answers("/peer/hello", move |_, _| axum::response::IntoResponse::into_response(ahead.to_bytes()));
    let beginning = stream_from(&other, 0).await;
    liar.answers("/getBlockDatas", move |_, _| {
        axum::response::IntoResponse::into_response(beginning.clone())
    });
    crate::client::until(|| async { liar.row(&site).await["offences"]["bad_blocks"].is_u64() }).await;
    site.client.put("a", b"a").await.ok();
    // Two that joined, and the file.
    assert_eq!(site.node.ledger().head().height, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_ticket_is_told_from_one_that_is_used() {
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let mut mistyped = ticket.clone();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == 'a' { 'b' } else { 'a' });
    let says = async |ticket: &str| {
        let (home, host) = (Home::new(), "127.0.0.1");
        let (folder, port) = (home.folder().to_str().unwrap().to_owned(), home.port().to_string());
        let args = ["--data-dir", &folder, "--port", &port, "--machine-ip", host, "--join", ticket];
        fails(&args).await
    };
    let reason = says(&mistyped).await;
    assert!(reason.contains("the ticket is damaged"), "{reason}");
    let reason = says(&ticket[..ticket.len() - 5]).await;
    assert!(reason.contains("the ticket is damaged"), "{reason}");
    let reason = says("hello").await;
    assert!(reason.contains("a ticket begins with swift1"), "{reason}");
    Site::join(&ticket).await.stop().await;
    let reason = says(&ticket).await;
    assert!(reason.contains("the invitation was used before"), "{reason}");
}

/// Others could not reach it, and each would reach itself.
#[tokio::test(flavor = "multi_thread")]
async fn who_joins_from_elsewhere_does_not_give_loopback_as_its_address() {
    let founder = Site::found().await;
    let (key, ledger) = (NodeKey::from_seed([8; 32]), founder.node.ledger().clone());
    let (me, members) = (founder.node.id(), ledger.members().clone());
    let finality = Finality::new(me, members.clone(), Presence::default(), Patience::default());
    let dialer =
        Dialer::new(&founder.home.key(), founder.node.network(), std::sync::Arc::new(members)).unwrap();
    let desk = JoinDesk::new(me, ledger, finality, dialer);
    let ticket: Ticket = founder.invite().await.parse().unwrap();
    let from: IpAddr = "192.0.2.7".parse().unwrap();
    for address in ["127.0.0.1:9", "[::1]:9", "localhost:9"] {
        let offer = JoinOffer::sign(&key, &ticket, address.parse().unwrap());
        let refusal = desk.admit(key.id(), from, offer).await.unwrap_err();
        assert!(matches!(refusal, JoinRefusal::Loopback(_)), "{address}: {refusal}");
        assert!(refusal.to_string().contains("--machine-ip"), "{refusal}");
    }
    let offer = JoinOffer::sign(&key, &ticket, "127.0.0.1:9".parse().unwrap());
    let refusal = desk.admit(NodeKey::from_seed([7; 32]).id(), from, offer).await.unwrap_err();
    assert!(matches!(refusal, JoinRefusal::OtherKey(_)), "{refusal}");
    assert_eq!(founder.client.height().await, 0);
}
