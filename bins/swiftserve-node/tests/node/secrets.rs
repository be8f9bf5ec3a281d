//! No secret is in what a node says to anybody but its holder.

use reqwest::Method;
use serde_json::json;

use crate::{client::answered, program::Program, site::Home};

/// The loudest log there is, and every way to show a secret, right or wrong.
#[tokio::test(flavor = "multi_thread")]
async fn at_the_loudest_log_level_no_secret_is_in_it() {
    let program = Program::start(Home::new(), &["--log", "trace"]).await;
    let admin = program.home.admin();
    let reader = admin.scoped("reader", &["read"]).await;
    let wrong = "sst_wrongwrongwrongwrongwrongwrongwrongwrongwrongwrongwr";
    let invitation = admin.post("/v1/dashboard", "").await.is(201).json();
    let secret = invitation["url"].as_str().unwrap().split_once("#signin=").unwrap().1.to_owned();
    let signed_in = admin.anonymous().post_json("/v1/sessions", &json!({ "secret": secret })).await.is(201);
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    let (cookie_name, session) = cookie.split_once('=').unwrap();

    let mut shown = 0;
    for token in [admin.token(), reader.token(), wrong, session] {
        let stranger = admin.anonymous();
        for path in
            [&format!("/v1/status?token={token}"), &format!("/download?file={token}"), "/v1/status", "/none"]
        {
            for request in [
                stranger.request(Method::GET, path),
                stranger.request(Method::GET, path).bearer_auth(token),
                stranger.request(Method::GET, path).header("authorization", token),
                stranger
                    .request(Method::GET, path)
                    .header("cookie", format!("{cookie_name}={token}; a={token}")),
                stranger.request(Method::POST, path).bearer_auth(token).body(token.to_owned()),
            ] {
                let answer = answered(request).await;
                let is_echo_of_a_name = path.contains("file=");
                assert!(is_echo_of_a_name || !answer.text().contains(token), "{path}: {}", answer.text());
                shown += 1;
            }
        }
        let body = json!({ "token": token });
        answered(stranger.request(Method::POST, "/v1/sessions").json(&body)).await;
    }
    assert_eq!(shown, 4 * 4 * 5);
    admin.delete("/v1/tokens/reader").await.ok();

    let secrets = [admin.token(), reader.token(), wrong, &secret, session].map(str::to_owned);
    let mut program = program;
    program.signal(rustix::process::Signal::TERM);
    let (status, log) = program.ended().await;
    assert!(status.success(), "{status}");
    assert!(log.contains("a wrong credential"), "the log is not the one that was meant");
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is not loud");
    for secret in secrets {
        let bare = secret.strip_prefix("sst_").unwrap_or(&secret);
        let line = log.lines().find(|line| line.contains(bare));
        assert_eq!(line, None);
    }
}
