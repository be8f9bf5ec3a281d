//! A disk is lost, and a backup put back.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;
use swiftserve_node::{AfterRestore, Backup, BackupError};

use crate::{
    client::until,
    program::{Program, fails, runs},
    site::{Home, Site, content},
};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The disk is gone, and an empty one is in its place.
fn lose(home: &Home) {
    for name in home.listed("") {
        let path = home.path(&name);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

async fn is_held(home: &Home) -> bool {
    let problem = home.admin().get("/v1/status").await.ok().json()["problem"].clone();
    problem.as_str().is_some_and(|text| text.contains("restored from a backup"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founder_that_lost_its_disk_comes_back_with_all_that_others_have() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let (id, network) = (founder.node.id(), founder.node.network());
    let founder = Program::start(founder.stop().await, &[]).await;
    let client = founder.home.admin();
    let mut files = vec![("before".to_owned(), content(5 << 20, 1))];
    client.put("before", &files[0].1).await.ok();

    // The copy is taken while uploads go on.
    let uploads = tokio::spawn({
        let client = client.clone();
        async move {
            let mut done = Vec::new();
            for number in 0..20_u64 {
                let (name, bytes) = (format!("meanwhile-{number}"), content(200_000, 10 + number));
                client.put(&name, &bytes).await.ok();
                done.push((name, bytes));
            }
            done
        }
    });
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    let said = runs(&["backup", text(&copy), "--data-dir", text(founder.home.folder())]).await;
    assert!(said.contains(&id.to_string()), "{said}");
    files.extend(uploads.await.unwrap());
    let last = client.put("after", b"after").await.ok().json()["block"].as_u64().unwrap();
    files.push(("after".into(), b"after".to_vec()));
    member.reaches(last).await;
    for (name, _) in &files {
        member.completes(name).await;
    }

    let home = founder.kill().await;
    lose(&home);
    let said = runs(&["restore", text(&copy), "--data-dir", text(home.folder())]).await;
    assert!(said.contains("must never run again"), "{said}");
    let founder = Program::start(home, &[]).await;
    let client = founder.home.admin();
    let status = client.get("/v1/status").await.ok().json();
    assert_eq!((&status["node_id"], &status["network_id"]), (&json!(id), &json!(network)));

    // What it had acknowledged is there again, what it writes now follows it, and all say the same.
    until(|| async { client.height().await >= last }).await;
    let written = client.put("back", b"back").await.ok().json()["block"].as_u64().unwrap();
    assert_eq!(written, last + 1);
    assert!(!is_held(&founder.home).await);
    member.reaches(written).await;
    files.push(("back".into(), b"back".to_vec()));
    for (name, bytes) in &files {
        let path = format!("/v1/files/{name}?meta");
        until(|| async { client.get(&path).await.json()["complete"] == true }).await;
        assert!(client.get(&format!("/v1/files/{name}")).await.is(200).body == *bytes, "{name}");
    }
    let head = client.get("/v1/status").await.ok().json()["head_hash"].clone();
    assert_eq!(head, json!(member.node.ledger().head().hash));
    founder.terminate().await;
}

/// Nobody can tell it whether it made a block after the backup.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_validator_makes_no_block_before_every_member_was_heard() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    Backup::make(founder.home.folder(), &copy, 1).unwrap();
    let lost = founder.client.put("lost", b"lost").await.ok().json()["block"].as_u64().unwrap();
    member.completes("lost").await;
    let (founder, member) = (founder.stop().await, member.stop().await);
    lose(&founder);
    Backup::open(&copy).unwrap().restore(founder.folder()).unwrap();

    let founder = Program::start(founder, &[]).await;
    let client = founder.home.admin();
    assert!(is_held(&founder.home).await);
    // It is there, and yet the network has nobody who decides.
    let quorum = client.get("/v1/status").await.ok().json()["quorum"].clone();
    assert_eq!((&quorum["reachable"], &quorum["has_quorum"]), (&json!(0), &json!(false)));
    client.put("waits?wait=none", b"waits").await.is(202);
    until(|| async { is_queued(&founder.home) }).await;
    assert_eq!(client.height().await, lost - 1);

    let member = member.start().await;
    until(|| async { client.names().await == ["lost", "waits"] }).await;
    assert_eq!(client.height().await, lost + 1);
    let quorum = client.get("/v1/status").await.ok().json()["quorum"].clone();
    assert_eq!((&quorum["reachable"], &quorum["has_quorum"]), (&json!(1), &json!(true)));
    member.reaches(lost + 1).await;
    founder.terminate().await;
}

/// Whether a write of this node waits for its block.
fn is_queued(home: &Home) -> bool {
    let ledger = rusqlite::Connection::open(home.path("ledger.db")).unwrap();
    ledger.query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, i64>(0)).unwrap() == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_answer_for_those_who_are_gone() {
    let founder = Site::found().await;
    drop(Site::join(&founder.invite().await).await);
    founder.client.put("a", b"a").await.ok();
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    // Of a node that does not run, too.
    let founder = founder.stop().await;
    let made = Backup::make(founder.folder(), &copy, 1).unwrap();
    assert_eq!(made.manifest.height, 2);
    lose(&founder);
    Backup::open(&copy).unwrap().restore(founder.folder()).unwrap();
    let proceed = |config: &mut swiftserve_node::Config| config.after_restore = AfterRestore::Proceed;
    let founder = founder.try_start(proceed).await.map_err(|(error, _)| error).unwrap();
    founder.client.put("b", b"b").await.ok();
    // It was said once, and holds.
    let founder = founder.stop().await.start().await;
    founder.client.put("c", b"c").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founder_that_is_alone_has_nobody_to_wait_for() {
    let founder = Site::found().await;
    founder.client.put("a", b"a").await.ok();
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    Backup::make(founder.home.folder(), &copy, 1).unwrap();
    let founder = founder.stop().await;
    lose(&founder);
    Backup::open(&copy).unwrap().restore(founder.folder()).unwrap();
    let founder = founder.start().await;
    founder.client.put("b", b"b").await.ok();
    // The content of this one was nowhere else.
    assert_eq!(founder.client.record("a").await["complete"], false);
    founder.client.put("a", b"a").await.ok();
    assert_eq!(founder.client.get("/v1/files/a").await.is(200).text(), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_for_its_owner_only_and_has_no_content() {
    let site = Site::found().await;
    site.client.put("a", &content(1 << 20, 1)).await.ok();
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let made = Backup::make(site.home.folder(), &copy, 77).unwrap();
    assert_eq!((made.manifest.node_id, made.manifest.network_id), (site.node.id(), site.node.network()));
    assert_eq!((made.manifest.height, made.manifest.time_ms), (1, 77));
    assert_eq!(Backup::open(&copy).unwrap(), made);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&copy), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&copy).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    let expected =
        ["admin-token", "backup.json", "index.db", "ledger.db", "network", "node.key", "tokens.db"];
    assert_eq!(names, expected);
    // Nothing else is left beside it.
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);

    // The token of before lets its client in.
    let restored = Home::new();
    Backup::open(&copy).unwrap().restore(restored.folder()).unwrap();
    assert_eq!(mode(&restored.path("node.key")), 0o600);
    assert_eq!(mode(&restored.path("content")), 0o700);
    let token = site.client.token().to_owned();
    drop(site.stop().await);
    let restored = restored.start().await;
    assert_eq!(restored.client.token(), token);
    restored.client.get("/v1/status").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_and_restores_that_cannot_be_right_are_refused_and_leave_nothing() {
    let (site, other) = (Site::found().await, Site::found().await);
    site.client.put("a", b"a").await.ok();
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    Backup::make(site.home.folder(), &at("copy"), 1).unwrap();
    Backup::make(other.home.folder(), &at("other"), 1).unwrap();

    let occupied = Backup::make(site.home.folder(), &at("copy"), 1).unwrap_err();
    assert!(matches!(occupied, BackupError::Occupied(_)), "{occupied}");
    let occupied = Backup::open(&at("copy")).unwrap().restore(site.home.folder()).unwrap_err();
    assert!(matches!(occupied, BackupError::Occupied(_)), "{occupied}");
    let said = fails(&["backup", text(&at("new")), "--data-dir", text(place.path())]).await;
    assert!(said.contains("not the data folder of a node"), "{said}");
    let said = fails(&["restore", text(place.path()), "--data-dir", text(&at("new"))]).await;
    assert!(said.contains("no backup"), "{said}");

    // Parts of two backups in one, and one that is damaged.
    fs::copy(at("other/node.key"), at("copy/node.key")).unwrap();
    let mixed = Backup::open(&at("copy")).unwrap().restore(&at("new")).unwrap_err();
    assert!(matches!(mixed, BackupError::Mixed { what: "key", .. }), "{mixed}");
    fs::copy(site.home.path("node.key"), at("copy/node.key")).unwrap();
    fs::copy(at("other/ledger.db"), at("copy/ledger.db")).unwrap();
    let mixed = Backup::open(&at("copy")).unwrap().restore(&at("new")).unwrap_err();
    assert!(matches!(mixed, BackupError::Mixed { what: "ledger", .. }), "{mixed}");
    // Its version is in bytes 60 to 63 of an SQLite file.
    let newer = fs::read(at("other/ledger.db")).unwrap();
    fs::write(at("copy/ledger.db"), [&newer[..60], &99_u32.to_be_bytes(), &newer[64..]].concat()).unwrap();
    let newer = Backup::open(&at("copy")).unwrap().restore(&at("new")).unwrap_err();
    assert!(newer.to_string().contains("tables of version 99"), "{newer}");
    let ledger = fs::OpenOptions::new().write(true).open(at("copy/ledger.db")).unwrap();
    ledger.set_len(8192).unwrap();
    let damaged = Backup::open(&at("copy")).unwrap().restore(&at("new")).unwrap_err();
    assert!(matches!(damaged, BackupError::Db(_)), "{damaged}");
    let manifest = fs::read_to_string(at("other/backup.json")).unwrap();
    fs::write(at("other/backup.json"), manifest.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let newer = Backup::open(&at("other")).unwrap_err();
    assert!(matches!(newer, BackupError::NotABackup { .. }), "{newer}");

    let mut left: Vec<_> =
        fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["copy", "other"]);
}

/// Nobody was told that it is final, and its content went with the disk.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_waited_when_the_disk_was_lost_is_not_published_without_its_content() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let founder = founder.stop().await;
    let member = Program::start(member.stop().await, &[]).await;
    let client = member.home.admin();
    let write = tokio::spawn(async move { client.put("lost", b"lost").await });
    until(|| async { is_queued(&member.home) }).await;
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("copy");
    Backup::make(member.home.folder(), &copy, 1).unwrap();
    write.abort();
    let member = member.kill().await;
    lose(&member);
    let restored = Backup::open(&copy).unwrap().restore(member.folder()).unwrap();
    assert_eq!(restored.uploads_lost, 1);
    let (founder, member) = (founder.start().await, member.start().await);
    let written = member.client.put("new", b"new").await.ok().json()["block"].as_u64().unwrap();
    founder.reaches(written).await;
    assert_eq!(founder.client.names().await, ["new"]);
}
