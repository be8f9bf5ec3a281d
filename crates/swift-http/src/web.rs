//! The dashboard: a page and what it is made of, the same for everybody.
//!
//! Nothing in them is secret, so they are given out without a credential. What the page shows it asks of `/v1`, as
//! whoever is signed in.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{
    entry::entry_points,
    openapi::{Body, Operation, Who, get, text},
    problem::Problem,
    services::Services,
};

/// What the page may load and do: nothing from elsewhere, nothing inline, and no text is ever made into markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Bytes of a content's hash in its tag.
const TAG_LEN: usize = 16;

macro_rules! assets {
    ($($name:literal $kind:ident),+ $(,)?) => {
        &[$(Asset { name: $name, kind: Kind::$kind, content: include_bytes!(concat!("../web/", $name)) }),+]
    };
}

/// The page itself.
const PAGE: &str = "index.html";

const ASSETS: &[Asset] = assets![
    "index.html" Page,
    "style.css" Style,
    "icon.svg" Image,
    "actions.js" Script,
    "api.js" Script,
    "app.js" Script,
    "dialog.js" Script,
    "dom.js" Script,
    "file.js" Script,
    "files.js" Script,
    "format.js" Script,
    "ledger.js" Script,
    "live.js" Script,
    "nodes.js" Script,
    "overview.js" Script,
    "signin.js" Script,
    "throughput.js" Script,
    "transfers.js" Script,
    "uploader.js" Script,
    "uploads.js" Script,
    "verify.js" Script,
];

struct Asset {
    name: &'static str,
    kind: Kind,
    content: &'static [u8],
}

#[derive(Clone, Copy)]
enum Kind {
    Page,
    Style,
    Script,
    Image,
}

impl Kind {
    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Page => "text/html; charset=utf-8",
            Self::Style => "text/css; charset=utf-8",
            Self::Script => "text/javascript; charset=utf-8",
            Self::Image => "image/svg+xml",
        })
    }
}

/// The assets with their tags.
#[derive(Clone)]
struct Assets(Arc<[(&'static Asset, HeaderValue)]>);

impl Assets {
    /// Hashes what is embedded.
    fn new() -> Self {
        let tagged = |asset: &'static Asset| {
            let digest = Sha256::digest(asset.content);
            let tag = format!("\"{}\"", HEXLOWER.encode(&digest[..TAG_LEN]));
            // Quotes and hexadecimal digits: always a header's value.
            HeaderValue::try_from(tag).ok().map(|tag| (asset, tag))
        };
        Self(ASSETS.iter().filter_map(tagged).collect())
    }

    fn answer(&self, name: &str, asked: &HeaderMap) -> Option<Response> {
        let (asset, tag) = self.0.iter().find(|(asset, _)| asset.name == name)?;
        let mut response = if is_known(asked, tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, asset.kind.media_type())], asset.content).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, tag.clone());
        // Whoever has it asks whether it is still so: a node that was brought up to date shows its own page at once.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        Some(response)
    }
}

/// Whether the caller has it already.
fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let tags = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes())
}

/// Whether the caller is a browser that opens `/`, and not a program.
pub(crate) fn wants_page(asked: &HeaderMap) -> bool {
    let kinds = asked.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds =
        kinds.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or(kind));
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

/// The page, on the path where programs find the entry points, and its parts.
pub(crate) fn operations() -> Vec<Operation> {
    let assets = Assets::new();
    let page = assets.clone();
    let front = async move |services: State<Services>, asked: HeaderMap| {
        let page = if wants_page(&asked) { page.answer(PAGE, &asked) } else { None };
        let mut response = match page {
            Some(page) => page,
            None => entry_points(services).await.into_response(),
        };
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
        response
    };
    let part = async move |Path(name): Path<String>, asked: HeaderMap| {
        let found = if name == PAGE { None } else { assets.answer(&name, &asked) };
        found.ok_or_else(|| Problem::not_found("the page has no such part"))
    };
    vec![
        get("/", Who::Anyone, "The entry points, a line for each; a browser gets a page.", front)
            .shows("EntryPoints")
            .gives(200, Body::Of("text/html", text()))
            .gives(304, Body::Empty),
        get("/web/{part}", Who::Anyone, "A part of the page for browsers.", part)
            .header("if-none-match", "a tag: a part that has it is not sent")
            .gives(200, Body::Of("text/javascript", text()))
            .gives(200, Body::Of("text/css", text()))
            .gives(200, Body::Of("image/svg+xml", text()))
            .gives(304, Body::Empty)
            .refuses(&["not_found"]),
    ]
}

#[cfg(test)]
mod tests;
