//! What a node does where there is little room.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    client::{received, soon, until},
    program::Program,
    site::{Home, Site, content},
};

const MIB: usize = 1 << 20;

/// Sends the head of a request and no byte of its body; all that is answered.
async fn by_its_head(site: &Site, line: &str, len: usize, kind: &str) -> String {
    let mut stream = TcpStream::connect(site.home.address()).await.unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: {len}\r\n\
         Content-Type: {kind}\r\nExpect: 100-continue\r\n\r\n",
        site.client.token()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_the_numbers_before_a_byte_of_it_is_read() {
    let site = Site::found_with(|config| config.quota_bytes = Some(6 * MIB as u64)).await;
    site.client.put("here", &content(MIB, 1)).await.ok();
    let available = site.client.get("/v1/status").await.ok().json()["store"]["available_bytes"].clone();
    // A header and the lines of three chunks come with the content.
    let (needed, offered) = (9 * MIB + 16 + 3 * 52, format!("and {available} are available"));
    for (line, kind) in [
        ("PUT /v1/files/large", "application/octet-stream"),
        ("PUT /v1/files/here?replace", "application/octet-stream"),
        ("POST /upload", "multipart/form-data; boundary=b"),
    ] {
        let answer = by_its_head(&site, line, 9 * MIB, kind).await;
        assert!(answer.starts_with("HTTP/1.1 507 "), "{line}: {answer}");
        assert!(answer.contains("no_space") && answer.contains(&offered), "{line}: {answer}");
        // A form is longer than the file in it, and nobody knows by how much.
        assert!(
            line.starts_with("POST") || answer.contains(&format!("{needed} bytes are needed")),
            "{answer}"
        );
    }
    // What is longer than any file is too large for every disk.
    let answer = by_its_head(&site, "PUT /v1/files/large", 1 << 50, "application/octet-stream").await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("too_large"), "{answer}");
    assert!(site.home.listed("content/uploads").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_serves_what_it_has_and_takes_more_when_its_trash_is_emptied() {
    let founder = Site::found_with(|config| config.quota_bytes = Some(10 * MIB as u64)).await;
    let (first, second, third) = (content(5 * MIB, 1), content(4 * MIB, 2), content(5 * MIB, 3));
    founder.client.put("first", &first).await.ok();
    founder.client.put("second", &second).await.ok();
    for answer in [founder.client.put("third", &third).await, founder.client.upload("third", &third).await] {
        let reason = answer.refused(507, "no_space");
        assert!(reason.contains("bytes are needed") && reason.contains("are available"), "{reason}");
    }
    // Clients read on, whole files and ranges, and members fetch.
    assert!(founder.client.get("/v1/files/first").await.is(200).body == first);
    let request = founder.client.request(reqwest::Method::GET, "/download?file=second");
    let range = received(request.header("range", "bytes=1000-1999")).await;
    assert_eq!(range, (206, second[1000..2000].to_vec(), true));
    let member = Site::join(&founder.invite().await).await;
    member.completes("first").await;
    assert!(member.client.get("/v1/files/first").await.is(200).body == first);

    // Removed, it is in the trash and takes its room there.
    founder.client.delete("/v1/files/first").await.ok();
    founder.client.put("third", &third).await.refused(507, "no_space");
    let store = founder.client.get("/v1/status").await.ok().json()["store"].clone();
    assert!(store["trashed_bytes"].as_u64().unwrap() >= 5 * MIB as u64, "{store}");
    assert_eq!((&store["reserved_bytes"], &store["free_floor_bytes"]), (&json!(0), &json!(256 * MIB)));
    assert!(store["free_bytes"].as_u64().unwrap() > store["available_bytes"].as_u64().unwrap(), "{store}");
    assert_eq!(founder.client.delete("/v1/trash").await.ok().json()["bytes"], 5 * MIB);
    founder.client.put("third", &third).await.ok();
    assert!(founder.client.get("/v1/files/third").await.is(200).body == third);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_room_says_what_it_lacks_and_goes_on_when_it_has_some() {
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let member = Home::new().try_start(|config| {
        (config.join, config.quota_bytes) = (Some(ticket.parse().unwrap()), Some(6 * MIB as u64));
    });
    let member = member.await.map_err(|(error, _)| error).unwrap();
    let (old, new) = (content(4 * MIB, 1), content(5 * MIB, 2));
    founder.client.put("old", &old).await.ok();
    member.completes("old").await;
    founder.client.put("new", &new).await.ok();
    until(|| async {
        let transfers = member.client.get("/v1/transfers").await.ok().json()["transfers"].clone();
        transfers[0]["state"] == "blocked"
            && transfers[0]["detail"].as_str().unwrap().contains("are available")
    })
    .await;
    assert!(member.client.get("/v1/files/old").await.is(200).body == old);
    founder.client.delete("/v1/files/old").await.ok();
    until(|| async { member.client.get("/v1/trash").await.ok().json()["trash"][0]["name"] == "old" }).await;
    member.client.delete("/v1/trash").await.ok();
    member.completes("new").await;
    assert!(member.client.get("/v1/files/new").await.is(200).body == new);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_takes_its_limits_from_the_command_line() {
    let args = ["--quota", "1MiB", "--trash-keep", "0s", "--scrub-rate", "off", "--scrub-interval", "1d"];
    let program = Program::start(Home::new(), &args).await;
    let client = program.home.admin();
    client.put("large", &content(2 * MIB, 1)).await.refused(507, "no_space");
    let status = client.get("/v1/status").await.ok().json();
    assert_eq!(status["store"]["quota_bytes"], MIB);
    assert_eq!(
        (&status["scrub"]["rate_bytes_per_second"], &status["scrub"]["interval_seconds"]),
        (&json!(null), &json!(86_400))
    );
    program.terminate().await;
}
