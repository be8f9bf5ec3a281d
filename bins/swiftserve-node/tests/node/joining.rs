//! Nodes that come to a network, and leave it.

use std::io::{Read as _, Write as _};

use axum::{http::StatusCode, response::IntoResponse as _};

use crate::{
    client::{soon, until},
    liar::Liar,
    port::Port,
    site::{Home, Site},
};
use swift_chain::{
    Action, BlockHash, Invitation, InvitationTerms, NodeChange, NodeId, NodeKey, Role, Ticket,
};
use swift_p2p::driver::{GossipError, JoinError};
use swiftserve_node::{NodeFailure, StartError};

fn nothing_was_left(home: &Home) {
    let left: Vec<_> = home.listed("").into_iter().filter(|name| name.starts_with("ledger")).collect();
    assert!(left.is_empty() || left == ["ledger.joining"], "{left:?}");
    assert!(!home.path("ledger.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_by_a_ticket_and_has_the_same_ledger() {
    let founder = Site::found().await;
    founder.client.put("a", b"a").await.ok();
    let joiner = Site::join(&founder.invite().await).await;
    assert_eq!(joiner.node.network(), founder.node.network());
    assert_eq!(joiner.node.ledger().head(), founder.node.ledger().head());
    for site in [&founder, &joiner] {
        let nodes = site.client.get("/v1/nodes").await.ok().json();
        let role = |id: NodeId| {
            let rows = nodes["nodes"].as_array().unwrap();
            rows.iter().find(|row| row["node_id"] == id.to_string()).unwrap()["role"].clone()
        };
        assert_eq!(role(founder.node.id()), "admin");
        assert_eq!(role(joiner.node.id()), "publisher");
        assert_eq!(site.client.names().await, ["a"]);
    }
    let chain = async |site: &Site| site.client.post("/getBlockDatas", "0").await.is(200).body;
    assert!(chain(&founder).await == chain(&joiner).await, "the chains differ");
    // A member that is no admin invites nobody.
    joiner.client.post("/v1/invites", "").await.refused(403, "forbidden");
}

/// A node greeted others some milliseconds before its routes answered. Who heard it offered its files at once, was refused,
/// and tried again after two seconds.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_greeted_finds_a_node_that_answers() {
    let site = Site::found().await;
    let member = Liar::join(&site).await;
    let home = site.stop().await;
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let at = home.address();
    member.answers("/peer/hello", move |_, _| {
        let asked = || {
            let mut connection = std::net::TcpStream::connect(at)?;
            write!(connection, "GET /v1/status HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).map(|_| answer)
        };
        told.send(tokio::task::block_in_place(asked)).unwrap();
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    });
    let _site = home.start().await;
    let answer = soon(hears.recv()).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_gives_the_role_that_it_was_made_for() {
    let founder = Site::found().await;
    let wanted = serde_json::json!({ "role": "reader" });
    let made = founder.client.post_json("/v1/invites", &wanted).await.ok().json();
    let reader = Site::join(made["ticket"].as_str().unwrap()).await;
    let height = founder.client.height().await;
    reader.client.put("a", b"a").await.refused(403, "forbidden");
    assert_eq!(founder.client.height().await, height);
    for nonsense in ["{\"role\": \"king\"}", "{\"expires_s\": 0}", "{\"x\": 1}", "x"] {
        founder.client.post("/v1/invites", nonsense).await.refused(400, "bad_request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_works_once() {
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let first = Site::join(&ticket).await;
    let height = founder.client.height().await;
    let (error, home) = Site::try_join(&ticket).await.err().expect("a used ticket worked");
    assert!(error.to_string().contains("the invitation was used before"), "{error}");
    nothing_was_left(&home);
    assert_eq!(founder.client.height().await, height);
    // The node that used it needs it no more, and may keep it in its settings.
    let ticket: Ticket = ticket.parse().unwrap();
    let again = first.stop().await.try_start(|config| config.join = Some(ticket)).await;
    assert!(again.is_ok());
}

/// A ticket that the founder's key signs, changed before or after.
fn forged(
    founder: &Site,
    invited: impl FnOnce(&mut InvitationTerms),
    ticket: impl FnOnce(&mut Ticket),
) -> String {
    let (key, network) = (founder.home.key(), founder.node.network());
    let head = founder.node.ledger().head();
    let mut terms = InvitationTerms {
        inviter: key.id(),
        role: Role::Publisher,
        nonce: [7; 16],
        not_after_ms: head.time_ms + 24 * 60 * 60 * 1000,
    };
    invited(&mut terms);
    let mut made = Ticket {
        network,
        checkpoint: swift_chain::Checkpoint { height: head.height, hash: head.hash },
        inviter: key.id(),
        addresses: vec![founder.home.address().to_string().parse().unwrap()],
        invitation: Invitation::sign(&key, &network, terms),
    };
    ticket(&mut made);
    made.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_void_is_refused_with_its_reason() {
    let founder = Site::found().await;
    founder.client.put("a", b"a").await.ok();
    let nobody = Port::new();
    let stranger = NodeKey::from_seed([5; 32]);
    let other = Site::found().await;
    let cases = [
        ("the invitation was valid until", forged(&founder, |terms| terms.not_after_ms = 1, |_| {})),
        ("the signature", forged(&founder, |_| {}, |ticket| ticket.invitation.terms.role = Role::Admin)),
        (
            "no admin",
            forged(
                &founder,
                |_| {},
                |ticket| {
                    let terms = InvitationTerms { inviter: stranger.id(), ..ticket.invitation.terms.clone() };
                    ticket.invitation = Invitation::sign(&stranger, &ticket.network, terms);
                },
            ),
        ),
        (
            "cannot be reached",
            forged(
                &founder,
                |_| {},
                |ticket| {
                    ticket.addresses = vec![nobody.address().to_string().parse().unwrap()];
                },
            ),
        ),
        // Another node answers there than the one that signed.
        (
            "cannot be reached",
            forged(
                &founder,
                |_| {},
                |ticket| {
                    ticket.addresses = vec![other.home.address().to_string().parse().unwrap()];
                },
            ),
        ),
        // Another network is asked for than the one that is there.
        ("cannot be reached", forged(&founder, |_| {}, |ticket| ticket.network = other.node.network())),
    ];
    for (reason, ticket) in cases {
        let (error, home) = Site::try_join(&ticket).await.err().expect("a void ticket worked");
        assert!(error.to_string().contains(reason), "{error} does not say {reason:?}");
        nothing_was_left(&home);
    }
    assert_eq!(founder.client.height().await, 1);
}

/// Keys of former validators may be stolen: the ticket's block bounds what they can forge.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_the_block_of_the_ticket_is_not_taken() {
    let founder = Site::found().await;
    founder.client.put("a", b"a").await.ok();
    let ticket = forged(&founder, |_| {}, |ticket| ticket.checkpoint.hash = BlockHash::from_bytes([1; 32]));
    let (error, home) = Site::try_join(&ticket).await.err().expect("a false chain was taken");
    assert!(matches!(error, StartError::Join(JoinError::Checkpoint)), "{error}");
    nothing_was_left(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_one_network_does_not_join_another() {
    let (one, other) = (Site::found().await, Site::found().await);
    let ticket: Ticket = other.invite().await.parse().unwrap();
    one.client.put("a", b"a").await.ok();
    let (network, head) = (one.node.network(), one.node.ledger().head());
    let home = one.stop().await;
    let (error, home) = home.try_start(|config| config.join = Some(ticket)).await.err().expect("it joined");
    let StartError::OtherNetwork { ours, theirs } = &error else { panic!("{error}") };
    assert_eq!((*ours, *theirs), (network, other.node.network()));
    assert_eq!(other.client.height().await, 0);
    let one = home.start().await;
    assert_eq!((one.node.network(), one.node.ledger().head()), (network, head));
}

/// An operator who starts afresh removes the ledger and forgets the log beside it. SQLite would play that log into
/// whatever ledger comes next.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_an_older_ledger_does_not_get_into_the_new_one() {
    let older = Site::found().await;
    for number in 0..20 {
        older.client.put(&format!("old-{number}"), b"x").await.ok();
    }
    let log = std::fs::read(older.home.path("ledger.db-wal")).unwrap();
    let founder = Site::found().await;
    founder.client.put("a", b"a").await.ok();
    let ticket: Ticket = founder.invite().await.parse().unwrap();
    let home = Home::new();
    std::fs::write(home.path("ledger.db-wal"), log).unwrap();
    let joined = home.try_start(|config| config.join = Some(ticket)).await.map_err(|(error, _)| error);
    let joined = joined.unwrap();
    assert_eq!(joined.node.network(), founder.node.network());
    assert_eq!(joined.node.ledger().head(), founder.node.ledger().head());
    assert_eq!(joined.client.names().await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_late_is_level_when_it_starts() {
    let founder = Site::found().await;
    let (ledger, node) = (founder.node.ledger(), founder.node.id());
    let home = founder.home.address();
    for block in 0..300_u64 {
        // There and back again: each change is a block.
        let host = if block % 2 == 0 { "localhost" } else { "127.0.0.1" };
        let address = swift_chain::Address::new(host, home.port()).unwrap();
        let change = NodeChange::Address(address);
        ledger.submit(Action::UpdateNode { node, change }, None).await.unwrap();
    }
    let joiner = Site::join(&founder.invite().await).await;
    assert_eq!(joiner.node.ledger().head(), founder.node.ledger().head());
    assert_eq!(joiner.client.height().await, 301);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_is_refused_and_stops() {
    let founder = Site::found().await;
    let mut joiner = Site::join(&founder.invite().await).await;
    let (me, key) = (joiner.node.id(), joiner.home.key());
    let as_joiner = founder.seen_by(&key);
    let status =
        async |path: &str| soon(as_joiner.get(path).send()).await.map(|answer| answer.status().as_u16());
    assert_eq!(status("/topBlockNumber").await.unwrap(), 200);

    founder.client.delete(&format!("/v1/nodes/{me}")).await.ok();
    // Its connection may have been cut just then; a new one is refused politely.
    let refused = match status("/topBlockNumber").await {
        Ok(status) => status,
        Err(_) => status("/topBlockNumber").await.unwrap(),
    };
    assert_eq!(refused, 403);
    for path in ["/v1/status", "/getHash?num=0", "/download?file=a"] {
        assert_eq!(status(path).await.unwrap(), 403, "{path}");
    }

    let failure = soon(joiner.node.failed()).await;
    assert!(matches!(failure, NodeFailure::Gossip(GossipError::Removed { height: 2 })), "{failure}");
    // A removed key never comes back, not even with a fresh ticket.
    let home = joiner.stop().await;
    home.forget_ledger();
    let ticket: Ticket = founder.invite().await.parse().unwrap();
    let (error, home) =
        home.try_start(|config| config.join = Some(ticket)).await.err().expect("it came back");
    assert!(error.to_string().contains("removed"), "{error}");
    nothing_was_left(&home);
}

/// It was taken in, lost the answer or its ledger, and is reached elsewhere by now: its key is a member all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_ledger_comes_back_by_its_used_ticket_also_under_another_address() {
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let home = Site::join(&ticket).await.stop().await;
    home.forget_ledger();
    let elsewhere = swift_chain::Address::new("localhost", home.port()).unwrap();
    let parsed = ticket.parse().unwrap();
    let back = home.try_start(|config| {
        config.join = Some(parsed);
        config.address = elsewhere.clone();
    });
    let back = back.await.map_err(|(error, _)| error).unwrap();
    let id = back.node.id();
    until(|| async { founder.node.ledger().members().address(&id) == Some(elsewhere.clone()) }).await;
    back.stop().await;
    founder.stop().await;
}

/// The store counts in blocks; with those of another network it took files for there that were not.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_the_files_of_one_network_does_not_serve_another() {
    let home = Site::found().await.stop().await;
    home.forget_ledger();
    let Err((error, home)) = home.try_start(|_| {}).await else { panic!("a second network was founded") };
    nothing_was_left(&home);
    assert!(matches!(error, StartError::LedgerDamaged(_)), "{error}");
}

/// The refusal came after the join: the ticket was used up, and the key was a member nobody could reach.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_the_files_of_another_network_uses_up_no_ticket() {
    let home = Site::found().await.stop().await;
    home.forget_ledger();
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let parsed = ticket.parse().unwrap();
    let refused = home.try_start(|config| config.join = Some(parsed)).await;
    let Err((error, home)) = refused else { panic!("the files of two networks are in one folder") };
    assert!(matches!(error, StartError::ForeignContent { .. }), "{error}");
    nothing_was_left(&home);
    assert_eq!(founder.client.height().await, 0);
    Site::join(&ticket).await.stop().await;
    founder.stop().await;
}
