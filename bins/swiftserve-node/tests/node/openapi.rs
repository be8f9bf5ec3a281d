//! `/openapi.json` says what a real node does: every operation in it is asked for, and what is answered is compared.

mod document;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    client::{Answer, answered, form, soon, until},
    site::{Site, content},
};
use document::Api;

/// A file that is on its way to the second node for as long as the test takes.
const LONG_LEN: usize = 24 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_document_answers_as_it_says() {
    let founder = Site::found_with(|config| config.limits.up = Some("10KiB/s".parse().unwrap())).await;
    let member = Site::join(&founder.invite().await).await;
    let mut api = Api::of(&founder).await;
    let client = founder.client.clone();
    nobody_in_particular(&mut api, &founder).await;
    files(&mut api, &founder).await;
    trash_and_proof(&mut api, &founder).await;
    ledger(&mut api, &founder).await;
    original(&mut api, &founder).await;
    what_is_kept(&mut api, &founder).await;
    tokens_and_sessions(&mut api, &founder).await;
    on_its_way(&mut api, &founder, &member).await;
    let me = member.node.id();
    api.get("/v1/nodes", "/v1/nodes?limit=1", 200).await;
    api.get("/v1/peers", "/v1/peers", 200).await;
    api.send(Method::POST, "/v1/invites", "/v1/invites", &json!({"role": "reader", "expires_s": 60}), 200)
        .await;
    api.send(Method::POST, "/v1/invites", "/v1/invites?qr", &json!({}), 200).await;
    api.send(Method::POST, "/v1/invites", "/v1/invites", &json!({"expires_s": 0}), 400).await;
    let path = format!("/v1/nodes/{me}");
    api.send(Method::PATCH, "/v1/nodes/{id}", &path, &json!({"role": "reader"}), 200).await;
    api.send(Method::PATCH, "/v1/nodes/{id}", &path, &json!({"weight": 0}), 200).await;
    api.ask("/v1/nodes/{id}", client.request(Method::DELETE, &path), 200).await;
    api.ask("/v1/nodes/{id}", client.request(Method::DELETE, &format!("{path}?wait=soon")), 400).await;
    let removed = client.request(Method::PATCH, &path).json(&json!({"role": "admin"}));
    api.ask("/v1/nodes/{id}", removed, 409).await;
    api.get("/v1/transactions", "/v1/transactions", 200).await;
    api.get("/v1/blocks", "/v1/blocks", 200).await;
    assert_eq!(api.left(), [""; 0], "nobody asked for these operations");
}

/// Values without names were once taken in the order in which a field happens to be declared.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_which_values_have_no_names_is_refused() {
    let site = Site::found().await;
    let api = Api::of(&site).await;
    let me = site.node.id().to_string();
    let operations = api.that_take_json();
    assert!(operations.len() > 8, "{operations:?}");
    for (method, path) in operations {
        let target = path.replace("{name}", "a").replace("{id}", &me);
        for body in [json!([]), json!([null, null, null]), json!("a")] {
            let answer = answered(site.client.request(method.clone(), &target).json(&body)).await;
            assert_eq!(answer.status, 400, "{method} {path} took {body}: {}", answer.text());
        }
    }
}

/// What anybody may ask, without a credential.
async fn nobody_in_particular(api: &mut Api, site: &Site) {
    let stranger = site.client.anonymous();
    for path in ["/", "/openapi.json", "/healthz", "/readyz", "/key"] {
        api.ask(path, stranger.request(Method::GET, path), 200).await;
    }
    let tag = stranger.get("/openapi.json").await.ok().header("etag").to_owned();
    let again = stranger.request(Method::GET, "/openapi.json").header("if-none-match", tag);
    api.ask("/openapi.json", again, 304).await;
    api.ask("/v1/status", stranger.request(Method::GET, "/v1/status"), 401).await;
    api.ask("/topBlockNumber", stranger.request(Method::GET, "/topBlockNumber"), 401).await;
    let page = stranger.request(Method::GET, "/").header("accept", "text/html");
    api.ask("/", page, 200).await;
    for part in ["app.js", "style.css", "icon.svg"] {
        api.ask("/web/{part}", stranger.request(Method::GET, &format!("/web/{part}")), 200).await;
    }
    api.ask("/web/{part}", stranger.request(Method::GET, "/web/other.js"), 404).await;
    api.get("/v1/status", "/v1/status?copies", 200).await;
    api.get("/metrics", "/metrics", 200).await;
}

async fn files(api: &mut Api, site: &Site) {
    let (client, path) = (&site.client, "/v1/files/{name}");
    let to = |method: Method, rest: &str| client.request(method, &format!("/v1/files/{rest}"));
    let put = |rest: &str, body: &'static str| to(Method::PUT, rest).body(body);
    api.ask(path, put("dir/a", "one"), 200).await;
    // The ledger may have decided before it is answered.
    let queued = answered(put("b?wait=none", "two")).await;
    let status = if queued.json()["final"] == true { 200 } else { 202 };
    api.check("put", path, &queued, status);
    until(|| async { answered(to(Method::HEAD, "b")).await.status == 200 }).await;
    api.ask(path, put("dir/a", "another"), 409).await;
    api.ask(path, put("dir/a", "another").header("if-none-match", "*"), 412).await;
    api.ask(path, put("..%2Fa", "x"), 400).await;
    let tag = api.ask(path, to(Method::GET, "dir/a"), 200).await.header("etag").to_owned();
    api.ask(path, to(Method::GET, "dir/a").header("range", "bytes=1-"), 206).await;
    api.ask(path, to(Method::GET, "dir/a").header("range", "bytes=9-"), 416).await;
    api.ask(path, to(Method::GET, "dir/a").header("if-none-match", &tag), 304).await;
    api.ask(path, to(Method::GET, "dir/a?meta"), 200).await;
    api.ask(path, to(Method::GET, "dir/a?copies"), 200).await;
    api.ask(path, to(Method::GET, "dir/a?holders"), 200).await;
    api.ask(path, to(Method::GET, "nothing"), 404).await;
    api.ask(path, to(Method::HEAD, "dir/a"), 200).await;
    api.ask(path, put("dir/a", "new").header("if-match", "\"other\""), 412).await;
    api.ask(path, put("dir/a", "new").header("if-match", &tag), 200).await;
    api.ask(path, to(Method::DELETE, "dir/a").header("if-match", &tag), 412).await;
    api.ask(path, to(Method::DELETE, "dir/a"), 200).await;
    api.ask(path, to(Method::DELETE, "dir/a"), 404).await;
    for query in ["", "?sort=size&order=desc&limit=1", "?search=B&copies"] {
        api.get("/v1/files", &format!("/v1/files{query}"), 200).await;
    }
    api.get("/v1/files", "/v1/files?sort=age", 400).await;
    api.get("/v1/files", "/v1/files?after=%2F", 400).await;
}

async fn trash_and_proof(api: &mut Api, site: &Site) {
    let restored = json!({"name": "dir/a", "as": "restored"});
    until(|| async {
        !site.client.get("/v1/trash").await.ok().json()["trash"].as_array().unwrap().is_empty()
    })
    .await;
    api.get("/v1/trash", "/v1/trash", 200).await;
    api.send(Method::POST, "/v1/trash", "/v1/trash", &restored, 200).await;
    api.send(Method::POST, "/v1/trash", "/v1/trash", &json!({"name": "never"}), 404).await;
    api.ask("/v1/trash", site.client.request(Method::DELETE, "/v1/trash"), 200).await;
    api.get("/v1/proof", "/v1/proof?name=restored", 200).await;
    api.get("/v1/proof", "/v1/proof", 400).await;
}

async fn ledger(api: &mut Api, site: &Site) {
    api.get("/v1/blocks", "/v1/blocks?from=1&limit=2", 200).await;
    api.get("/v1/blocks/{height}", "/v1/blocks/1", 200).await;
    api.get("/v1/blocks/{height}", "/v1/blocks/99999", 404).await;
    api.get("/v1/blocks/{height}", "/v1/blocks/x", 400).await;
    api.get("/v1/transactions", "/v1/transactions?name=dir/a&limit=2", 200).await;
    api.get("/v1/refusals", "/v1/refusals", 200).await;
    api.get("/v1/evidence", "/v1/evidence", 200).await;
    api.get("/v1/security", "/v1/security", 200).await;
    api.get("/v1/verify", "/v1/verify", 200).await;
    // This one has no end.
    let watched = soon(site.client.request(Method::GET, "/v1/events?types=ledger").send()).await.unwrap();
    let headers = watched.headers().clone();
    let answer = Answer { status: watched.status().as_u16(), headers, body: Vec::new() };
    api.check("get", "/v1/events", &answer, 200);
    api.get("/v1/events", "/v1/events?types=weather", 400).await;
}

async fn original(api: &mut Api, site: &Site) {
    let client = &site.client;
    api.get("/getHash", "/getHash?num=0", 200).await;
    api.get("/getHash", "/getHash", 400).await;
    api.get("/topBlockNumber", "/topBlockNumber", 200).await;
    api.get("/totalBlocks", "/totalBlocks", 200).await;
    api.get("/download", "/download?file=b", 200).await;
    api.ask("/download", client.request(Method::HEAD, "/download?file=b"), 200).await;
    api.get("/download", "/download?file=nothing", 404).await;
    let chain = client.request(Method::POST, "/getBlockDatas").body("num=1");
    let blocks = api.ask("/getBlockDatas", chain, 200).await.body;
    let post = |path: &str, body: Vec<u8>| {
        client.request(Method::POST, path).header("content-type", "application/octet-stream").body(body)
    };
    api.ask("/addBlock", post("/addBlock", blocks), 200).await;
    api.ask("/addBlock", post("/addBlock", vec![1, 2, 3]), 400).await;
    api.ask("/overwriteBlockchain", post("/overwriteBlockchain", Vec::new()), 409).await;
    let (kind, body) = form("uploaded", b"three");
    let upload =
        |body: Vec<u8>| client.request(Method::POST, "/upload").header("content-type", &kind).body(body);
    api.ask("/upload", upload(body), 200).await;
    api.ask("/upload", upload(form("uploaded", b"another").1), 409).await;
    for path in ["/response", "/webhook"] {
        let fields = [("filename", "b"), ("chunk", "1")];
        api.ask(path, client.request(Method::POST, path).form(&fields), 200).await;
        api.ask(path, client.request(Method::POST, path).form(&[("chunk", "x")]), 400).await;
    }
}

async fn what_is_kept(api: &mut Api, site: &Site) {
    let client = &site.client;
    let remove = |path: &str| client.request(Method::DELETE, path);
    api.get("/v1/keep", "/v1/keep", 200).await;
    for rule in [json!(["*.iso"]), json!("all")] {
        api.send(Method::PUT, "/v1/keep", "/v1/keep", &json!({ "keep": rule }), 200).await;
    }
    api.ask("/v1/pins/{name}", client.request(Method::PUT, "/v1/pins/b"), 200).await;
    api.ask("/v1/pins/{name}", client.request(Method::PUT, "/v1/pins/nothing"), 404).await;
    api.get("/v1/pins", "/v1/pins", 200).await;
    api.ask("/v1/pins/{name}", remove("/v1/pins/b"), 200).await;
    api.get("/v1/promises", "/v1/promises", 200).await;
    api.send(Method::POST, "/v1/scrub", "/v1/scrub", &json!({"file": "b", "rate": "none"}), 202).await;
    api.get("/v1/scrub", "/v1/scrub?file=b", 200).await;
    api.get("/v1/limits", "/v1/limits", 200).await;
    api.send(Method::PATCH, "/v1/limits", "/v1/limits", &json!({"down": "1GiB/s", "connections": null}), 200)
        .await;
    let slow = client.request(Method::PATCH, "/v1/limits").json(&json!({"up": 1}));
    api.ask("/v1/limits", slow, 400).await;
}

async fn tokens_and_sessions(api: &mut Api, site: &Site) {
    let client = &site.client;
    let wanted = json!({"label": "ci", "scopes": ["read", "publish"], "expires_s": 60});
    let made = api.send(Method::POST, "/v1/tokens", "/v1/tokens", &wanted, 201).await.json();
    api.send(Method::POST, "/v1/tokens", "/v1/tokens", &wanted, 409).await;
    api.get("/v1/tokens", "/v1/tokens", 200).await;
    let weak = client.with_token(made["token"].as_str().unwrap());
    api.ask("/v1/tokens", weak.request(Method::GET, "/v1/tokens"), 403).await;
    api.ask("/v1/dashboard", client.request(Method::POST, "/v1/dashboard"), 201).await;
    api.get("/v1/sessions", "/v1/sessions", 200).await;
    // Signing in is for browsers: it takes no credential but the one in the body.
    let stranger = client.anonymous();
    let from_page =
        |method: Method| stranger.request(method, "/v1/sessions").header("sec-fetch-site", "same-origin");
    let shown = json!({"token": made["token"]});
    api.takes("post", "/v1/sessions", &shown);
    let signed_in = api.ask("/v1/sessions", from_page(Method::POST).json(&shown), 201).await;
    api.ask("/v1/sessions", from_page(Method::POST).json(&json!({"token": "sst_x"})), 401).await;
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    api.ask("/v1/sessions", from_page(Method::DELETE).header("cookie", cookie), 200).await;
    api.ask("/v1/tokens/{label}", client.request(Method::DELETE, "/v1/tokens/ci"), 200).await;
    api.ask("/v1/tokens/{label}", client.request(Method::DELETE, "/v1/tokens/ci"), 404).await;
}

/// What moves, as both ends tell.
async fn on_its_way(api: &mut Api, founder: &Site, member: &Site) {
    founder.client.put("long", &content(LONG_LEN, 1)).await.ok();
    let rows = |answer: Value, direction: &str| {
        answer["transfers"].as_array().unwrap().iter().any(|row| row["direction"] == direction)
    };
    for (site, direction) in [(founder, "out"), (member, "in")] {
        until(|| async { rows(site.client.get("/v1/transfers").await.ok().json(), direction) }).await;
        let request: RequestBuilder = site.client.request(Method::GET, "/v1/transfers");
        let answer: Answer = api.ask("/v1/transfers", request, 200).await;
        assert!(rows(answer.json(), direction));
    }
    let (path, high) = ("/v1/priorities/{name}", json!({"priority": "high"}));
    let set = |name: &str| {
        member
            .client
            .request(Method::PUT, &format!("/v1/priorities/{name}"))
            .json(&json!({"priority": "high"}))
    };
    api.takes("put", path, &high);
    api.ask(path, set("long"), 200).await;
    api.ask(path, set("nothing"), 404).await;
    let listed = answered(member.client.request(Method::GET, "/v1/priorities")).await;
    assert_eq!(listed.json()["priorities"][0]["name"], "long");
    api.check("get", "/v1/priorities", &listed, 200);
    api.send(Method::PUT, path, "/v1/priorities/b", &high, 409).await;
}
