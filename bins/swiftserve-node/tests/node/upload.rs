//! From bytes to a file that everybody sees.

use std::fs;

use futures_util::stream;
use reqwest::{Body, Method};

use crate::{
    client::{answered, form, until},
    site::{Site, b3sum, content},
    wire::Wire,
};

const MIB: usize = 1 << 20;

/// Around the length of a chunk, and with a last chunk that is short.
const LENGTHS: [usize; 6] = [0, 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB + 3];

#[tokio::test(flavor = "multi_thread")]
async fn content_of_every_length_comes_back_as_it_was() {
    let site = Site::found().await;
    for (number, len) in LENGTHS.into_iter().enumerate() {
        let (raw, in_form) = (content(len, 1), content(len, 2));
        let (raw_name, form_name) = (format!("raw/{number}"), format!("form/{number}.bin"));
        let put = site.client.put(&raw_name, &raw).await.ok().json();
        assert_eq!(put["block"], site.client.height().await);
        let posted = site.client.upload(&form_name, &in_form).await.ok().json();
        assert_eq!(posted["block"], site.client.height().await);
        assert_eq!((&put["status"], &posted["status"]), (&true.into(), &true.into()));
        for (name, bytes, answer) in [(&raw_name, &raw, put), (&form_name, &in_form, posted)] {
            let id = b3sum(bytes);
            assert_eq!(answer["file_id"], id.as_str(), "{len} bytes");
            assert_eq!(answer["name"], name.as_str());
            assert_eq!(answer["size"], len);
            for path in
                [format!("/v1/files/{name}"), format!("/download?file={name}"), format!("/download?id={id}")]
            {
                let got = site.client.get(&path).await.is(200);
                assert!(got.body == *bytes, "{path} differs");
                assert_eq!(got.header("content-length"), len.to_string());
            }
            let visible = site.home.path("files").join(name);
            assert!(fs::read(&visible).unwrap() == *bytes, "{} differs", visible.display());
            let record = site.client.record(name).await;
            assert_eq!((&record["complete"], &record["held_bytes"]), (&true.into(), &len.into()));
        }
    }
    assert_eq!(site.client.names().await.len(), 2 * LENGTHS.len());
    assert_eq!(site.home.listed("content/uploads"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn content_whose_length_nobody_knew_comes_back_as_it_was() {
    let site = Site::found().await;
    let bytes = content(5 * MIB, 3);
    let pieces: Vec<_> = bytes.chunks(100_000).map(|piece| Ok::<_, String>(piece.to_vec())).collect();
    let request = site.client.request(Method::PUT, "/v1/files/a");
    answered(request.body(Body::wrap_stream(stream::iter(pieces)))).await.ok();
    assert!(site.client.get("/v1/files/a").await.is(200).body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_upload_again_is_the_same_success() {
    let site = Site::found().await;
    let first = site.client.put("a", b"content").await.ok().json();
    assert_eq!((&first["block"], &first["already"]), (&1.into(), &false.into()));
    let again = site.client.put("a", b"content").await.ok().json();
    assert_eq!((&again["block"], &again["already"]), (&1.into(), &true.into()));
    assert_eq!(site.client.put("a?replace", b"content").await.ok().json()["block"], 1);
    assert_eq!(site.client.upload("a", b"content").await.ok().json()["block"], 1);
    assert_eq!(site.client.height().await, 1);
    // The content is one, its names are two.
    assert_eq!(site.client.put("b", b"content").await.ok().json()["file_id"], first["file_id"]);
    assert_eq!(site.home.listed("content/objects"), [b3sum(b"content")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_keeps_its_content() {
    let site = Site::found().await;
    site.client.put("a", b"first").await.ok();
    // Other content of the same length, and of another one, which is refused before its body comes.
    for other in [&b"other"[..], b"longer content"] {
        for answer in [site.client.put("a", other).await, site.client.upload("a", other).await] {
            let is_legacy = answer.header("content-type") == "application/json";
            let problem = answer.json();
            assert_eq!(problem["status"], if is_legacy { false.into() } else { serde_json::json!(409) });
            assert!(answer.refused(409, "name_taken").contains('a'));
        }
    }
    assert_eq!(site.client.height().await, 1);
    assert_eq!(site.client.get("/v1/files/a").await.ok().body, b"first");
    assert_eq!(fs::read(site.home.path("files/a")).unwrap(), b"first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_file_is_the_new_one_everywhere() {
    let site = Site::found().await;
    let old = site.client.put("a", b"old").await.ok().json();
    let new = site.client.put("a?replace", b"new").await.ok().json();
    assert_eq!(new["block"], 2);
    assert_eq!(site.client.names().await, ["a"]);
    assert_eq!(site.client.record("a").await["file_id"], new["file_id"]);
    assert_eq!(site.client.get("/download?file=a").await.ok().body, b"new");
    assert_eq!(fs::read(site.home.path("files/a")).unwrap(), b"new");
    let old_id = old["file_id"].as_str().unwrap();
    site.client.get(&format!("/download?id={old_id}")).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_file_is_gone_and_its_name_is_free() {
    let site = Site::found().await;
    let added = site.client.put("a/b", b"content").await.ok().json();
    let removed = site.client.delete("/v1/files/a/b").await.ok().json();
    assert_eq!((&removed["block"], &removed["file_id"]), (&2.into(), &added["file_id"]));
    site.client.get("/v1/files/a/b").await.refused(404, "not_found");
    site.client.delete("/v1/files/a/b").await.refused(404, "not_found");
    assert_eq!(site.client.names().await, Vec::<String>::new());
    assert!(!site.home.path("files/a/b").exists());
    // What was a directory can be a file now.
    site.client.put("a", b"other").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_either_a_file_or_a_directory() {
    let site = Site::found().await;
    site.client.put("a", b"1").await.ok();
    site.client.put("b/c", b"2").await.ok();
    for name in ["a/b", "A/x/y", "b", "B"] {
        site.client.put(name, b"3").await.refused(409, "name_taken");
    }
    assert_eq!(site.client.height().await, 2);
    assert_eq!(site.client.names().await, ["a", "b/c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_off_leaves_nothing() {
    let site = Site::found().await;
    let bytes = content(6 * MIB, 4);
    let (content_type, in_form) = form("form", &bytes);
    let form_head = format!(
        "POST /upload HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\n\r\n",
        site.client.token(),
        in_form.len()
    );
    let chunked_head = format!(
        "PUT /v1/files/chunked HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         transfer-encoding: chunked\r\n\r\n400000\r\n",
        site.client.token()
    );
    let put_head = format!(
        "PUT /v1/files/put HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        site.client.token(),
        bytes.len()
    );
    for (head, body) in [(form_head, &in_form), (chunked_head, &bytes), (put_head, &bytes)] {
        let mut wire = Wire::connect(site.home.address()).await;
        wire.send(head.as_bytes()).await;
        wire.send(&body[..3 * MIB]).await;
        until(|| async { !site.home.listed("content/uploads").is_empty() }).await;
        drop(wire);
        until(|| async { site.home.listed("content/uploads").is_empty() }).await;
    }
    assert_eq!(site.client.names().await, Vec::<String>::new());
    assert_eq!(site.client.height().await, 0);
    assert_eq!(site.home.listed("content/objects"), Vec::<String>::new());
    assert_eq!(site.client.get("/v1/status").await.json()["store"]["bytes"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_uploads_to_one_name_at_once_one_wins() {
    let site = Site::found().await;
    for round in 0..5 {
        let name = format!("contested-{round}");
        let (one, two) = (content(MIB, round), content(MIB, round + 100));
        let (first, second) = tokio::join!(site.client.put(&name, &one), site.client.put(&name, &two));
        let (winner, loser) = if first.status == 200 { (one, second) } else { (two, first) };
        loser.refused(409, "name_taken");
        assert!(site.client.get(&format!("/v1/files/{name}")).await.is(200).body == winner);
        assert!(fs::read(site.home.path("files").join(&name)).unwrap() == winner);
        assert_eq!(site.client.height().await, round + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_upload_twice_at_once_is_one_file() {
    let site = Site::found().await;
    let bytes = content(MIB, 5);
    let (first, second) = tokio::join!(site.client.put("a", &bytes), site.client.put("a", &bytes));
    assert_eq!(first.ok().json()["block"], second.ok().json()["block"]);
    assert_eq!(site.client.height().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_says_so_and_goes_on_when_there_is_room() {
    let site = Site::found_with(|config| config.quota_bytes = Some(6 * MIB as u64)).await;
    let (large, small) = (content(9 * MIB, 6), content(MIB, 7));
    site.client.put("large", &large).await.refused(507, "no_space");
    // Nobody knows how long this one is until it does not fit.
    let pieces: Vec<_> = large.chunks(100_000).map(|piece| Ok::<_, String>(piece.to_vec())).collect();
    let request = site.client.request(Method::PUT, "/v1/files/large");
    let chunked = request.body(Body::wrap_stream(stream::iter(pieces)));
    answered(chunked).await.refused(507, "no_space");
    until(|| async { site.home.listed("content/uploads").is_empty() }).await;
    assert_eq!(site.client.height().await, 0);

    site.client.put("small", &small).await.ok();
    assert!(site.client.get("/v1/files/small").await.is(200).body == small);
    let status = site.client.get("/v1/status").await.ok().json();
    assert_eq!(status["store"]["quota_bytes"], 6 * MIB);
}
