//! Two nodes of one network: what one has, the other gets.

use crate::site::{Site, content};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_comes_level_again() {
    let founder = Site::found().await;
    let joiner = Site::join(&founder.invite().await).await;
    let home = joiner.stop().await;
    for number in 0..20 {
        founder.client.put(&format!("f{number}"), b"x").await.ok();
    }
    let joiner = home.start().await;
    joiner.reaches(founder.node.ledger().head().height).await;
    assert_eq!(joiner.node.ledger().head(), founder.node.ledger().head());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_writes_is_final_and_seen_by_all() {
    let founder = Site::found().await;
    let joiner = Site::join(&founder.invite().await).await;
    let bytes = content(5 << 20, 1);
    let written = joiner.client.put("from-the-joiner", &bytes).await.ok().json();
    let height = written["block"].as_u64().unwrap();
    founder.reaches(height).await;
    let record = founder.client.record("from-the-joiner").await;
    assert_eq!(record["publisher"], joiner.node.id().to_string());
    assert_eq!(record["file_id"], written["file_id"]);
    founder.completes("from-the-joiner").await;
    assert!(founder.client.get("/v1/files/from-the-joiner").await.is(200).body == bytes);
    assert!(std::fs::read(founder.home.path("files/from-the-joiner")).unwrap() == bytes);
    // Once, and little beside it.
    let (received, sent) =
        (traffic(&founder).await["received_bytes"].clone(), traffic(&joiner).await["sent_bytes"].clone());
    for moved in [received, sent] {
        let moved = moved.as_u64().unwrap();
        assert!((5 << 20..(5 << 20) + 100_000).contains(&moved), "{moved} bytes moved");
    }
    assert_eq!(traffic(&joiner).await["received_bytes"], 0);

    // Only the node that published a file, or an admin of the network, changes it.
    founder.client.put("from-the-founder", b"f").await.ok();
    joiner.reaches(founder.node.ledger().head().height).await;
    joiner.client.delete("/v1/files/from-the-founder").await.refused(403, "forbidden");
    joiner.client.put("from-the-founder?replace", b"j").await.refused(403, "forbidden");
    joiner.client.put("from-the-founder", b"j").await.refused(409, "name_taken");
    let removed = founder.client.delete("/v1/files/from-the-joiner").await.ok().json();
    joiner.reaches(removed["block"].as_u64().unwrap()).await;
    joiner.client.get("/v1/files/from-the-joiner").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_on_two_nodes_at_once_all_end_in_the_ledger() {
    let founder = Site::found().await;
    let joiner = Site::join(&founder.invite().await).await;
    let mut writes = tokio::task::JoinSet::new();
    let mut expected = Vec::new();
    for number in 0..10 {
        for (who, site) in [("founder", &founder), ("joiner", &joiner)] {
            let (client, name) = (site.client.clone(), format!("{who}-{number}"));
            expected.push(name.clone());
            writes.spawn(async move { client.put(&name, name.as_bytes()).await.ok().json() });
        }
    }
    let answers = writes.join_all().await;
    let height = answers.iter().map(|answer| answer["block"].as_u64().unwrap()).max().unwrap();
    expected.sort();
    for site in [&founder, &joiner] {
        site.reaches(height).await;
        assert_eq!(site.client.names().await, expected);
        for name in &expected {
            site.completes(name).await;
            assert_eq!(site.client.get(&format!("/v1/files/{name}")).await.is(200).text(), *name);
        }
    }
    assert_eq!(founder.node.ledger().head(), joiner.node.ledger().head());
}

/// Two nodes want one name: the ledger decides, and both hear the same.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_that_want_one_name_at_once_one_gets_it() {
    let founder = Site::found().await;
    let joiner = Site::join(&founder.invite().await).await;
    let (first, second) = tokio::join!(founder.client.put("a", b"one"), joiner.client.put("a", b"two"));
    let (winner, loser, expected) =
        if first.status == 200 { (first, second, "one") } else { (second, first, "two") };
    loser.refused(409, "name_taken");
    let height = winner.ok().json()["block"].as_u64().unwrap();
    for site in [&founder, &joiner] {
        site.reaches(height).await;
        site.completes("a").await;
        assert_eq!(site.client.get("/v1/files/a").await.is(200).text(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rotted_on_one_node_comes_back_from_another() {
    let founder = Site::found().await;
    let joiner = Site::join(&founder.invite().await).await;
    let bytes = content(9 << 20, 2);
    founder.client.put("a", &bytes).await.ok();
    joiner.completes("a").await;
    joiner.home.rot(&bytes, 5 << 20);
    let (_, got, is_whole) = joiner.client.received("/v1/files/a").await;
    assert!(!is_whole && bytes.starts_with(&got), "a rotten file was served");
    joiner.completes("a").await;
    assert!(joiner.client.get("/v1/files/a").await.is(200).body == bytes);
    assert!(std::fs::read(joiner.home.path("files/a")).unwrap() == bytes);
}

async fn traffic(site: &Site) -> serde_json::Value {
    site.client.get("/v1/status").await.ok().json()["traffic"].clone()
}
