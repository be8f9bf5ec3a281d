//! From a file to bytes that can be trusted.

use std::{fs, os::unix::fs::PermissionsExt as _};

use reqwest::Method;

use crate::{
    client::{Answer, Client, answered, received},
    site::{Site, b3sum, content},
};

const MIB: usize = 1 << 20;
const LEN: usize = 9 * MIB + 3;

/// A node with one file of several chunks.
async fn with_file() -> (Site, Vec<u8>) {
    let (site, bytes) = (Site::found().await, content(LEN, 1));
    site.client.put("dir/file.bin", &bytes).await.ok();
    (site, bytes)
}

/// Both routes that send content.
const PATHS: [&str; 2] = ["/v1/files/dir/file.bin", "/download?file=dir/file.bin"];

async fn ranged(client: &Client, path: &str, range: &str) -> Answer {
    answered(client.request(Method::GET, path).header("range", range)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_exactly_these_bytes() {
    let (site, bytes) = with_file().await;
    let chunk = 4 * MIB;
    for path in PATHS {
        for (range, expected) in [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=10-19".to_owned(), 10..20),
            (format!("bytes={}-{}", chunk - 1, chunk), chunk - 1..chunk + 1),
            (format!("bytes={}-{}", chunk - 5, 2 * chunk + 5), chunk - 5..2 * chunk + 6),
            (format!("bytes={}-", LEN - 7), LEN - 7..LEN),
            (format!("bytes={}-{}", LEN - 7, LEN + 1000), LEN - 7..LEN),
            ("bytes=-4".to_owned(), LEN - 4..LEN),
            (format!("bytes=-{}", LEN * 2), 0..LEN),
        ] {
            let answer = ranged(&site.client, path, &range).await.is(206);
            let (first, last) = (expected.start, expected.end - 1);
            assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/{LEN}"), "{range}");
            assert_eq!(answer.header("content-length"), expected.len().to_string(), "{range}");
            assert!(answer.body == bytes[expected], "{range} differs");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_ranges_come_as_parts() {
    let (site, bytes) = with_file().await;
    for path in PATHS {
        let answer = ranged(&site.client, path, "bytes=5-9,4194300-4194309, -3,99999999-").await.is(206);
        let content_type = answer.header("content-type").to_owned();
        let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        let expected = [5..10, 4_194_300..4_194_310, LEN - 3..LEN];
        let parts = parts_of(&answer.body, boundary);
        assert_eq!(parts.len(), expected.len());
        for ((head, body), range) in parts.into_iter().zip(expected) {
            let content_range = format!("Content-Range: bytes {}-{}/{LEN}", range.start, range.end - 1);
            assert!(head.contains(&content_range), "{head}");
            assert!(body == bytes[range], "{content_range} differs");
        }
    }
}

/// Takes a `multipart/byteranges` body apart as RFC 2046 says: heads and contents.
fn parts_of(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let delimiter = format!("\r\n--{boundary}");
    let starts: Vec<_> = body
        .windows(delimiter.len())
        .enumerate()
        .filter(|(_, window)| *window == delimiter.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(&body[*starts.last().unwrap()..], format!("{delimiter}--\r\n").as_bytes());
    let between = starts.windows(2).map(|pair| &body[pair[0] + delimiter.len()..pair[1]]);
    between
        .map(|part| {
            let end = part.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
            (String::from_utf8(part[..end].to_vec()).unwrap(), part[end + 4..].to_vec())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_beyond_the_end_is_unsatisfiable_and_nonsense_is_ignored() {
    let (site, bytes) = with_file().await;
    for path in PATHS {
        for range in [format!("bytes={LEN}-"), "bytes=-0".to_owned(), "bytes=99999999-999999999".to_owned()] {
            let answer = ranged(&site.client, path, &range).await.is(416);
            assert_eq!(answer.header("content-range"), format!("bytes */{LEN}"));
            assert!(answer.body.is_empty());
        }
        for range in ["bytes=9-2", "items=0-1", "bytes=a-b"] {
            assert!(ranged(&site.client, path, range).await.is(200).body == bytes, "{range}");
        }
    }
    site.client.put("empty", b"").await.ok();
    ranged(&site.client, "/v1/files/empty", "bytes=0-").await.is(416);
    assert_eq!(site.client.get("/v1/files/empty").await.is(200).header("content-length"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_tells_whether_the_content_is_still_the_same() {
    let (site, bytes) = with_file().await;
    let tag = format!("\"{}\"", b3sum(&bytes));
    let with = |path: &str, header: &'static str, value: &str| {
        site.client.request(Method::GET, path).header(header, value.to_owned())
    };
    for path in PATHS {
        assert_eq!(site.client.get(path).await.is(200).header("etag"), tag);
        for value in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let answer = answered(with(path, "if-none-match", &value)).await.is(304);
            assert_eq!(answer.header("etag"), tag);
            assert!(answer.body.is_empty());
        }
        answered(with(path, "if-none-match", "\"other\"")).await.is(200);
        let in_range = |value: &str| answered(with(path, "if-range", value).header("range", "bytes=0-1"));
        assert!(in_range(&tag).await.is(206).body == bytes[..2]);
        assert!(in_range("\"other\"").await.is(200).body == bytes);
    }
    site.client.put("dir/file.bin?replace", b"new").await.ok();
    let resumed = with(PATHS[0], "if-range", &tag).header("range", "bytes=4194304-");
    assert_eq!(answered(resumed).await.is(200).body, b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_tells_everything_but_the_content() {
    let (site, bytes) = with_file().await;
    for path in PATHS {
        let head = answered(site.client.request(Method::HEAD, path)).await.is(200);
        let get = site.client.get(path).await.is(200);
        assert!(head.body.is_empty() && get.body == bytes);
        let of = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("date");
            headers
        };
        assert_eq!(of(&head), of(&get));
        assert_eq!(head.header("content-length"), LEN.to_string());
        let part = site.client.request(Method::HEAD, path).header("range", "bytes=0-9");
        // HEAD has no ranges (RFC 9110, section 14.2); an answer to one may describe the whole or the part.
        assert!(answered(part).await.body.is_empty());
    }
}

/// A file is somebody's upload: opened in a browser, it must not act as a page of the node.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_a_download_and_never_a_page() {
    let site = Site::found().await;
    site.client.put("dir/na%C3%AFve%20page.html", b"<script>").await.ok();
    for path in ["/v1/files/dir/na%C3%AFve%20page.html", "/download?file=dir/na%C3%AFve%20page.html"] {
        for request in [
            site.client.request(Method::GET, path),
            site.client.request(Method::GET, path).header("range", "bytes=0-1"),
            site.client.request(Method::GET, path).header("range", "bytes=99-"),
        ] {
            let answer = answered(request).await;
            assert_eq!(
                answer.header("content-disposition"),
                "attachment; filename*=UTF-8''na%C3%AFve%20page.html"
            );
            assert_eq!(answer.header("content-type"), "application/octet-stream");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert!(answer.header("content-security-policy").contains("sandbox"));
            assert_eq!(answer.header("accept-ranges"), "bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_rotted_on_disk_is_never_served() {
    let (site, bytes) = with_file().await;
    let path = "/v1/files/dir/file.bin";
    site.home.rot(&bytes, 5 * MIB);
    let (status, got, is_whole) = site.client.received(path).await;
    assert_eq!(status, 200);
    assert!(!is_whole, "a rotten file came whole");
    assert!(bytes.starts_with(&got), "wrong bytes were served");
    assert!(got.len() <= 4 * MIB);

    // From then on the node does not claim it.
    let record = site.client.record("dir/file.bin").await;
    assert_eq!(record["complete"], false);
    assert!(record["held_bytes"].as_u64().unwrap() < LEN as u64);
    assert!(!site.home.path("files/dir/file.bin").exists());
    // What was lost is on its way again, and nobody has it.
    let part = site.client.request(Method::GET, path).header("range", "bytes=5242880-5242889");
    let reason = answered(part).await.refused(503, "unavailable");
    assert!(reason.contains("nobody can be reached"), "{reason}");
    assert_eq!(site.client.get("/v1/status").await.ok().json()["store"]["wanted"], 1);
    // And it heals by what it is given again.
    site.client.put("dir/file.bin", &bytes).await.ok();
    assert!(site.client.get(path).await.is(200).body == bytes);
    assert!(fs::read(site.home.path("files/dir/file.bin")).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_beside_the_rot_is_served_and_one_across_it_is_not() {
    let (site, bytes) = with_file().await;
    site.home.rot(&bytes, 5 * MIB);
    let ask =
        |range: &str| received(site.client.request(Method::GET, PATHS[0]).header("range", range.to_owned()));
    assert_eq!(ask("bytes=0-99").await, (206, bytes[..100].to_vec(), true));
    let (_, got, is_whole) = ask("bytes=4194300-4194310").await;
    assert!(!is_whole && bytes[4_194_300..].starts_with(&got), "rotten bytes were served");
}

/// Somebody edits the stored file, through a link for example: the times tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_file_that_somebody_changed_is_never_served() {
    let (site, bytes) = with_file().await;
    let object = site.home.path("content/objects").join(b3sum(&bytes));
    fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&object, vec![b'x'; LEN]).unwrap();
    // The status line may be out before the first chunk is looked at.
    let (status, got, is_whole) = site.client.received(PATHS[0]).await;
    assert!(status == 503 || (!is_whole && got.is_empty()), "{status}: changed bytes were served");
    site.client.get(PATHS[0]).await.refused(503, "unavailable");
    assert_eq!(site.client.record("dir/file.bin").await["complete"], false);
}
