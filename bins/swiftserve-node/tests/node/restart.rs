//! What a crash cannot take back.

use std::fs;

use serde_json::json;

use crate::{
    client::until,
    program::Program,
    site::{Home, Site, b3sum, content},
    wire::Wire,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let mut home = Home::new();
    let mut expected = Vec::new();
    for round in 0..3_u64 {
        let program = Program::start(home, &[]).await;
        let client = program.home.admin();
        let name = format!("file-{round}");
        let bytes = content(5 << 20, round);
        let written = client.put(&name, &bytes).await.ok().json();
        // Between the answer and this there is nothing that the node could use to make good.
        home = program.kill().await;
        assert_eq!(written["block"], round + 1);
        expected.push((name, bytes));
    }
    let program = Program::start(home, &[]).await;
    let client = program.home.admin();
    assert_eq!(client.height().await, 3);
    for (name, bytes) in &expected {
        assert!(client.get(&format!("/v1/files/{name}")).await.is(200).body == *bytes);
        assert!(fs::read(program.home.path("files").join(name)).unwrap() == *bytes);
    }
    program.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_removals_outlive_a_crash() {
    let program = Program::start(Home::new(), &[]).await;
    let client = program.home.admin();
    client.put("a", b"a").await.ok();
    client.put("b", b"b").await.ok();
    let reader = client.scoped("reader", &["read"]).await;
    let gone = client.scoped("gone", &["read"]).await;
    client.delete("/v1/files/a").await.ok();
    client.delete("/v1/tokens/gone").await.ok();
    let program = Program::start(program.kill().await, &[]).await;
    assert_eq!(reader.names().await, ["b"]);
    assert!(!program.home.path("files/a").exists());
    gone.get("/v1/files").await.refused(401, "unauthorized");
    program.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_crash_cut_off_leaves_nothing() {
    let program = Program::start(Home::new(), &[]).await;
    let client = program.home.admin();
    client.put("a", b"a").await.ok();
    let bytes = content(6 << 20, 1);
    let mut wire = Wire::connect(program.home.address()).await;
    wire.begin_put(&client, "/v1/files/b", bytes.len()).await;
    wire.send(&bytes[..4 << 20]).await;
    until(|| async { !program.home.listed("content/uploads").is_empty() }).await;
    let program = Program::start(program.kill().await, &[]).await;
    assert_eq!(program.home.listed("content/uploads"), Vec::<String>::new());
    assert_eq!(program.home.listed("content/objects"), [b3sum(b"a")]);
    assert_eq!(client.names().await, ["a"]);
    client.put("b", &bytes).await.ok();
    program.terminate().await;
}

/// Between the moment the content is durable and the moment its block is final, only the member knows of it. The
/// validator is away, so that this lasts as long as the test wants.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_stored_but_not_final_is_finished_after_a_crash() {
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let member = Program::start(Home::new(), &["--join", &ticket]).await;
    let founder = founder.stop().await;

    let bytes = content(5 << 20, 1);
    let (client, object) = (member.home.admin(), format!("content/objects/{}", b3sum(&bytes)));
    let mut wire = Wire::connect(member.home.address()).await;
    wire.begin_put(&client, "/v1/files/a", bytes.len()).await;
    wire.send(&bytes).await;
    // The object is put in its place before it is recorded; what marks it as unrecorded goes last.
    until(|| async {
        member.home.path(&object).exists() && member.home.listed("content/uploads").is_empty()
    })
    .await;
    assert_eq!(client.height().await, 1);
    assert_eq!(client.names().await, Vec::<String>::new());
    let home = member.kill().await;
    assert_eq!(wire.answer().await, "");

    let founder = founder.start().await;
    let member = Program::start(home, &[]).await;
    founder.reaches(2).await;
    let record = founder.client.record("a").await;
    assert_eq!(record["file_id"], b3sum(&bytes));
    founder.completes("a").await;
    assert!(founder.client.get("/v1/files/a").await.is(200).body == bytes);
    until(|| async { client.height().await >= 2 }).await;
    let record = client.record("a").await;
    assert_eq!((&record["complete"], &record["size"]), (&json!(true), &json!(bytes.len())));
    // It was written once, and asking again is success without a block.
    let again = client.put("a", &bytes).await.ok().json();
    assert_eq!((&again["block"], &again["already"]), (&json!(2), &json!(true)));
    assert_eq!(founder.client.height().await, 2);
    member.terminate().await;
}
