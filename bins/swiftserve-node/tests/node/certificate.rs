//! An operator's own certificate for browsers, on the port of nodes and plain clients.

use std::{fs, net::SocketAddr, sync::Arc};

use reqwest::Method;
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use swiftserve_node::CertificateFiles;

use crate::{
    client::{answered, until},
    program::{Program, fails},
    site::{Home, Site},
};

/// A certificate for `localhost` and its P-256 key, good for a hundred years.
const CERTIFICATE: &str = include_str!("../../../../crates/swift-p2p/tests/transport/operator.cert.pem");
const KEY: &str = include_str!("../../../../crates/swift-p2p/tests/transport/operator.key.pem");
/// The same with an RSA key.
const RENEWED_CERTIFICATE: &str = include_str!("renewed.cert.pem");
const RENEWED_KEY: &str = include_str!("renewed.key.pem");

fn write(home: &Home, chain: &str, key: &str) -> CertificateFiles {
    let files = CertificateFiles { chain: home.path("tls.cert"), key: home.path("tls.key") };
    fs::write(&files.chain, chain).unwrap();
    fs::write(&files.key, key).unwrap();
    files
}

/// A browser that trusts this certificate and no other, and finds `localhost` at the node.
fn browser(certificate: &str, node: SocketAddr) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let tls =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let client =
        reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().resolve("localhost", node);
    client.build().unwrap()
}

fn url(node: SocketAddr, path: &str) -> String {
    format!("https://localhost:{}{path}", node.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_served_over_tls_and_everybody_else_as_before() {
    let home = Home::new();
    let files = write(&home, CERTIFICATE, KEY);
    let site =
        home.try_start(|config| config.clients.certificate = Some(files)).await.map_err(|(error, _)| error);
    let site = site.unwrap();
    let at = site.home.address();
    let browser = browser(CERTIFICATE, at);
    let status = browser.get(url(at, "/v1/status")).bearer_auth(site.client.token());
    answered(status).await.is(200);
    site.client.get("/v1/status").await.is(200);
    Site::join(&site.invite().await).await.stop().await;

    // What signs a browser in is for TLS now, and stays there.
    let address = site.node.sign_in_address();
    assert!(address.starts_with("https://127.0.0.1:"), "{address}");
    let secret = address.split_once("#signin=").unwrap().1;
    let sign_in = browser.post(url(at, "/v1/sessions")).header("origin", url(at, ""));
    let answer = answered(sign_in.json(&json!({ "secret": secret }))).await.is(201);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with(&format!("__Host-swift-{}=", site.node.id().short())), "{cookie}");
    assert!(cookie.contains("; Secure"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    answered(browser.get(url(at, "/v1/status")).header("cookie", cookie)).await.is(200);
    let in_clear = site.client.anonymous().request(Method::GET, "/v1/status").header("cookie", cookie);
    answered(in_clear).await.refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_serve_are_named_at_the_start() {
    let home = Home::new();
    let folder = home.path("data");
    for (chain, key, says) in [
        ("no certificate", KEY, "there is no certificate"),
        (CERTIFICATE, "no key", "the key"),
        (CERTIFICATE, RENEWED_KEY, "cannot be used"),
        ("", "", "cannot be used"),
    ] {
        let files = write(&home, chain, key);
        let [chain, key] = [&files.chain, &files.key].map(|path| path.to_str().unwrap());
        let port = home.port().to_string();
        let args =
            ["--data-dir", folder.to_str().unwrap(), "--port", &port, "--tls-cert", chain, "--tls-key", key];
        let stderr = fails(&args).await;
        assert!(
            stderr.contains("tls.cert") && stderr.contains("tls.key") && stderr.contains(says),
            "{stderr}"
        );
        assert!(!stderr.contains("PRIVATE KEY"), "{stderr}");
    }
    let files = write(&home, CERTIFICATE, KEY);
    let stderr = fails(&["--tls-cert", files.chain.to_str().unwrap(), "--tls-key", "/nonexistent/key"]).await;
    assert!(stderr.contains("/nonexistent/key"), "{stderr}");
    assert!(!folder.exists(), "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_read_on_sighup_and_a_broken_one_changes_nothing() {
    let home = Home::new();
    let files = write(&home, CERTIFICATE, KEY);
    let at = home.address();
    let [chain, key] = [&files.chain, &files.key].map(|path| path.to_str().unwrap().to_owned());
    let mut program = Program::start(home, &["--tls-cert", &chain, "--tls-key", &key]).await;
    let serves = async |certificate: &str| {
        // Anew each time: a connection that is open keeps what it began with.
        browser(certificate, at).get(url(at, "/healthz")).send().await.is_ok()
    };
    assert!(serves(CERTIFICATE).await && !serves(RENEWED_CERTIFICATE).await);
    write(&program.home, RENEWED_CERTIFICATE, KEY);
    program.signal(Signal::HUP);
    write(&program.home, RENEWED_CERTIFICATE, RENEWED_KEY);
    program.signal(Signal::HUP);
    until(|| serves(RENEWED_CERTIFICATE)).await;
    write(&program.home, "broken", "broken");
    program.signal(Signal::HUP);
    assert!(serves(RENEWED_CERTIFICATE).await);
    program.signal(Signal::TERM);
    let (status, stderr) = program.ended().await;
    assert!(status.success(), "{status}: {stderr}");
}
