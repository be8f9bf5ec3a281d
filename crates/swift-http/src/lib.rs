//! The HTTP interface of a SwiftServe node: the routes of the original service and a `/v1` API.
//!
//! [`router`] makes an [`axum::Router`] from [`Services`], a handful of handles. The crate holds no state of its own
//! but tokens, browsers that are signed in, and what clients have asked of late,
//! and opens no socket: whoever accepts connections hands requests to the router and says in their extensions who is
//! calling ([`Caller`](swift_p2p::transport::Caller), [`RemoteAddress`](swift_p2p::transport::RemoteAddress)).
//! Requests without these are taken as those of a local client.
//!
//! `docs/http-api.md` describes every route.
//!
//! # Mount it in a server of your own
//!
//! `swiftserve-node` makes the parts that [`Services`] holds and serves them with
//! [`Listener`](swift_p2p::transport::Listener), which knows nodes by their keys. Any other hyper server does as well:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
//! use hyper_util::rt::TokioIo;
//! use swift_p2p::transport::{Caller, Channel, RemoteAddress};
//! use tower::ServiceExt;
//!
//! async fn serve(services: swift_http::Services) -> std::io::Result<()> {
//!     // The routes of the node, and beside them those of the program.
//!     let app = swift_http::router(services).merge(Router::new().route("/about", get(async || "my program\n")));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     loop {
//!         let (tcp, from) = listener.accept().await?;
//!         let app = app.clone();
//!         let service = service_fn(move |mut request: Request<Incoming>| {
//!             // Who is calling: here a client, in the clear. Without this every caller would count as a local one.
//!             request.extensions_mut().insert(Caller::Client { channel: Channel::Plain });
//!             request.extensions_mut().insert(RemoteAddress(from));
//!             app.clone().oneshot(request)
//!         });
//!         tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
//!     }
//! }
//! ```

mod access;
mod conduct;
mod content;
mod entry;
mod events;
mod ingest;
mod legacy;
mod metrics;
mod openapi;
mod peer;
mod problem;
mod range;
mod secret;
mod services;
mod sessions;
mod tokens;
mod v1;
mod wait;
mod web;

use axum::{
    Extension, Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
};
use http_body::Body as _;

pub use access::{Cidr, CidrError, RequestLimits, RequestRate, RequestRateError};
pub use events::{Events, EventsFeed};
pub use services::{AccessPolicy, Handles, Services};
pub use tokens::{Scope, TokenError, TokenRecord, Tokens};

use openapi::Document;
use problem::Problem;

/// All routes of a node.
pub fn router(services: Services) -> Router {
    let (mut own, original) = (entry::operations(), legacy::operations());
    own.extend(v1::operations());
    own.extend(web::operations());
    let document = Document::of(own.iter().chain(&original));
    openapi::router(own)
        .nest("/peer", peer::router())
        .fallback(async || Problem::not_found("there is no such route; see /openapi.json"))
        .method_not_allowed_fallback(not_allowed)
        .layer(Extension(document))
        .layer(middleware::map_response(problem::of_rejection))
        .layer(middleware::from_fn_with_state(services.clone(), access::identify))
        // These find out who is calling by themselves: their refusals have a shape of their own.
        .merge(legacy::router(&services, original))
        .layer(middleware::from_fn_with_state(services.clone(), access::make_room))
        .layer(middleware::from_fn_with_state(services.clone(), conduct::watch))
        .layer(middleware::from_fn_with_state(services.clone(), metrics::count))
        .layer(middleware::from_fn(say_close))
        .with_state(services)
}

/// Bodies up to this length are read to their end even if they are refused.
const READ_ANYWAY_LEN: u64 = 16 * 1024;

/// A refusal can come before the body that it refuses. The connection then ends with it, and a client that is not told
/// sends its next request into the void.
async fn say_close(request: Request, next: Next) -> Response {
    let is_short = request.body().size_hint().upper().is_some_and(|len| len <= READ_ANYWAY_LEN);
    let mut response = next.run(request).await;
    if !is_short && (response.status().is_client_error() || response.status().is_server_error()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A route is asked in a way that it does not know.
async fn not_allowed() -> Problem {
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method_not_allowed", "this route does not take this method")
}

/// Readers of what comes from outside, for those who attack them; no part of the interface.
#[doc(hidden)]
pub mod untrusted {
    use std::ops::Range;

    use axum::{
        body::Body,
        extract::{FromRequest as _, Multipart, Request},
        http::{HeaderMap, HeaderValue, header},
    };
    use futures_util::FutureExt as _;

    /// The parts of a file that a `Range` header asks for.
    pub fn range(value: &[u8], len: u64) -> Vec<Range<u64>> {
        let Some(headers) = headers(header::RANGE, value) else { return Vec::new() };
        crate::range::wanted(&headers, len, "\"tag\"").parts(len)
    }

    /// The token in an `Authorization` header.
    pub fn bearer(value: &[u8]) -> Option<String> {
        let headers = headers(header::AUTHORIZATION, value)?;
        match crate::access::Credential::of(&headers, "").ok()? {
            crate::access::Credential::Bearer(token) => Some(token.to_owned()),
            crate::access::Credential::None | crate::access::Credential::Session(_) => None,
        }
    }

    /// The name in a form of the original service.
    pub fn offer_form(body: &[u8]) -> Option<String> {
        let request = posted("application/x-www-form-urlencoded", body)?;
        crate::legacy::form_name(request).now_or_never()?
    }

    /// The name of the first file in a form whose boundary is `b`.
    pub fn multipart_name(body: &[u8]) -> Option<String> {
        let request = posted("multipart/form-data; boundary=b", body)?;
        let first = async {
            let mut form = Multipart::from_request(request, &()).await.ok()?;
            form.next_field().await.ok()?.and_then(|field| field.file_name().map(str::to_owned))
        };
        first.now_or_never()?
    }

    fn headers(name: header::HeaderName, value: &[u8]) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value).ok()?);
        Some(headers)
    }

    fn posted(content_type: &str, body: &[u8]) -> Option<Request> {
        let request = Request::post("/").header(header::CONTENT_TYPE, content_type);
        request.body(Body::from(body.to_vec())).ok()
    }
}
