//! `/v1/tokens`.

use std::collections::BTreeSet;

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use swift_chain::Label;
use swift_p2p::{driver::wall_clock_ms, security::SecurityKind};

use super::{object::Object, page::PageLen};
use crate::{
    access::{Access, AdminOnly, Allowed},
    ingest::random,
    problem::Problem,
    services::Services,
    tokens::{Scope, TokenError, TokenRecord},
};

/// Tokens in the order of their labels.
#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<u64>,
}

pub(super) async fn list(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let len = PageLen::of(page.limit);
    let mut tokens = services.tokens.list();
    tokens.retain(|token| page.after.as_ref().is_none_or(|after| token.label.as_str() > after.as_str()));
    let next = len.cut(&mut tokens).map(|token| token.label.clone());
    let now_ms = wall_clock_ms();
    let row = |token: TokenRecord| {
        json!({
            "label": token.label, "scopes": token.scopes, "created_ms": token.created_ms,
            "expires_ms": token.expires_ms, "expired": token.has_expired(now_ms),
        })
    };
    let rows: Vec<_> = tokens.into_iter().map(row).collect();
    Ok(Json(json!({ "tokens": rows, "next": next })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    label: Label,
    scopes: BTreeSet<Scope>,
    expires_s: Option<u64>,
}

pub(super) async fn create(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    body: Result<Json<Object<NewToken>>, axum::extract::rejection::JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let by = access.require(Scope::Admin)?.label.clone();
    let Json(Object(new)) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    if new.scopes.is_empty() {
        return Err(Problem::bad_request("a token needs at least one scope"));
    }
    let created_ms = wall_clock_ms();
    // Beyond what the database holds it is never.
    let expires_ms = new.expires_s.map(|seconds| created_ms.saturating_add(seconds.saturating_mul(1000)));
    let expires_ms = expires_ms.filter(|expires_ms| i64::try_from(*expires_ms).is_ok());
    let record = TokenRecord { label: new.label, scopes: new.scopes, created_ms, expires_ms };
    let (tokens, stored, secret) = (services.tokens.clone(), record.clone(), random()?);
    let made = tokio::task::spawn_blocking(move || tokens.create(stored, secret)).await;
    match made.map_err(|error| Problem::internal(&error))? {
        Ok(token) => {
            services.security.record(
                SecurityKind::TokenMade,
                record.label.as_str(),
                told(&record.scopes, &by),
            );
            Ok((
                StatusCode::CREATED,
                Json(json!({
                    "token": token, "label": record.label, "scopes": record.scopes, "expires_ms": record.expires_ms,
                })),
            ))
        }
        Err(
            error @ (TokenError::LabelTaken(_) | TokenError::LabelRetired(_) | TokenError::LabelReserved(_)),
        ) => Err(Problem::conflict("conflict", error.to_string())),
        Err(error @ TokenError::LabelUnseen(_)) => Err(Problem::bad_request(error.to_string())),
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// What a token allows, and who made it.
fn told(scopes: &BTreeSet<Scope>, by: &Label) -> String {
    let scopes: Vec<String> = scopes.iter().map(Scope::to_string).collect();
    format!("scopes {}, by {}", scopes.join(", "), by.as_str())
}

pub(super) async fn revoke(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Path(label): Path<String>,
) -> Result<Json<Value>, Problem> {
    let by = access.require(Scope::Admin)?.label.clone();
    let (tokens, revoked) = (services.tokens.clone(), label.clone());
    let found = tokio::task::spawn_blocking(move || tokens.revoke(&revoked)).await;
    match found.map_err(|error| Problem::internal(&error))? {
        Ok(true) => {
            services.security.record(SecurityKind::TokenRevoked, &label, format!("by {}", by.as_str()));
            Ok(Json(json!({ "status": true, "label": label })))
        }
        Ok(false) => Err(Problem::not_found(format!("there is no token with the label {label:?}"))),
        Err(error) => Err(Problem::internal(&error)),
    }
}
