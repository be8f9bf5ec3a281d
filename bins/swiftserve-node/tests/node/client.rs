//! A client of one node, and what it is answered.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;

/// Prints what was measured, as a line of JSON for whoever runs a test with `--nocapture`. Nothing is asserted of it: machines
/// are busy.
pub(crate) fn measured(what: &str, values: &Value) {
    println!("{}", serde_json::json!({ "measured": what, "values": values }));
}

/// Fails a test whose event never comes. Nothing that works takes nearly as long.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), event).await.expect("the event never came")
}

/// Waits for what only looking can tell.
pub(crate) async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    soon(async {
        while !is_so().await {
            // tidy: sleep-ok because another process can only be looked at
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Asks one node, with a token or without.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    node: SocketAddr,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(node: SocketAddr, token: Option<String>) -> Self {
        // The HTTP library wants to know its TLS, which is not spoken here: one that trusts nobody.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { http, node, token }
    }

    /// The same node, asked with this token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same node, asked without credentials.
    pub(crate) fn anonymous(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The token's text.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// A request that `path` completes; `path` is percent-encoded where it must be.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("http://{}{path}", self.node));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answered(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        answered(self.request(Method::POST, path).body(body)).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        answered(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        answered(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn set(&self, path: &str, body: &Value) -> Answer {
        answered(self.request(Method::PUT, path).json(body)).await
    }

    /// Puts nothing, and waits for the answer.
    pub(crate) async fn mark(&self, path: &str) -> Answer {
        answered(self.request(Method::PUT, path)).await
    }

    pub(crate) async fn put_json(&self, path: &str, body: &Value) -> Answer {
        answered(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        answered(self.request(Method::DELETE, path)).await
    }

    /// `PUT /v1/files/NAME`; a query may follow the name.
    pub(crate) async fn put(&self, name: &str, content: &[u8]) -> Answer {
        let request = self.request(Method::PUT, &format!("/v1/files/{name}"));
        answered(request.body(content.to_vec())).await
    }

    /// `POST /upload` with one file in a form.
    pub(crate) async fn upload(&self, name: &str, content: &[u8]) -> Answer {
        let (content_type, body) = form(name, content);
        answered(self.request(Method::POST, "/upload").header("content-type", content_type).body(body)).await
    }

    /// A download that may break off; see [`received`].
    pub(crate) async fn received(&self, path: &str) -> (u16, Vec<u8>, bool) {
        received(self.request(Method::GET, path)).await
    }

    /// `GET /v1/files/NAME?meta`.
    pub(crate) async fn record(&self, name: &str) -> Value {
        self.get(&format!("/v1/files/{name}?meta")).await.ok().json()
    }

    /// The names of all live files.
    pub(crate) async fn names(&self) -> Vec<String> {
        let files = self.get("/v1/files").await.ok().json();
        let rows = files["files"].as_array().unwrap().clone();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The height of the head.
    pub(crate) async fn height(&self) -> u64 {
        self.get("/topBlockNumber").await.ok().text().parse().unwrap()
    }

    /// A client with a new token of this node.
    pub(crate) async fn scoped(&self, label: &str, scopes: &[&str]) -> Self {
        let wanted = serde_json::json!({ "label": label, "scopes": scopes });
        let made = self.post_json("/v1/tokens", &wanted).await.ok().json();
        self.with_token(made["token"].as_str().unwrap())
    }
}

/// A form with one field, `file`, as browsers and curl send it.
pub(crate) fn form(name: &str, content: &[u8]) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "a-boundary-of-the-specification";
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let body = [head.as_bytes(), content, tail.as_bytes()].concat();
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// Sends and reads to the end.
pub(crate) async fn answered(request: RequestBuilder) -> Answer {
    let response = soon(request.send()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = soon(response.bytes()).await.unwrap().to_vec();
    Answer { status, headers, body }
}

/// The status, what arrives of a body that may break off, and whether it came to its end.
pub(crate) async fn received(request: RequestBuilder) -> (u16, Vec<u8>, bool) {
    let mut response = soon(request.send()).await.unwrap();
    let (status, mut bytes) = (response.status().as_u16(), Vec::new());
    loop {
        match soon(response.chunk()).await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return (status, bytes, true),
            Err(_) => return (status, bytes, false),
        }
    }
}

/// What a node answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Fails, and shows why, unless the answer has this status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Fails, and shows why, unless it is a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(
            (200..300).contains(&self.status),
            "{}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// Fails unless it is a refusal with this status and code that gives a reason; the reason.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> String {
        let answer = self.is(status);
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{problem}");
        problem["reason"].as_str().expect("a refusal gives its reason").to_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("no JSON")
    }

    #[track_caller]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// A header's value, empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
