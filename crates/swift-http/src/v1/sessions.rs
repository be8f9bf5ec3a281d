//! `/v1/sessions` and `/v1/dashboard`: browsers sign in and out.

use axum::{
    Extension, Json,
    extract::{State, rejection::JsonRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use serde::Deserialize;
use serde_json::{Value, json};
use swift_p2p::{driver::wall_clock_ms, security::SecurityKind};

use super::object::Object;
use crate::{
    access::{Access, AdminOnly, Allowed, Credential, Source, cookie_name, failed, require_safe},
    ingest::random,
    problem::Problem,
    services::Services,
    sessions::SESSION_MS,
    tokens::TokenRecord,
};

/// No body of a sign-in is longer.
pub(super) const SIGN_IN_LEN_MAX: usize = 1024;

/// A secret that is exchanged for a session. Not for printing.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignIn {
    /// Of a one-time address.
    Secret(String),
    /// Of somebody who has a token.
    Token(String),
}

pub(super) async fn sign_in(
    State(services): State<Services>,
    source: Option<Extension<Source>>,
    body: Result<Json<Object<SignIn>>, JsonRejection>,
) -> Result<impl IntoResponse, Problem> {
    let source = of_client(source)?;
    require_safe(&services, &source)?;
    // The reason would repeat what was sent.
    let Json(Object(shown)) = body.map_err(|_| {
        Problem::bad_request(
            "the body is to be {\"secret\": \"...\"} of a sign-in address, or {\"token\": \"...\"}",
        )
    })?;
    let (now_ms, sessions) = (wall_clock_ms(), services.sessions());
    let opened = match shown {
        SignIn::Secret(secret) => sessions.redeem(secret.trim(), random()?, now_ms),
        SignIn::Token(token) => sessions.sign_in(&services.tokens, token.trim(), random()?, now_ms),
    };
    let found = opened.and_then(|secret| {
        let grant = sessions.find(&services.tokens, &secret, now_ms)?;
        Some((secret, grant))
    });
    let Some((secret, grant)) = found else {
        return Err(failed(
            &services,
            &source,
            "this does not sign anybody in: a sign-in address works once and for ten minutes (`swiftctl dashboard` makes \
             another), a token until it is revoked or expires",
        ));
    };
    let from = source.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
    services.security.record(SecurityKind::SignIn, grant.label.as_str(), format_args!("from {from}"));
    let cookie = cookie(&services, &source, &secret, SESSION_MS / 1000)?;
    Ok((StatusCode::CREATED, cookie, Json(about(&grant))))
}

/// Who is signed in, and what that allows.
pub(super) async fn show(Extension(access): Extension<Access>) -> Result<impl IntoResponse, Problem> {
    let grant = access.token()?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(about(grant))))
}

pub(super) async fn sign_out(
    State(services): State<Services>,
    source: Option<Extension<Source>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let source = of_client(source)?;
    let name = cookie_name(&services.key.id(), &source);
    let was_signed_in = match Credential::of(&headers, &name)? {
        Credential::Session(secret) => services.sessions().sign_out(secret),
        Credential::Bearer(_) | Credential::None => return Err(Problem::unauthorized("nobody is signed in")),
    };
    let cookie = cookie(&services, &source, "", 0)?;
    Ok((cookie, Json(json!({ "status": true, "already": !was_signed_in }))))
}

/// Nodes have no browsers.
fn of_client(source: Option<Extension<Source>>) -> Result<Source, Problem> {
    source.map(|Extension(source)| source).ok_or_else(|| Problem::forbidden("a node does not sign in"))
}

/// A new one-time address.
pub(super) async fn invite(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
) -> Result<impl IntoResponse, Problem> {
    let (url, expires_ms) = services.invite_browser(random()?, wall_clock_ms());
    let answer = Json(json!({ "url": url, "expires_ms": expires_ms }));
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], answer))
}

fn about(grant: &TokenRecord) -> Value {
    json!({ "label": grant.label, "scopes": grant.scopes, "expires_ms": grant.expires_ms })
}

/// No script can read it, and no page of another site makes a browser send it.
fn cookie(
    services: &Services,
    source: &Source,
    secret: &str,
    seconds: u64,
) -> Result<AppendHeaders<[(header::HeaderName, HeaderValue); 2]>, Problem> {
    let name = cookie_name(&services.key.id(), source);
    let secure = if source.channel.is_private() { "; Secure" } else { "" };
    let text = format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut value = HeaderValue::try_from(text).map_err(|error| Problem::internal(&error))?;
    value.set_sensitive(true);
    let no_store = HeaderValue::from_static("no-store");
    Ok(AppendHeaders([(header::SET_COOKIE, value), (header::CACHE_CONTROL, no_store)]))
}
