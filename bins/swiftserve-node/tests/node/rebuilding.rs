//! The ledger's file is damaged: that is said, with what to do, and one command makes the ledger anew.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use swift_chain::{LedgerDb, LedgerReader, NodeId};
use swiftserve_node::{
    KnownPeer, LedgerDamage, NodeFailure, RebuildError, RebuildOptions, Rebuilt, StartError,
};

use crate::{
    client::{Client, soon, until},
    program::{Program, fails, runs},
    site::{Home, Site, b3sum, content},
};

const PAGE_LEN: usize = 4096;

/// Makes the pages of a closed ledger unreadable that hold some bytes, if SQLite has given them this kind.
fn spoil(home: &Home, kind: u8, needle: &[u8]) {
    let path = whole(home);
    let mut bytes = fs::read(&path).unwrap();
    let mut spoiled = 0;
    for page in bytes.chunks_mut(PAGE_LEN).skip(1) {
        if page[0] == kind && page.windows(needle.len()).any(|window| window == needle) {
            page[0] ^= 0x10;
            spoiled += 1;
        }
    }
    assert!(spoiled > 0, "no page has it");
    fs::write(path, bytes).unwrap();
}

/// The ledger in one file: whoever closes it last merges its log into it, if it may write.
fn whole(home: &Home) -> PathBuf {
    let path = home.path("ledger.db");
    drop(LedgerDb::open(&path).unwrap());
    assert!(!home.path("ledger.db-wal").exists(), "all of it is in one file");
    path
}

/// Pages of tables whose rows have numbers, like blocks, and of those that are in the order of their keys, like files.
const NUMBERED: u8 = 0x0d;
const KEYED: u8 = 0x0a;

fn spoil_header(home: &Home) {
    let path = whole(home);
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn spoil_block(home: &Home, height: u64) {
    let hash = LedgerReader::open(&home.path("ledger.db")).unwrap().block_hash(height).unwrap().unwrap();
    spoil(home, NUMBERED, hash.as_bytes());
}

/// The start says what is damaged and what to do.
async fn is_reported(home: Home) -> Home {
    let Err((error, home)) = home.try_start(|_| {}).await else { panic!("it started") };
    let StartError::LedgerDamaged(LedgerDamage { path, .. }) = &error else { panic!("{error}") };
    assert_eq!(path, &home.path("ledger.db"));
    let text = error.to_string();
    let folder = home.folder().to_str().unwrap();
    assert!(text.contains(&format!("rebuild-ledger --data-dir {folder}")), "{text}");
    assert!(text.contains(&format!("{folder}/ledger.db")), "{text}");
    home
}

async fn rebuild(home: &Home) -> Result<Rebuilt, RebuildError> {
    rebuild_with(home, RebuildOptions::default()).await
}

async fn rebuild_with(home: &Home, options: RebuildOptions) -> Result<Rebuilt, RebuildError> {
    soon(Rebuilt::make(home.folder(), options)).await.map(|rebuilt| rebuilt.expect("nothing was done before"))
}

fn stored(home: &Home, bytes: &[u8]) -> u64 {
    fs::metadata(home.path("content/objects").join(b3sum(bytes))).unwrap().ino()
}

fn peer(node: NodeId, home: &Home) -> KnownPeer {
    format!("{node}@{}", home.address()).parse().unwrap()
}

/// So many small blocks that the ledger has many pages of them.
async fn many_blocks(client: &Client) -> u64 {
    for number in 0..40 {
        client.put(&format!("small-{number}"), format!("{number}").as_bytes()).await.ok();
    }
    client.height().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_ledger_is_no_database_any_more_gets_it_from_the_member_it_is_told() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let bytes = content(5 << 20, 1);
    founder.client.put("a", &bytes).await.ok();
    member.completes("a").await;
    let id = founder.node.id();
    let home = member.stop().await;
    let (before, object) = (fs::read(home.path("ledger.db")).unwrap(), stored(&home, &bytes));
    spoil_header(&home);
    let home = is_reported(home).await;
    // Nothing can be read, not even who the members are.
    let damaged = fs::read(home.path("ledger.db")).unwrap();
    let refused = rebuild(&home).await.unwrap_err().to_string();
    assert!(refused.contains("--peer NODE@HOST:PORT"), "{refused}");
    assert!(fs::read(home.path("ledger.db")).unwrap() == damaged, "it is as it was");

    let folder = home.folder().to_str().unwrap().to_owned();
    let named = format!("{id}@{}", founder.home.address());
    let said = runs(&["rebuild-ledger", "--data-dir", &folder, "--peer", &named]).await;
    assert!(said.contains("last block      2") && said.contains("ledger-damaged.db"), "{said}");
    assert!(said.contains("may be lost"), "its own queue could not be read: {said}");
    assert!(fs::read(home.path("ledger-damaged.db")).unwrap() == damaged, "it is kept");
    assert_ne!(fs::read(home.path("ledger.db")).unwrap(), before);

    let member = home.start().await;
    assert_eq!(member.node.ledger().head(), founder.node.ledger().head());
    assert!(member.client.get("/v1/files/a").await.is(200).body == bytes);
    assert_eq!(stored(&member.home, &bytes), object, "nothing was fetched again");
    let written = member.client.put("b", b"b").await.ok().json()["block"].as_u64().unwrap();
    founder.reaches(written).await;
}

/// The state is worked out again from the blocks, which are whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_s_only_node_makes_its_ledger_anew_from_its_own_blocks() {
    let site = Site::found().await;
    let bytes = content(1 << 20, 1);
    site.client.put("a", &bytes).await.ok();
    let height = many_blocks(&site.client).await;
    let head = site.node.ledger().head();
    let home = site.stop().await;
    spoil(&home, KEYED, b"small-7");
    let rebuilt = rebuild(&home).await.unwrap();
    assert_eq!((rebuilt.height, rebuilt.known_height, rebuilt.own_blocks), (height, Some(height), height));
    assert!(rebuilt.attempts.0.is_empty() && !rebuilt.waiting.some_are_lost);
    let site = home.start().await;
    assert_eq!(site.node.ledger().head(), head);
    assert!(site.client.get("/v1/files/a").await.is(200).body == bytes);
    assert_eq!(site.client.get("/v1/files/small-7").await.is(200).text(), "7");
    // Nobody can hold a vote of it.
    site.client.put("b", b"b").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_is_met_while_a_node_runs_stops_it_with_what_to_do() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let height = many_blocks(&founder.client).await;
    member.reaches(height).await;
    for number in 0..40 {
        member.completes(&format!("small-{number}")).await;
    }
    let home = member.stop().await;
    spoil_block(&home, 20);

    // The start does not read it.
    let mut member = home.start().await;
    let answer = member.client.get("/v1/blocks/20").await;
    assert_eq!(answer.status, 500);
    let failure = soon(member.node.failed()).await;
    let NodeFailure::LedgerDamaged(damage) = &failure else { panic!("{failure}") };
    assert_eq!(damage.path, member.home.path("ledger.db"));
    assert!(failure.to_string().contains("rebuild-ledger --data-dir"), "{failure}");

    // Who the members are it knows itself, and a block that it lacks it gets from them.
    let home = member.stop().await;
    let rebuilt = rebuild(&home).await.unwrap();
    assert_eq!((rebuilt.height, rebuilt.known_height), (height, Some(height)));
    assert!(rebuilt.own_blocks < 21, "{}", rebuilt.own_blocks);
    assert_eq!(rebuilt.attempts.0[0].node, founder.node.id());
    let member = home.start().await;
    member.client.get("/v1/blocks/20").await.ok();
    assert_eq!(member.node.ledger().head(), founder.node.ledger().head());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_nobody_asks_for_is_found_and_ends_the_program_with_what_to_do() {
    let site = Site::found().await;
    many_blocks(&site.client).await;
    let home = site.stop().await;
    spoil_block(&home, 20);
    // It looks through the file by itself when it has started.
    let mut program = Program::start(home, &[]).await;
    let (status, said) = program.ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("rebuild-ledger --data-dir"), "{said}");
    // The next start says so too, where it comes upon it.
    let home = program.into_home();
    spoil_header(&home);
    let (folder, port) = (home.folder().to_str().unwrap(), home.port().to_string());
    let said = fails(&["--data-dir", folder, "--port", &port]).await;
    assert!(said.contains("rebuild-ledger --data-dir"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_waited_wait_again_and_none_is_done_twice() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    for name in ["old", "other"] {
        member.client.put(name, name.as_bytes()).await.ok();
    }
    let founder = founder.stop().await;
    member.client.delete("/v1/files/old?wait=none").await.is(202);
    member.client.put("new?wait=none", b"new").await.is(202);
    let home = member.stop().await;
    spoil(&home, KEYED, b"other");
    let rebuilt = rebuild(&home).await.unwrap();
    assert_eq!((rebuilt.height, rebuilt.waiting.waiting, rebuilt.waiting.settled), (3, 2, 0));
    assert!(!rebuilt.waiting.some_are_lost);
    let (founder, member) = (founder.start().await, home.start().await);
    until(|| async { founder.client.names().await == ["new", "other"] }).await;
    until(|| async { member.client.names().await == ["new", "other"] }).await;
    founder.completes("new").await;
    assert_eq!(founder.client.get("/v1/files/new").await.is(200).text(), "new");
    assert!(founder.client.height().await <= 5, "each was done once");
}

/// An upload is held by the store as well; of anything else the operator is told.
#[tokio::test(flavor = "multi_thread")]
async fn of_writes_that_cannot_be_read_uploads_are_published_and_the_rest_is_said_to_be_lost() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    member.client.put("old", b"old").await.ok();
    let founder = founder.stop().await;
    member.client.delete("/v1/files/old?wait=none").await.is(202);
    member.client.put("upload-that-waits?wait=none", b"new").await.is(202);
    let home = member.stop().await;
    spoil(&home, NUMBERED, b"upload-that-waits");
    let founder = founder.start().await;
    let rebuilt = rebuild(&home).await.unwrap();
    assert!(rebuilt.waiting.some_are_lost && rebuilt.waiting.waiting == 0, "{rebuilt:?}");
    assert!(rebuilt.to_string().contains("anything else that was not final must be done again"), "{rebuilt}");
    let member = home.start().await;
    until(|| async { founder.client.names().await == ["old", "upload-that-waits"] }).await;
    until(|| async { member.client.names().await == ["old", "upload-that-waits"] }).await;
}

/// It may have signed what the file does not say any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_whose_ledger_was_made_anew_signs_nothing_before_every_member_was_heard() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    founder.client.put("before", b"before").await.ok();
    member.completes("before").await;
    let (home, member) = (founder.stop().await, member.stop().await);
    spoil(&home, KEYED, b"before");
    let rebuilt = rebuild(&home).await.unwrap();
    assert_eq!((rebuilt.height, rebuilt.attempts.0.len()), (2, 1), "the member was asked, and was not there");
    assert!(rebuilt.attempts.0[0].outcome.is_err());
    let founder = Program::start(home, &[]).await;
    let client = founder.home.admin();
    let problem = client.get("/v1/status").await.ok().json()["problem"].clone();
    assert!(problem.as_str().is_some_and(|text| text.contains("signs nothing before")), "{problem}");
    client.put("waits?wait=none", b"waits").await.is(202);
    assert_eq!(client.height().await, 2);
    let member = member.start().await;
    until(|| async { client.names().await == ["before", "waits"] }).await;
    member.reaches(3).await;
    founder.terminate().await;
}

/// What the only maker of blocks has lost may be with nobody: that is not decided for the operator.
#[tokio::test(flavor = "multi_thread")]
async fn final_blocks_that_are_nowhere_any_more_are_given_up_only_when_the_operator_says_so() {
    let site = Site::found().await;
    let height = many_blocks(&site.client).await;
    let home = site.stop().await;
    spoil_block(&home, height);
    let damaged = fs::read(home.path("ledger.db")).unwrap();
    let refused = rebuild(&home).await.unwrap_err();
    let RebuildError::Short(missing) = &refused else { panic!("{refused}") };
    let came = missing.height;
    assert!(missing.is_sole && came < height && missing.known == Some(height), "{refused}");
    assert!(refused.to_string().contains("restore a backup"), "{refused}");
    assert!(fs::read(home.path("ledger.db")).unwrap() == damaged, "it is as it was");

    let options = RebuildOptions { discard_blocks: true, ..RebuildOptions::default() };
    let rebuilt = rebuild_with(&home, options).await.unwrap();
    assert_eq!((rebuilt.height, rebuilt.known_height), (came, Some(height)));
    assert!(rebuilt.to_string().contains(&format!("blocks {} to {height}", came + 1)), "{rebuilt}");
    let site = home.start().await;
    assert_eq!(site.client.names().await.len() as u64, came);
    // Names of blocks that were given up are gone, and can be given anew.
    let shown = site.home.listed("files").into_iter().filter(|name| name.starts_with("small-"));
    assert_eq!(shown.count() as u64, came);
    site.client.put("small-39", b"again").await.ok();
    assert_eq!(site.client.get("/v1/files/small-39").await.is(200).text(), "again");
}

/// Else a node that lost its ledger would begin a network of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_gone_or_empty_is_damaged_too() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let home = member.stop().await;
    home.forget_ledger();
    let home = is_reported(home).await;
    fs::write(home.path("ledger.db"), b"").unwrap();
    let home = is_reported(home).await;
    let options =
        RebuildOptions { peers: vec![peer(founder.node.id(), &founder.home)], discard_blocks: false };
    let rebuilt = rebuild_with(&home, options).await.unwrap();
    assert_eq!((rebuilt.height, rebuilt.own_blocks), (1, 0));
    let member = home.start().await;
    assert_eq!(member.node.ledger().head(), founder.node.ledger().head());
}
