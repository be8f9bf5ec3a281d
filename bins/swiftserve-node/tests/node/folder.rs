//! The folder that people see: what they do in it is theirs, and never what is served.

use std::{
    fs,
    io::{Seek as _, Write as _},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use reqwest::Method;
use swift_chunks::KeepRule;

use crate::{
    client::{soon, until},
    site::{Home, Site, b3sum, content},
};

const LEN: usize = 5 << 20;

/// Writes into the middle of a file where it stands, as a program that was given the right to.
fn edit_in_place(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(std::io::SeekFrom::Start(LEN as u64 / 2)).unwrap();
    file.write_all(b"edited in place").unwrap();
}

/// What people made of a file, under the name that it was given.
fn kept(home: &Home, name: &str) -> Option<Vec<u8>> {
    let prefix = format!("{name}.local-");
    let found = home.listed("files").into_iter().find(|listed| listed.starts_with(&prefix))?;
    Some(fs::read(home.path("files").join(found)).unwrap())
}

/// A client is sent the file or a beginning of it, or is told to come again; never anything else.
async fn is_never_wrong(site: &Site, name: &str, bytes: &[u8]) {
    let (status, got, is_whole) = site.client.received(&format!("/v1/files/{name}")).await;
    match status {
        200 => {
            assert!(bytes.starts_with(&got) && (!is_whole || got == bytes), "{name}: wrong bytes were sent");
        }
        status => assert_eq!(status, 503, "{name}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_to_files_in_the_folder_is_kept_and_never_served() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let names = ["in-place", "truncated", "replaced", "deleted", "chmod"];
    let files: Vec<(&str, Vec<u8>)> =
        names.into_iter().zip(1..).map(|(name, seed)| (name, content(LEN, seed))).collect();
    for (name, bytes) in &files {
        founder.client.put(name, bytes).await.ok();
        member.completes(name).await;
    }
    let at = |name: &str| member.home.path("files").join(name);
    for (name, _) in &files {
        until(|| async { at(name).exists() }).await;
    }
    edit_in_place(&at("in-place"));
    fs::set_permissions(at("truncated"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::OpenOptions::new().write(true).open(at("truncated")).unwrap().set_len(1000).unwrap();
    fs::write(at("of-an-editor"), b"written anew").unwrap();
    fs::rename(at("of-an-editor"), at("replaced")).unwrap();
    fs::remove_file(at("deleted")).unwrap();
    fs::set_permissions(at("chmod"), fs::Permissions::from_mode(0o666)).unwrap();
    for (name, bytes) in &files {
        is_never_wrong(&member, name, bytes).await;
    }
    // All of them come back, and what people made of them is beside them.
    for (name, bytes) in &files {
        until(|| async { fs::read(at(name)).is_ok_and(|shown| shown == *bytes) }).await;
        member.completes(name).await;
        assert!(member.client.get(&format!("/v1/files/{name}")).await.is(200).body == *bytes);
    }
    let mut edited = files[0].1.clone();
    edited[LEN / 2..LEN / 2 + 15].copy_from_slice(b"edited in place");
    assert!(kept(&member.home, "in-place").unwrap() == edited);
    assert!(kept(&member.home, "truncated").unwrap() == files[1].1[..1000]);
    assert_eq!(kept(&member.home, "replaced").unwrap(), b"written anew");
    assert_eq!(kept(&member.home, "deleted"), None);
    assert_eq!(kept(&member.home, "chmod"), None);
    // Whoever gets it from here gets what was published.
    let third = Site::join(&founder.invite().await).await;
    drop(founder.stop().await);
    for (name, bytes) in &files {
        third.completes(name).await;
        assert!(third.client.get(&format!("/v1/files/{name}")).await.is(200).body == *bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_while_nobody_runs_is_noticed_by_the_start() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let bytes = content(LEN, 1);
    founder.client.put("a", &bytes).await.ok();
    member.completes("a").await;
    until(|| async { member.home.path("files/a").exists() }).await;
    let home = member.stop().await;
    edit_in_place(&home.path("files/a"));
    let member = home.start().await;
    is_never_wrong(&member, "a", &bytes).await;
    until(|| async { fs::read(member.home.path("files/a")).is_ok_and(|shown| shown == bytes) }).await;
    assert!(kept(&member.home, "a").unwrap() != bytes);
    member.completes("a").await;
    assert!(member.client.get("/v1/files/a").await.is(200).body == bytes);
}

/// The file in the folder may share its bytes with what is being sent at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_file_that_is_being_sent_breaks_it_off_at_most() {
    let site = Site::found().await;
    let bytes = content(64 << 20, 1);
    site.client.put("a", &bytes).await.ok();
    until(|| async { site.home.path("files/a").exists() }).await;
    let request = site.client.request(Method::GET, "/v1/files/a");
    let mut response = soon(request.send()).await.unwrap();
    let mut got = soon(response.chunk()).await.unwrap().unwrap().to_vec();
    // Far behind what the connection holds already.
    let path = site.home.path("files/a");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, vec![b'x'; 64 << 20]).unwrap();
    while let Ok(Some(piece)) = soon(response.chunk()).await {
        got.extend_from_slice(&piece);
    }
    assert!(bytes.starts_with(&got), "changed bytes were served");
    assert!(got.len() < bytes.len(), "nobody has the rest any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn symbolic_links_in_the_folder_lead_nobody_out_of_it() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"mine").unwrap();
    let at = |name: &str| member.home.path("files").join(name);
    // Where files will be, a folder will be, and nothing is behind it.
    symlink(outside.path().join("secret"), at("file-link")).unwrap();
    symlink(outside.path(), at("dir-link")).unwrap();
    symlink(outside.path(), at("folder")).unwrap();
    symlink(outside.path().join("not-there"), at("dangling")).unwrap();
    let names = ["file-link", "dir-link", "folder/inside", "dangling", "later"];
    let files: Vec<(&str, Vec<u8>)> =
        names.into_iter().zip(1..).map(|(name, seed)| (name, content(LEN, seed))).collect();
    for (name, bytes) in &files {
        founder.client.put(name, bytes).await.ok();
        member.completes(name).await;
        assert!(member.client.get(&format!("/v1/files/{name}")).await.is(200).body == *bytes);
    }
    // One that takes the place of a file that stood there.
    until(|| async { at("later").exists() }).await;
    fs::remove_file(at("later")).unwrap();
    symlink(outside.path().join("secret"), at("later")).unwrap();
    for (name, bytes) in files.iter().filter(|(name, _)| *name != "folder/inside") {
        until(|| async {
            let is_link = fs::symlink_metadata(at(name)).is_ok_and(|metadata| metadata.is_symlink());
            !is_link && fs::read(at(name)).is_ok_and(|shown| shown == *bytes)
        })
        .await;
    }
    // The links are kept under other names, and so is the one in the way of a folder, where it is.
    let links = member.home.listed("files").into_iter();
    let links = links.filter(|name| fs::symlink_metadata(at(name)).unwrap().is_symlink());
    assert_eq!(links.count(), 5);
    assert!(fs::symlink_metadata(at("folder")).unwrap().is_symlink());
    founder.client.delete("/v1/files/folder/inside").await.ok();
    until(|| async { !member.client.names().await.contains(&"folder/inside".to_owned()) }).await;
    let listed: Vec<_> =
        fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(listed, ["secret"], "something was put outside");
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"mine");
}

async fn received_bytes(site: &Site) -> u64 {
    site.client.get("/v1/status").await.ok().json()["traffic"]["received_bytes"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_content_under_two_names_moves_once_and_outlives_one_of_them() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let bytes = content(9 << 20, 1);
    let object = |site: &Site| site.home.path("content/objects").join(b3sum(&bytes));
    founder.client.put("a", &bytes).await.ok();
    member.completes("a").await;
    let moved = received_bytes(&member).await;
    assert!(moved < 2 * bytes.len() as u64, "{moved}");
    founder.client.put("dir/b", &bytes).await.ok();
    member.client.put("c", &bytes).await.ok();
    for site in [&founder, &member] {
        for name in ["a", "dir/b", "c"] {
            site.completes(name).await;
            until(|| async { site.home.path("files").join(name).exists() }).await;
        }
        assert_eq!(site.home.listed("content/objects"), [b3sum(&bytes)]);
    }
    assert_eq!(received_bytes(&member).await, moved, "nothing came twice");
    assert_eq!(received_bytes(&founder).await, 0);

    founder.client.delete("/v1/files/a").await.ok();
    let (founder, member) = (founder.stop().await.start().await, member.stop().await.start().await);
    for site in [&founder, &member] {
        until(|| async { site.client.names().await == ["c", "dir/b"] }).await;
        until(|| async { !site.home.path("files/a").exists() }).await;
        for name in ["dir/b", "c"] {
            assert!(site.client.get(&format!("/v1/files/{name}")).await.is(200).body == bytes);
            assert!(fs::read(site.home.path("files").join(name)).unwrap() == bytes);
        }
        // Emptying the trash takes nothing that another name means.
        site.client.delete("/v1/trash").await.ok();
        assert!(object(site).exists());
        assert!(site.client.get("/v1/files/c").await.is(200).body == bytes);
    }
    // With the last name it goes to the trash, and comes back from there without a byte being moved.
    for name in ["dir/b", "c"] {
        founder.client.delete(&format!("/v1/files/{name}")).await.ok();
    }
    until(|| async { !member.home.path("files/c").exists() }).await;
    member.client.post_json("/v1/trash", &serde_json::json!({"name": "c"})).await.ok();
    for site in [&founder, &member] {
        site.completes("c").await;
        assert!(site.client.get("/v1/files/c").await.is(200).body == bytes);
        assert_eq!(received_bytes(site).await, 0, "since the restart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_of_one_name_holds_the_content_that_another_one_means_too() {
    let founder = Site::found().await;
    let ticket = founder.invite().await.parse().unwrap();
    let change = |config: &mut swiftserve_node::Config| {
        (config.join, config.keep) = (Some(ticket), Some(KeepRule::None));
    };
    let member = Home::new().try_start(change).await.map_err(|(error, _)| error).unwrap();
    let bytes = content(LEN, 1);
    for name in ["a", "b"] {
        founder.client.put(name, &bytes).await.ok();
        until(|| async { member.client.names().await.contains(&name.to_owned()) }).await;
    }
    member.client.mark("/v1/pins/b").await.ok();
    member.completes("b").await;
    assert!(member.client.get("/v1/files/a").await.is(200).body == bytes);
    founder.client.delete("/v1/files/a").await.ok();
    let member = member.stop().await.start().await;
    until(|| async { member.client.names().await == ["b"] }).await;
    member.completes("b").await;
    assert!(member.client.get("/v1/files/b").await.is(200).body == bytes);
    assert_eq!(received_bytes(&member).await, 0, "nothing was let go of");
}
