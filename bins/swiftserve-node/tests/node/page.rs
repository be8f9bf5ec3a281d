//! The page for browsers, as a browser asks for it.

use reqwest::{Method, RequestBuilder};

use crate::{client::answered, site::Site};

const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn opened(site: &Site) -> RequestBuilder {
    site.client.anonymous().request(Method::GET, "/").header("accept", BROWSER)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_the_page_without_a_credential_and_nothing_else() {
    let site = Site::found().await;
    let page = answered(opened(&site)).await.is(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(page.header("vary").contains("accept"), "a cache does not give it to a program");
    let text = page.text();
    let parts: Vec<&str> =
        text.split("\"/web/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(parts.contains(&"app.js") && parts.contains(&"style.css"), "{parts:?}");
    for part in parts {
        site.client.anonymous().get(&format!("/web/{part}")).await.is(200);
    }
    // Nothing of the node is in it.
    let id = site.node.id().to_string();
    assert!(!text.contains(&id) && !text.contains(&id[..10]), "{text}");
    for path in ["/v1/status", "/v1/files", "/v1/nodes", "/v1/events", "/v1/sessions"] {
        let request = site.client.anonymous().request(Method::GET, path).header("accept", BROWSER);
        answered(request).await.refused(401, "unauthorized");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_has_the_page_is_told_that_it_is_still_so() {
    let site = Site::found().await;
    let tag = answered(opened(&site)).await.is(200).header("etag").to_owned();
    let again = answered(opened(&site).header("if-none-match", &tag)).await.is(304);
    assert_eq!((again.body.len(), again.header("etag")), (0, &*tag));
    let site = site.stop().await.start().await;
    answered(opened(&site).header("if-none-match", &tag)).await.is(304);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_not_for_programs_nor_under_a_foreign_name() {
    let site = Site::found().await;
    let program = site.client.anonymous().get("/").await;
    assert!(!program.text().contains("<html"), "{}", program.text());
    let foreign = opened(&site).header("host", "evil.example");
    answered(foreign).await.refused(403, "forbidden");
}
