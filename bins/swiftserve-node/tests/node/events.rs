//! Watching a node.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    client::{Client, soon},
    site::{Home, Site},
};

/// A stream of events as a browser reads it.
struct Watch {
    response: Response,
    text: String,
}

/// Id, type and data.
type Event = (String, String, Value);

impl Watch {
    async fn of(client: &Client, query: &str, last_id: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, &format!("/v1/events{query}"));
        if let Some(last_id) = last_id {
            request = request.header("last-event-id", last_id);
        }
        let response = soon(request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event; none at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let event = field("event: ").map(|kind| {
                    (field("id: ").unwrap(), kind, serde_json::from_str(&field("data: ").unwrap()).unwrap())
                });
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            match soon(self.response.chunk()).await {
                Ok(Some(piece)) => self.text.push_str(std::str::from_utf8(&piece).unwrap()),
                Ok(None) => return None,
                Err(error) => panic!("the stream broke: {error}"),
            }
        }
    }

    async fn until(&mut self, is_it: impl Fn(&str, &Value) -> bool) -> Event {
        loop {
            let event = self.next().await.expect("the stream ended");
            if is_it(&event.1, &event.2) {
                return event;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_sees_blocks_and_files_and_misses_nothing_when_it_comes_back() {
    let site = Site::found().await;
    let mut watch = Watch::of(&site.client, "?types=ledger,file", None).await;
    site.client.put("dir/a", b"one").await.ok();
    let (_, kind, data) = watch.next().await.unwrap();
    assert_eq!((kind.as_str(), &data["height"], &data["transactions"]), ("ledger", &json!(1), &json!(1)));
    let (id, _, data) = watch.until(|kind, data| kind == "file" && data["height"] == 1).await;
    let file = &data["files"][0];
    assert_eq!(
        (&file["change"], &file["name"], &file["on_behalf_of"]),
        (&json!("added"), &json!("dir/a"), &json!("admin"))
    );
    drop(watch);
    site.client.put("dir/a?replace", b"two").await.ok();
    site.client.delete("/v1/files/dir/a").await.ok();
    let mut again = Watch::of(&site.client, "?types=file", Some(&id)).await;
    for change in ["replaced", "removed"] {
        let is_of_ledger = |_: &str, data: &Value| !data["height"].is_null();
        let (_, kind, data) = again.until(is_of_ledger).await;
        assert_eq!((kind.as_str(), &data["files"][0]["change"]), ("file", &json!(change)));
    }
    let mut stranger = Watch::of(&site.client, "", Some("1-1")).await;
    let (_, kind, data) = stranger.next().await.unwrap();
    assert_eq!((kind.as_str(), &data["reason"]), ("reset", &json!("too_old")));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_whole_files_are_told_where_they_arrive() {
    let founder = Site::found().await;
    let mut nodes = Watch::of(&founder.client, "?types=node", None).await;
    let member = Site::join(&founder.invite().await).await;
    let id = json!(member.node.id().to_string());
    for change in ["joined", "online"] {
        nodes.until(|_, data| data["change"] == change && data["node_id"] == id).await;
    }
    let mut files = Watch::of(&member.client, "?types=file", None).await;
    founder.client.put("a", b"content").await.ok();
    let (_, _, data) = files.until(|_, data| data["files"][0]["change"] == "complete").await;
    assert_eq!(data["files"][0]["name"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_is_for_admins_and_types_are_known_ones() {
    let site = Site::found().await;
    let reader = site.client.scoped("reader", &["read"]).await;
    reader.get("/v1/events?types=security").await.refused(403, "forbidden");
    reader.get("/v1/events?types=weather").await.refused(400, "bad_request");
    site.client.anonymous().get("/v1/events").await.refused(401, "unauthorized");
    let (mut all, mut some) = (Watch::of(&site.client, "", None).await, Watch::of(&reader, "", None).await);
    site.client.with_token("sst_wrong").get("/v1/status").await.is(401);
    // Who was refused before may be told of only now.
    all.until(|kind, data| kind == "security" && data["kind"] == "bad_token").await;
    site.client.put("a", b"1").await.ok();
    assert_eq!(some.next().await.unwrap().1, "ledger", "the reader saw something before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_is_told_while_it_moves() {
    let founder = Site::found().await;
    let home = Home::new();
    let ticket = founder.invite().await.parse().unwrap();
    let slow = home.try_start(|config| {
        config.join = Some(ticket);
        config.limits.down = "1MiB/s".parse().ok();
    });
    let member = slow.await.map_err(|(error, _)| error).unwrap();
    let mut watch = Watch::of(&member.client, "?types=transfer", None).await;
    founder.client.put("a", &crate::site::content(12 << 20, 1)).await.ok();
    let (_, _, data) = watch.until(|_, data| data["transfers"][0]["done_bytes"].as_u64() > Some(0)).await;
    let row = &data["transfers"][0];
    assert_eq!(
        (&row["direction"], &row["file"], &row["total_bytes"]),
        (&json!("in"), &json!("a"), &json!(12 << 20))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_streams_and_is_not_held_up_by_them() {
    let site = Site::found().await;
    let mut watch = Watch::of(&site.client, "", None).await;
    let (home, end) = tokio::join!(site.stop(), async { while watch.next().await.is_some() {} });
    let () = end;
    // All of the folder is free.
    home.start().await;
}
