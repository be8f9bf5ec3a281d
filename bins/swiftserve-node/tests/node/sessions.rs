//! Browsers sign in, act, and sign out.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::{
    client::{Answer, answered, soon},
    site::Site,
};

/// The secret of a sign-in address.
fn secret_of(url: &str) -> String {
    url.split_once("/#signin=").expect("a sign-in address").1.to_owned()
}

/// A browser on the node's own page.
struct Browser<'s> {
    site: &'s Site,
    origin: String,
    /// `NAME=SECRET`.
    cookie: String,
    /// The whole `Set-Cookie` of the sign-in.
    set_cookie: String,
}

impl<'s> Browser<'s> {
    async fn sign_in(site: &'s Site, shown: &serde_json::Value) -> Result<Self, Answer> {
        let origin = format!("http://{}", site.home.address());
        let request = site.client.anonymous().request(Method::POST, "/v1/sessions");
        let answer = answered(request.header("origin", &origin).json(shown)).await;
        if answer.status != 201 {
            return Err(answer);
        }
        let set_cookie = answer.header("set-cookie").to_owned();
        let cookie = set_cookie.split(';').next().unwrap().to_owned();
        Ok(Self { site, origin, cookie, set_cookie })
    }

    /// A request with the cookie and nothing else that a browser says.
    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.site.client.anonymous().request(method, path).header("cookie", &self.cookie)
    }

    async fn ask(&self, method: Method, path: &str) -> Answer {
        answered(self.bare(method, path).header("origin", &self.origin)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_address_opens_one_session_for_a_browser() {
    let site = Site::found().await;
    let address = site.node.sign_in_address().to_owned();
    assert!(address.starts_with(&format!("http://{}/#signin=", site.home.address())), "{address}");
    let shown = json!({ "secret": secret_of(&address) });
    let browser = Browser::sign_in(&site, &shown).await.ok().unwrap();
    assert!(!format!("{:?}", site.node).contains(&secret_of(&address)), "printing a node shows no secret");
    let name = format!("swift-{}=", site.node.id().short());
    assert!(browser.set_cookie.starts_with(&name), "{}", browser.set_cookie);
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(browser.set_cookie.contains(part), "{}", browser.set_cookie);
    }
    let who = browser.ask(Method::GET, "/v1/sessions").await.ok().json();
    assert_eq!((&who["label"], &who["scopes"]), (&json!("dashboard"), &json!(["admin"])));
    assert_eq!(browser.ask(Method::PUT, "/v1/files/a").await.status, 200);

    let again = Browser::sign_in(&site, &shown).await.err().unwrap();
    assert!(again.refused(401, "unauthorized").contains("once"));

    browser.ask(Method::DELETE, "/v1/sessions").await.ok();
    browser.ask(Method::GET, "/v1/status").await.refused(401, "unauthorized");
    // A cookie that is no longer good is not in the way of the next sign-in.
    let another = site.client.post("/v1/dashboard", "").await.is(201).json();
    let secret = secret_of(another["url"].as_str().unwrap());
    let request = browser.bare(Method::POST, "/v1/sessions").header("origin", &browser.origin);
    answered(request.json(&json!({ "secret": secret }))).await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_signs_a_browser_in_with_what_it_allows_until_it_is_revoked() {
    let site = Site::found().await;
    let reader = site.client.scoped("reader", &["read"]).await;
    let browser = Browser::sign_in(&site, &json!({ "token": reader.token() })).await.ok().unwrap();
    browser.ask(Method::GET, "/v1/status").await.is(200);
    browser.ask(Method::PUT, "/v1/files/a").await.refused(403, "forbidden");
    browser.ask(Method::POST, "/v1/dashboard").await.refused(403, "forbidden");
    site.client.delete("/v1/tokens/reader").await.ok();
    browser.ask(Method::GET, "/v1/status").await.refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_watches_the_node_until_it_is_signed_out() {
    let site = Site::found().await;
    let shown = json!({ "secret": secret_of(site.node.sign_in_address()) });
    let browser = Browser::sign_in(&site, &shown).await.ok().unwrap();
    let mut stream = soon(browser.bare(Method::GET, "/v1/events?types=file").send()).await.unwrap();
    let mut seen = String::new();
    site.client.put("first", b"1").await.ok();
    while !seen.contains("first") {
        let piece = soon(stream.chunk()).await.unwrap().expect("the stream goes on");
        seen.push_str(std::str::from_utf8(&piece).unwrap());
    }
    browser.ask(Method::DELETE, "/v1/sessions").await.is(200);
    site.client.put("second", b"2").await.ok();
    while let Some(piece) = soon(stream.chunk()).await.unwrap() {
        seen.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(!seen.contains("second"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_does_nothing_in_a_session() {
    let site = Site::found().await;
    let shown = json!({ "secret": secret_of(site.node.sign_in_address()) });
    let browser = Browser::sign_in(&site, &shown).await.ok().unwrap();
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        for method in [Method::PUT, Method::DELETE, Method::GET] {
            let request = browser.bare(method, "/v1/files/a").header("origin", origin);
            answered(request).await.refused(403, "forbidden");
        }
    }
    let cross = browser.bare(Method::GET, "/v1/status").header("sec-fetch-site", "cross-site");
    answered(cross).await.refused(403, "forbidden");
    let silent = browser.bare(Method::PUT, "/v1/files/a");
    assert!(answered(silent).await.refused(403, "forbidden").contains("Origin"));
    let foreign = site.client.anonymous().request(Method::POST, "/v1/sessions");
    let foreign = foreign.header("origin", "https://evil.example").json(&shown);
    answered(foreign).await.refused(403, "forbidden");
    assert_eq!(site.client.height().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_makes_sign_in_addresses_and_a_session_does_not_outlive_the_node() {
    let site = Site::found().await;
    let reader = site.client.scoped("reader", &["read", "publish", "remove"]).await;
    reader.post("/v1/dashboard", "").await.refused(403, "forbidden");
    reader.anonymous().post("/v1/dashboard", "").await.refused(401, "unauthorized");
    reader.anonymous().get("/v1/sessions").await.refused(401, "unauthorized");
    let shown = json!({ "secret": secret_of(site.node.sign_in_address()) });
    let browser = Browser::sign_in(&site, &shown).await.ok().unwrap();
    let cookie = browser.cookie;
    let site = site.stop().await.start().await;
    let request = site.client.anonymous().request(Method::GET, "/v1/status").header("cookie", cookie);
    answered(request).await.refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sign_in_is_refused_without_being_repeated() {
    let site = Site::found().await;
    let stranger = site.client.anonymous();
    for body in
        [json!({ "sst_secret": 1 }), json!({ "token": ["sst_secret"] }), json!("sst_secret"), json!({})]
    {
        let answer = stranger.post_json("/v1/sessions", &body).await.is(400);
        assert!(!answer.text().contains("sst_secret"), "{}", answer.text());
    }
    let long = json!({ "token": "x".repeat(10_000) });
    let answer = stranger.post_json("/v1/sessions", &long).await;
    assert!(answer.status >= 400 && answer.status < 500, "{}", answer.status);
}
