//! Finds out who is calling, before anything else of a request is looked at.

use std::{net::IpAddr, time::Instant};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use swift_chain::NodeId;
use swift_p2p::{
    driver::wall_clock_ms,
    security::SecurityKind,
    transport::{Caller, Channel, RemoteAddress, Standing},
};

use super::{
    Access,
    credential::{Credential, cookie_name},
    rates::TooMany,
    remote::Source,
    site::{check_host, check_page},
};
use crate::{problem::Problem, services::Services};

/// Puts an [`Access`], and of a client its [`Source`], into the request. Refuses what could come from a page of another
/// site, credentials in the clear, and too many requests.
pub(crate) async fn identify(State(services): State<Services>, mut request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().copied();
    let (channel, peer) = match caller {
        Some(Caller::Node { id, standing }) => {
            let outsider = Outsider::of(id, standing, &request);
            request.extensions_mut().insert(match standing {
                Standing::Member(role) => Access::Member { node: id, role },
                standing => Access::Outsider { removed: standing == Standing::Removed },
            });
            let response = next.run(request).await;
            outsider.filter(|_| !response.status().is_success()).inspect(|outsider| outsider.note(&services));
            return response;
        }
        Some(Caller::Client { channel }) => (channel, address_of(&request)),
        None => (Channel::Plain, None),
    };
    let found = Source::find(peer, channel, request.headers(), &services.policy.trusted_proxies);
    let judged = found.clone().and_then(|source| {
        // A program that knows this node by its key may call it by any name; one that mounts the routes itself, by none.
        let headers = request.headers();
        if channel != Channel::Pinned && (caller.is_some() || headers.contains_key("host")) {
            check_host(request.uri(), headers, &services.policy.host_names)?;
        }
        let cookie = cookie_name(&services.key.id(), &source);
        let credential = Credential::of(headers, &cookie)?;
        check_page(request.method(), headers, &source, &credential)?;
        judge(&services, &source, &credential).map(|access| (access, credential.shown()))
    });
    let (judged, shown) = match judged {
        Ok((access, shown)) => (Ok(access), shown),
        Err(problem) => (Err(problem), None),
    };
    let ip = found.as_ref().ok().and_then(|source| source.ip).or(peer);
    match meter(&services, ip, judged) {
        Ok(access) => {
            if let Ok(source) = found {
                request.extensions_mut().insert(source);
            }
            if let Some(shown) = shown {
                request.extensions_mut().insert(shown);
            }
            request.extensions_mut().insert(access);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn address_of(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<RemoteAddress>().map(|remote| remote.0.ip())
}

fn judge(services: &Services, source: &Source, credential: &Credential<'_>) -> Result<Access, Problem> {
    let now_ms = wall_clock_ms();
    match credential {
        Credential::None => Ok(Access::Anonymous),
        Credential::Bearer(token) => {
            require_safe(services, source)?;
            match services.tokens.find(token, now_ms) {
                Some(token) => Ok(Access::Token(token)),
                None => Err(failed(services, source, "the token is unknown, revoked or expired")),
            }
        }
        Credential::Session(secret) => {
            require_safe(services, source)?;
            // A session ends by itself, and a page cannot take the cookie back: its browser is to sign in again.
            let found = services.sessions().find(&services.tokens, secret, now_ms);
            Ok(found.map_or(Access::Anonymous, Access::Token))
        }
    }
}

/// Counts a request against the limit of who makes it: of a token, else of an address. So nobody is kept out by what
/// others do at the same address.
fn meter(
    services: &Services,
    ip: Option<IpAddr>,
    judged: Result<Access, Problem>,
) -> Result<Access, Problem> {
    let (now, rates) = (Instant::now(), services.rates());
    match (&judged, ip) {
        (Ok(Access::Token(token)), _) => rates.token(&token.label, now).map_err(|too_many| {
            services.security.record(SecurityKind::RateLimited, token.label.as_str(), "too many requests");
            limited("with this token", too_many)
        })?,
        (_, Some(ip)) => rates.address(ip, now).map_err(|too_many| {
            let detail = "too many requests without a valid token";
            services.security.record_from(ip, SecurityKind::RateLimited, ip, detail);
            limited("from your address without a valid token", too_many)
        })?,
        (_, None) => {}
    }
    judged
}

/// Lets a secret pass only where nobody on its way could read it, unless the operator takes it all the same.
pub(crate) fn require_safe(services: &Services, source: &Source) -> Result<(), Problem> {
    if source.is_safe() || services.policy.allow_plain_http {
        return Ok(());
    }
    Err(Problem::forbidden(
        "a token over plain HTTP is taken from this machine only: it would travel readable by everyone between; use \
         swiftctl --node ID@HOST:PORT, or start the node with --allow-plain-http if your network is safe",
    ))
}

/// A wrong credential was shown. The right one is taken from the same address all the while: 256 random bits cannot be
/// guessed, and others behind that address are not to be kept out.
pub(crate) fn failed(services: &Services, source: &Source, why: &str) -> Problem {
    let Some(ip) = source.ip else { return Problem::unauthorized(why) };
    let now = Instant::now();
    services.security.record_from(ip, SecurityKind::BadToken, ip, why);
    match services.rates().failure(ip, now) {
        Ok(()) => Problem::unauthorized(why),
        Err(too_many) => limited("with wrong credentials from your address", too_many),
    }
}

fn limited(whose: &str, TooMany(wait): TooMany) -> Problem {
    Problem::rate_limited(format!("too many requests {whose}"), wait)
}

/// Where a node asks to join.
const JOIN_PATH: &str = "/peer/join";

/// A node that is no member, and what it asked for: noted where it was refused.
struct Outsider {
    kind: SecurityKind,
    key: NodeId,
    from: Option<IpAddr>,
    asked: String,
}

impl Outsider {
    fn of(key: NodeId, standing: Standing, request: &Request) -> Option<Self> {
        let kind = match standing {
            Standing::Member(_) => return None,
            Standing::Removed => SecurityKind::RemovedKey,
            Standing::Stranger => SecurityKind::UnknownKey,
        };
        // The desk says itself why it refused an unknown one.
        let asked = request.uri().path().to_owned();
        let from = address_of(request);
        (kind == SecurityKind::RemovedKey || asked != JOIN_PATH).then_some(Self { kind, key, from, asked })
    }

    fn note(&self, services: &Services) {
        let detail = format_args!("asked for {}", self.asked);
        match self.from {
            Some(ip) => services.security.record_from(ip, self.kind, self.key, detail),
            None => services.security.record(self.kind, self.key, detail),
        }
    }
}
