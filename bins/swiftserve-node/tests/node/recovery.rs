//! The validators are gone for good: an admin founds the network anew, and the others follow.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use swift_chain::{Audit, NetworkId, recovery::RecoveryFile};
use swiftserve_node::{Acceptance, Accepted, Consent, Recovered, Recovery, RecoveryError, StartError};

use crate::{
    client::until,
    program::{Program, fails, runs},
    site::{Home, Site, b3sum, content},
};

/// A founder, a second admin and a publisher.
async fn three() -> (Site, Site, Site) {
    let founder = Site::found().await;
    let admin = Site::join(&founder.invite_as("admin").await).await;
    let member = Site::join(&founder.invite().await).await;
    (founder, admin, member)
}

fn recover(home: &Home) -> Recovered {
    Recovery::plan(home.folder()).unwrap().carry_out(None).unwrap()
}

fn accept(home: &Home, file: &Path, consent: Consent) -> Result<Accepted, RecoveryError> {
    Acceptance::plan(home.folder(), file)?.expect("it follows it already").carry_out(consent)
}

/// All that a node says it has, with the proof, from nothing but the network's id.
async fn audited(site: &Site, network: NetworkId) -> Audit {
    let chain = site.client.post("/getBlockDatas", "0").await.is(200).body;
    Audit::read(chain.as_slice(), Some(network), |_| {}).unwrap()
}

/// Whether a write of this node waits for its block.
fn is_queued(home: &Home) -> bool {
    let ledger = rusqlite::Connection::open(home.path("ledger.db")).unwrap();
    ledger.query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, i64>(0)).unwrap() == 1
}

fn stored(home: &Home, bytes: &[u8]) -> u64 {
    fs::metadata(home.path("content/objects").join(b3sum(bytes))).unwrap().ino()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_whose_founder_is_gone_goes_on_with_all_it_had() {
    let (founder, admin, member) = three().await;
    let (one, two) = (content(5 << 20, 1), content(5 << 20, 2));
    founder.client.put("from-the-founder", &one).await.ok();
    let height = admin.client.put("from-the-admin", &two).await.ok().json()["block"].as_u64().unwrap();
    for site in [&admin, &member] {
        site.reaches(height).await;
        site.completes("from-the-founder").await;
        site.completes("from-the-admin").await;
    }
    let (old, head) = (founder.node.network(), founder.node.ledger().head());
    drop(founder.stop().await);

    // A write that nobody can decide any more.
    let member = Program::start(member.stop().await, &[]).await;
    let waiting = content(1 << 20, 3);
    let (client, bytes) = (member.home.admin(), waiting.clone());
    let write = tokio::spawn(async move { client.put("waiting", &bytes).await });
    until(|| async { is_queued(&member.home) }).await;
    assert!(!write.is_finished(), "nobody can decide it");
    write.abort();
    let (admin, member) = (admin.stop().await, member.kill().await);

    let before = stored(&admin, &one);
    let recovered = recover(&admin);
    assert_eq!(recovered.old, old);
    let accepted = accept(&member, &recovered.file, Consent::default()).unwrap();
    assert_eq!((accepted.network, accepted.carried.carried), (recovered.network, 1));
    assert_eq!((accepted.origin.height, accepted.origin.hash), (head.height, head.hash));
    let again = Acceptance::plan(member.folder(), &recovered.file).unwrap();
    assert!(again.is_none(), "it was accepted before");

    // The content is where it was, before anybody could have sent it.
    let admin = admin.start().await;
    assert_eq!(admin.node.network(), recovered.network);
    for (name, bytes) in [("from-the-founder", &one), ("from-the-admin", &two)] {
        assert!(admin.client.get(&format!("/v1/files/{name}")).await.is(200).body == *bytes);
        assert!(fs::read(admin.home.path("files").join(name)).unwrap() == *bytes);
    }
    assert_eq!(stored(&admin.home, &one), before);

    // They find each other where the ledger says, and work on; what was held for a write that waited is published.
    let member = member.start().await;
    admin.completes("waiting").await;
    assert!(admin.client.get("/v1/files/waiting").await.is(200).body == waiting);
    let written = member.client.put("new", b"new").await.ok().json();
    admin.reaches(written["block"].as_u64().unwrap()).await;
    admin.client.delete("/v1/files/from-the-founder").await.ok();

    // A machine that was never there joins by a ticket, and gets all of it.
    let fourth = Site::join(&admin.invite().await).await;
    for name in ["from-the-admin", "waiting", "new"] {
        fourth.completes(name).await;
    }
    assert!(fourth.client.get("/v1/files/from-the-admin").await.is(200).body == two);
    member.reaches(fourth.node.ledger().head().height).await;
    for site in [&admin, &member, &fourth] {
        let audit = audited(site, recovered.network).await;
        assert_eq!(audit.origin().map(|origin| (origin.network, origin.height)), Some((old, head.height)));
        assert_eq!(*audit.head(), site.node.ledger().head());
        assert_eq!(site.client.names().await, ["from-the-admin", "new", "waiting"]);
    }

    // Later starts are as any other.
    let (admin, member) = (admin.stop().await.start().await, member.stop().await.start().await);
    admin.client.put("later", b"later").await.ok();
    member.completes("later").await;
    assert_eq!(member.client.names().await, ["from-the-admin", "later", "new", "waiting"]);
    // The old ledger is still there for who wants to look at it.
    assert!(admin.home.listed("").contains(&format!("ledger-{old}.db")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_check_a_recovery_needs_its_operators_word() {
    let (founder, admin, member) = three().await;
    let member = member.stop().await;
    let height = founder.client.put("late", b"late").await.ok().json()["block"].as_u64().unwrap();
    admin.completes("late").await;
    drop(founder.stop().await);
    let admin = admin.stop().await;
    let recovered = recover(&admin);
    let refused = accept(&member, &recovered.file, Consent::default()).unwrap_err();
    assert!(matches!(refused, RecoveryError::Unchecked { theirs, .. } if theirs == height), "{refused}");
    let consent = Consent { trust_recovery: true, ..Consent::default() };
    accept(&member, &recovered.file, consent).unwrap();
    let (admin, member) = (admin.start().await, member.start().await);
    member.completes("late").await;
    assert_eq!(member.node.ledger().head(), admin.node.ledger().head());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_further_gives_up_its_blocks_only_when_told_to() {
    let (founder, admin, member) = three().await;
    founder.client.put("both", b"both").await.ok();
    admin.completes("both").await;
    let admin = admin.stop().await;
    founder.client.put("only-here", b"only-here").await.ok();
    member.completes("only-here").await;
    drop(founder.stop().await);
    let member = member.stop().await;
    let recovered = recover(&admin);
    let refused = accept(&member, &recovered.file, Consent::default()).unwrap_err();
    assert!(matches!(refused, RecoveryError::Ahead { ours, theirs } if ours == theirs + 1), "{refused}");
    assert!(refused.to_string().contains("1 final blocks would be lost"), "{refused}");
    let kept = member.path("content/objects").join(b3sum(b"both"));
    let before = fs::metadata(&kept).unwrap().ino();
    accept(&member, &recovered.file, Consent { discard_blocks: true, ..Consent::default() }).unwrap();

    let (admin, member) = (admin.start().await, member.start().await);
    assert_eq!(member.client.names().await, ["both"]);
    assert!(!member.home.path("files/only-here").exists());
    assert_eq!(fs::read(member.home.path("files/both")).unwrap(), b"both");
    assert_eq!(fs::metadata(&kept).unwrap().ino(), before, "content was fetched again");
    // The name is free again, and content that is in the trash is found there.
    member.client.put("only-here", b"only-here").await.ok();
    admin.completes("only-here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recoveries_that_are_not_for_this_node_are_refused_and_change_nothing() {
    let (founder, admin, member) = three().await;
    let removed = Site::join(&founder.invite().await).await;
    let stranger = Site::found().await;
    let of_stranger = removed.node.id();
    founder.client.put("a", b"a").await.ok();
    let gone = founder.client.delete(&format!("/v1/nodes/{of_stranger}")).await.ok().json();
    for site in [&admin, &member] {
        site.reaches(gone["block"].as_u64().unwrap()).await;
    }
    let (old, other) = (founder.node.network(), stranger.node.network());

    // A publisher, and a node that runs.
    let refused = Recovery::plan(member.home.folder()).err().unwrap();
    assert!(matches!(refused, RecoveryError::DataDir(_)), "{refused}");
    let (admin, member, stranger) = (admin.stop().await, member.stop().await, stranger.stop().await);
    let removed = removed.stop().await;
    let refused = Recovery::plan(member.folder()).err().unwrap();
    assert!(matches!(refused, RecoveryError::Recover(_)), "{refused}");
    assert!(refused.to_string().contains("publisher"), "{refused}");

    let recovered = recover(&admin);
    let (file, broken) = (fs::read(&recovered.file).unwrap(), admin.path("broken"));
    let refusals = |bytes: &[u8]| {
        fs::write(&broken, bytes).unwrap();
        accept(&member, &broken, Consent::default()).unwrap_err()
    };
    let mut flipped = file.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (what, bytes) in [
        ("cut short", &file[..file.len() - 1]),
        ("changed", &flipped),
        ("empty", b""),
        ("no chain", b"hello"),
    ] {
        let refused = refusals(bytes);
        assert!(matches!(refused, RecoveryError::File { .. }), "{what}: {refused}");
    }
    let of_other = recover(&stranger);
    let refused = accept(&member, &of_other.file, Consent::default()).unwrap_err();
    assert!(refused.to_string().contains(&other.to_string()), "{refused}");
    let refused = accept(&removed, &recovered.file, Consent { trust_recovery: true, ..Consent::default() });
    assert!(matches!(refused, Err(RecoveryError::NotAMember { .. })), "{refused:?}");
    drop(founder);

    // Whoever refused belongs to the old network as before.
    for home in [&member, &removed] {
        assert!(!home.listed("").iter().any(|name| name.starts_with("ledger-")), "{:?}", home.listed(""));
    }
    let member = member.start().await;
    assert_eq!(member.node.network(), old);
    assert_eq!(member.client.names().await, ["a"]);
}

/// As a node that lost its ledger gets it back from a chain file.
#[tokio::test(flavor = "multi_thread")]
async fn the_chain_of_a_recovered_network_is_posted_in_one_piece() {
    let home = Site::found().await.stop().await;
    let recovered = recover(&home);
    let site = home.start().await;
    site.client.put("a", b"a").await.ok();
    let head = site.node.ledger().head();
    let chain = site.client.post("/getBlockDatas", "0").await.is(200).body;
    let blocks = site.client.post("/getBlockDatas", "1").await.is(200).body;
    let beginning = fs::read(&recovered.file).unwrap();
    assert!([&beginning[..], &blocks[..]].concat() == chain);
    site.client.post("/addBlock", chain.clone()).await.refused(400, "bad_request");

    let home = site.stop().await;
    home.forget_ledger();
    let file = RecoveryFile::open(beginning.as_slice()).unwrap();
    drop(file.into_ledger(&home.path("ledger.db")).unwrap());
    let site = home.start().await;
    assert_eq!(site.node.ledger().head().height, 0);
    let genesis_len = beginning.len() - snapshot_len(&beginning);
    let without = [&beginning[..genesis_len], &blocks[..]].concat();
    let reason = site.client.post("/overwriteBlockchain", without).await.refused(400, "bad_request");
    assert!(reason.contains("imported state"), "{reason}");
    site.client
        .post("/overwriteBlockchain", beginning[genesis_len..].to_vec())
        .await
        .refused(400, "bad_request");
    site.client.post("/overwriteBlockchain", chain).await.is(200);
    assert_eq!(site.node.ledger().head(), head);
}

/// Bytes behind the genesis frame.
fn snapshot_len(beginning: &[u8]) -> usize {
    let genesis_len = u32::from_le_bytes(beginning[1..5].try_into().unwrap()) as usize;
    beginning.len() - 5 - genesis_len
}

/// The old ticket stands in the settings still, as the documents say it may.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_the_old_network_in_the_settings_does_no_harm() {
    let founder = Site::found().await;
    let ticket = founder.invite_as("admin").await;
    let admin = Site::join(&ticket).await.stop().await;
    drop(founder.stop().await);
    let recovered = recover(&admin);
    let parsed = ticket.parse().unwrap();
    let admin =
        admin.try_start(|config| config.join = Some(parsed)).await.map_err(|(error, _)| error).unwrap();
    assert_eq!(admin.node.network(), recovered.network);
    // It joins nobody any more.
    let Err((error, _)) = Site::try_join(&ticket).await else { panic!("a ticket of the old network works") };
    assert!(matches!(error, StartError::Join(_)), "{error}");
}

/// Twice in a row, without a start in between, as somebody does who is in a hurry.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_was_recovered_can_be_recovered_again() {
    let (founder, admin, member) = three().await;
    let bytes = content(1 << 20, 1);
    founder.client.put("a", &bytes).await.ok();
    admin.completes("a").await;
    member.completes("a").await;
    let (founder, admin, member) = (founder.stop().await, admin.stop().await, member.stop().await);
    let first = recover(&admin);
    accept(&member, &first.file, Consent::default()).unwrap();
    accept(&founder, &first.file, Consent::default()).unwrap();
    drop(admin);
    let second = recover(&founder);
    assert_eq!(second.old, first.network);
    accept(&member, &second.file, Consent::default()).unwrap();
    let (founder, member) = (founder.start().await, member.start().await);
    for site in [&founder, &member] {
        assert_eq!(site.node.network(), second.network);
        assert!(fs::read(site.home.path("files/a")).unwrap() == bytes);
    }
    let written = member.client.put("b", b"b").await.ok().json();
    founder.reaches(written["block"].as_u64().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_shows_what_it_would_do_and_does_it_when_told_to() {
    let founder = Program::start(Home::new(), &[]).await;
    founder.home.admin().put("a", b"a").await.ok();
    let folder = founder.home.folder().to_str().unwrap().to_owned();
    let running = fails(&["recover", "--data-dir", &folder]).await;
    assert!(running.contains("in use"), "{running}");
    let home = founder.terminate().await;

    let shown = runs(&["recover", "--data-dir", &folder]).await;
    for word in ["height 1", "members     1", "files       1", "Nothing was changed", "--yes"] {
        assert!(shown.contains(word), "{shown:?} does not say {word:?}");
    }
    assert!(!home.listed("").iter().any(|name| name.starts_with("ledger-")));
    let out = home.path("tell-the-others");
    let done = runs(&["recover", "--data-dir", &folder, "--yes", "--out", out.to_str().unwrap()]).await;
    assert!(done.contains("accept-recovery"), "{done}");
    let told = runs(&["accept-recovery", out.to_str().unwrap(), "--data-dir", &folder]).await;
    assert!(told.contains("already"), "{told}");
    let again = fails(&["recover", "--data-dir", &folder, "--yes"]).await;
    assert!(again.contains("--file-only"), "{again}");

    let program = Program::start(home, &[]).await;
    let client = program.home.admin();
    assert_eq!((client.names().await, client.height().await), (vec!["a".to_owned()], 0));
    client.put("b", b"b").await.ok();
    program.terminate().await;
}
