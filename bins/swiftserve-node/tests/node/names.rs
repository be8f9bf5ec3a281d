//! Names that are no file names.

use crate::{client::Client, site::Site, wire::Wire};

/// A name, percent-encoded for a path, and words of the rule that it breaks.
fn bad_names() -> Vec<(String, String, &'static str)> {
    let bad = |name: &str, encoded: &str, rule| (name.to_owned(), encoded.to_owned(), rule);
    vec![
        bad("../x", "..%2Fx", "\"..\""),
        bad("a/../../x", "a%2F..%2F..%2Fx", "\"..\""),
        bad("./x", ".%2Fx", "\".\""),
        bad("/etc/x", "%2Fetc%2Fx", "absolute"),
        bad("a//b", "a//b", "empty part"),
        bad("a/", "a/", "empty part"),
        bad("CON", "CON", "reserved"),
        bad("a/nul.txt", "a/nul.txt", "reserved"),
        bad("a\tb", "a%09b", "control character"),
        bad("a\u{202e}b", "a%E2%80%AEb", "control character"),
        bad("a:b", "a%3Ab", "':'"),
        bad("a.", "a.", "ends in a dot"),
        bad(&"x".repeat(2000), &"x".repeat(2000), "2000 bytes"),
        bad(&"x".repeat(300), &"x".repeat(300), "300 bytes"),
    ]
}

async fn nothing_changed(site: &Site) {
    assert_eq!(site.client.height().await, 0);
    assert_eq!(site.client.names().await, Vec::<String>::new());
    for folder in ["files", "content/objects", "content/uploads"] {
        let listed = site.home.listed(folder);
        assert!(listed.iter().all(|name| name.starts_with('.')), "{folder}: {listed:?}");
    }
}

fn names_the_rule(reason: &str, rule: &str, name: &str) {
    assert!(reason.contains(rule), "{name:?}: {reason:?} does not say {rule:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_name_in_a_form_is_refused_with_the_rule_it_breaks() {
    let site = Site::found().await;
    for (name, _, rule) in bad_names() {
        let answer = site.client.upload(&name, b"content").await;
        assert_eq!(answer.json()["status"], false, "{name:?}");
        names_the_rule(&answer.refused(400, "bad_name"), rule, &name);
    }
    site.client.upload("", b"content").await.is(400);
    nothing_changed(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_name_in_a_path_is_refused_with_the_rule_it_breaks() {
    let site = Site::found().await;
    for (name, encoded, rule) in bad_names() {
        names_the_rule(&site.client.put(&encoded, b"content").await.refused(400, "bad_name"), rule, &name);
    }
    nothing_changed(&site).await;
}

/// Clients resolve `..` before they send; whoever wants to break out does not.
#[tokio::test(flavor = "multi_thread")]
async fn dots_in_a_raw_path_lead_nowhere() {
    let site = Site::found().await;
    for path in ["/v1/files/../x", "/v1/files/a/../../../x", "/v1/files//etc/x"] {
        let mut wire = Wire::connect(site.home.address()).await;
        wire.begin_put(&site.client, path, 7).await;
        wire.send(b"content").await;
        let answer = wire.answer().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert!(answer.contains("bad_name"), "{path}: {answer}");
    }
    nothing_changed(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_found_only_as_it_is_written_and_taken_in_any_case() {
    let site = Site::found().await;
    site.client.put("Notes.txt", b"notes").await.ok();
    for lost in ["notes.txt", "Notes.TXT"] {
        found_nowhere(&site.client, lost).await;
        site.client.put(lost, b"other").await.refused(409, "name_taken");
    }
    // The same name in another normal form of Unicode is the same name.
    site.client.put("caf%C3%A9", b"1").await.ok();
    assert_eq!(site.client.get("/v1/files/cafe%CC%81").await.ok().body, b"1");
}

async fn found_nowhere(client: &Client, name: &str) {
    client.get(&format!("/v1/files/{name}")).await.refused(404, "not_found");
    client.get(&format!("/download?file={name}")).await.refused(404, "not_found");
}
