//! Several validators on real sockets.

use std::sync::Arc;

use serde_json::json;
use swift_chain::{
    Action, NodeChange, NodeKey, SignedTransaction, Transaction, Vote, VoteKind,
    consensus::{ConsensusMessage, SignedVote},
};
use swift_p2p::{gossip::consensus_frames, transport::Dialer};

use crate::{
    client::{soon, until},
    site::Site,
};

/// A network of `count` nodes, all with a vote.
pub(crate) async fn validators(count: usize) -> Vec<Site> {
    validators_of(Site::found().await, count).await
}

/// The same around a node that has just founded a network.
pub(crate) async fn validators_of(founder: Site, count: usize) -> Vec<Site> {
    let mut sites = vec![founder];
    for _ in 1..count {
        let ticket = sites[0].invite().await;
        sites.push(Site::join(&ticket).await);
    }
    for at in 1..count {
        let change = NodeChange::ValidatorWeight(1);
        let action = Action::UpdateNode { node: sites[at].node.id(), change };
        soon(sites[0].node.ledger().submit(action, None)).await.unwrap();
    }
    level(&sites).await;
    sites
}

async fn level(sites: &[Site]) {
    let highest = sites.iter().map(|site| site.node.ledger().head().height).max().unwrap_or(0);
    for site in sites {
        site.reaches(highest).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_asked_a_write_is_final_everywhere() {
    let sites = validators(4).await;
    for (at, site) in sites.iter().enumerate() {
        site.client.put(&format!("{at}.txt"), b"x").await.ok();
    }
    level(&sites).await;
    let heads: Vec<_> = sites.iter().map(|site| site.node.ledger().head().hash).collect();
    assert!(heads.iter().all(|head| *head == heads[0]));
    assert_eq!(sites[3].node.ledger().members().validators().len(), 4);
    let block = sites[1].client.get("/v1/blocks/8").await.ok().json();
    assert!(block["certificate"]["signers"].as_array().unwrap().len() >= 3, "{block}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_votes_twice_is_shown_with_the_proof() {
    let sites = validators(4).await;
    let (network, liar) = (sites[0].node.network(), &sites[3]);
    let height = sites[0].node.ledger().head().height + 1;
    let members = Arc::new(sites[0].node.ledger().members().clone());
    let dialer = Dialer::new(&liar.home.key(), network, members).unwrap();
    let mut body = Vec::new();
    for block in [None, Some(swift_chain::BlockHash::from_bytes([7; 32]))] {
        let key = liar.home.key();
        let vote = Vote { kind: VoteKind::Prevote, height, round: 0, block, validator: key.id() };
        let message = ConsensusMessage::Vote(SignedVote::sign(&key, &network, vote));
        body.extend(consensus_frames::encode(&message));
    }
    let client = dialer.client(sites[0].node.id()).unwrap();
    let answer = soon(client.post("/peer/consensus").body(body).send()).await.unwrap();
    assert_eq!(answer.status(), 202);
    until(|| async { sites[0].client.get("/v1/evidence").await.ok().json()["total"] == 1 }).await;
    let shown = sites[0].client.get("/v1/evidence").await.ok().json();
    let row = &shown["evidence"][0];
    assert_eq!(row["kind"], "double vote");
    assert_eq!(row["offenders"][0], liar.node.id().to_string());
}

/// Whoever brings a transaction had to look at its signature: the answer says what is wrong with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_a_forged_transaction_is_refused_with_the_reason() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let (network, author) = (founder.node.network(), founder.node.id());
    let members = Arc::new(founder.node.ledger().members().clone());
    let dialer = Dialer::new(&member.home.key(), network, members).unwrap();
    let (sequence, valid_until_ms, action) = (1000, u64::MAX, Action::Void {});
    let body = Transaction { network, author, sequence, valid_until_ms, on_behalf_of: None, action };
    let forged = SignedTransaction::sign(&NodeKey::from_seed([9; 32]), body);
    let client = dialer.client(author).unwrap();
    // A list of one.
    let body = [&[1], forged.to_bytes().as_slice()].concat();
    let answer = soon(client.post("/peer/transactions").body(body).send()).await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer: serde_json::Value = serde_json::from_str(&soon(answer.text()).await.unwrap()).unwrap();
    assert_eq!(answer["code"], json!("bad_request"));
    assert!(answer["detail"].as_str().unwrap().contains(&author.to_string()), "{answer}");
}
