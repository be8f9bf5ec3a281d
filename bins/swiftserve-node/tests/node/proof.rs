//! Receipts as a node gives them out.

use swift_chain::{Action, Checkpoint, CheckpointOutcome, Expectation, Proven, Receipt, TransactionId};

use crate::{
    client::Answer,
    site::{Site, b3sum},
    validators::validators,
};

/// Reads an answer as a receipt of the site's network.
#[track_caller]
fn verified(site: &Site, answer: &Answer) -> Proven {
    let expected = Expectation { network: Some(site.node.network()), ..Expectation::default() };
    Receipt::from_bytes(&answer.body).unwrap().verify(&expected).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_file_has_a_receipt_that_proves_it_without_the_node() {
    let site = Site::found().await;
    site.client.put("before", b"before").await.ok();
    let ci = site.client.scoped("ci", &["publish"]).await;
    ci.put("dir/%C3%BC%20%22.txt", b"content").await.refused(400, "bad_name");
    ci.put("dir/%C3%BC%20x.txt", b"content").await.ok();
    site.client.put("behind", b"behind").await.ok();

    let answer = site.client.get("/v1/proof?name=dir/%C3%BC%20x.txt").await.is(200);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("content-disposition"), "attachment; filename*=UTF-8''%C3%BC%20x.txt.receipt");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");

    let proven = verified(&site, &answer);
    let block = site.client.get("/v1/blocks/2").await.ok().json();
    let transaction: TransactionId = block["transactions"][0]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!((proven.height, proven.transaction), (2, transaction));
    assert_eq!(block["hash"], proven.block.to_string());
    assert_eq!(block["time_ms"], proven.time_ms);
    assert_eq!((proven.author, proven.on_behalf_of.unwrap().as_str()), (site.node.id(), "ci"));
    let Action::AddFile { file, .. } = proven.action else { panic!("the receipt is of no file") };
    assert_eq!((file.name.as_str(), file.size), ("dir/\u{fc} x.txt", 7));
    assert_eq!(file.file_id.to_string(), b3sum(b"content"));

    let by_id = site.client.get(&format!("/v1/proof?id={}", file.file_id)).await.is(200);
    assert!(by_id.body == answer.body, "the same file has another receipt by its id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_outlives_its_name_and_a_later_block_does_not_matter() {
    let site = Site::found().await;
    site.client.put("a", b"one").await.ok();
    let first = site.client.get("/v1/proof?name=a").await.is(200);
    site.client.put("a?replace", b"two").await.ok();
    let second = verified(&site, &site.client.get("/v1/proof?name=a").await.is(200));
    assert_eq!((second.height, second.file().unwrap().size), (2, 3));
    site.client.delete("/v1/files/a").await.ok();
    site.client.get("/v1/proof?name=a").await.refused(404, "not_found");

    let proven = verified(&site, &first);
    assert_eq!(proven.height, 1);
    let hash = site.client.get("/getHash?num=1").await.is(200).text().parse().unwrap();
    let checkpoint = Some(Checkpoint { height: 1, hash });
    let known = Expectation { network: Some(site.node.network()), checkpoint };
    let again = Receipt::from_bytes(&first.body).unwrap().verify(&known).unwrap();
    assert_eq!(again.checkpoint, CheckpointOutcome::Matches);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_several_nodes_lead_from_the_founder_to_all_validators() {
    let sites = validators(4).await;
    sites[2].client.put("theirs", b"x").await.ok();
    let height = sites[2].node.ledger().head().height;
    for site in &sites {
        site.reaches(height).await;
        // Each node has a certificate of its own, and each is good.
        let proven = verified(site, &site.client.get("/v1/proof?name=theirs").await.is(200));
        assert_eq!((proven.height, proven.author), (height, sites[2].node.id()));
        assert_eq!((proven.changes, proven.validators.len()), (3, 4));
        assert!(proven.signers.len() >= 3, "{:?}", proven.signers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_receipt_and_who_gets_none() {
    let site = Site::found().await;
    site.client.put("Name", b"x").await.ok();
    let unknown_id = b3sum(b"another content");
    // As everywhere, another spelling is another name.
    for missing in ["name=nothing", "name=name", &format!("id={unknown_id}")] {
        let reason = site.client.get(&format!("/v1/proof?{missing}")).await.refused(404, "not_found");
        assert!(reason.starts_with("no "), "{reason}");
    }
    let both = format!("/v1/proof?name=Name&id={}", b3sum(b"x"));
    for nonsense in ["/v1/proof", "/v1/proof?id=12", both.as_str()] {
        site.client.get(nonsense).await.refused(400, "bad_request");
    }
    site.client.get("/v1/proof?name=../x").await.refused(400, "bad_name");
    site.client.anonymous().get("/v1/proof?name=Name").await.refused(401, "unauthorized");
    let writer = site.client.scoped("writer", &["publish"]).await;
    writer.get("/v1/proof?name=Name").await.refused(403, "forbidden");
    let reader = site.client.scoped("reader", &["read"]).await;
    reader.get("/v1/proof?name=Name").await.is(200);
}
