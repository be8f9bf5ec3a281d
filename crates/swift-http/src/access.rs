//! Who is calling, and what that allows.

use std::{marker::PhantomData, net::IpAddr};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use swift_chain::{Label, NodeId, Role};
use swift_p2p::{
    driver::{ConnectionLimit, wall_clock_ms},
    transport::{Caller, Channel, Crowded, RemoteAddress, Standing},
};

use crate::{
    problem::Problem,
    services::{AccessPolicy, Services},
    tokens::{Scope, TokenRecord},
};

/// The caller of a request. Put into its extensions before any handler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// No credential.
    Anonymous,
    /// A node that proved its key and is a member now.
    Member { node: NodeId, role: Role },
    /// A node that proved its key and is no member (any more).
    Outsider { removed: bool },
    /// A client with a token.
    Token(TokenRecord),
}

impl Access {
    /// Lets tokens with a scope pass.
    pub(crate) fn require(&self, scope: Scope) -> Result<&TokenRecord, Problem> {
        match self {
            Self::Token(token) if token.allows(scope) => Ok(token),
            Self::Token(token) => {
                let label = token.label.as_str();
                Err(Problem::forbidden(format!("the token {label:?} has no scope {scope}")))
            }
            Self::Member { .. } => Err(Problem::forbidden("this route is for clients with a token")),
            Self::Outsider { removed } => Err(outsider(*removed)),
            Self::Anonymous => Err(Problem::unauthorized(
                "this needs a token: Authorization: Bearer TOKEN (swiftctl --data-dir DIR token show)",
            )),
        }
    }

    /// Lets members pass only.
    pub(crate) fn require_member(&self) -> Result<NodeId, Problem> {
        match self {
            Self::Member { node, .. } => Ok(*node),
            Self::Token(_) => Err(Problem::forbidden("this route is for members of the network")),
            Self::Outsider { removed } => Err(outsider(*removed)),
            Self::Anonymous => Err(Problem::unauthorized("this route is for nodes, over TLS with their key")),
        }
    }

    /// Lets members and tokens with a scope pass.
    pub(crate) fn require_member_or(&self, scope: Scope) -> Result<(), Problem> {
        match self {
            Self::Member { .. } => Ok(()),
            _ => self.require(scope).map(|_| ()),
        }
    }

    /// The member that calls, if it is one. It checks every byte itself.
    pub(crate) fn member(&self) -> Option<NodeId> {
        match self {
            Self::Member { node, .. } => Some(*node),
            _ => None,
        }
    }
}

/// What a route allows, checked before anything else of the request is looked at: an extractor to stand before those of
/// query and body.
pub(crate) struct Allowed<R>(PhantomData<R>);

/// Who may call a route.
pub(crate) trait Rule {
    fn check(access: &Access) -> Result<(), Problem>;
}

/// Members only.
pub(crate) struct MembersOnly;

impl Rule for MembersOnly {
    fn check(access: &Access) -> Result<(), Problem> {
        access.require_member().map(|_| ())
    }
}

/// Members, and tokens that may read.
pub(crate) struct MembersOrRead;

impl Rule for MembersOrRead {
    fn check(access: &Access) -> Result<(), Problem> {
        access.require_member_or(Scope::Read)
    }
}

/// Members, and tokens that may do everything.
pub(crate) struct MembersOrAdmin;

impl Rule for MembersOrAdmin {
    fn check(access: &Access) -> Result<(), Problem> {
        access.require_member_or(Scope::Admin)
    }
}

/// Tokens that may read.
pub(crate) struct ReadOnly;

impl Rule for ReadOnly {
    fn check(access: &Access) -> Result<(), Problem> {
        access.require(Scope::Read).map(|_| ())
    }
}

/// Tokens that may do everything.
pub(crate) struct AdminOnly;

impl Rule for AdminOnly {
    fn check(access: &Access) -> Result<(), Problem> {
        access.require(Scope::Admin).map(|_| ())
    }
}

impl<R: Rule, S: Sync> FromRequestParts<S> for Allowed<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        R::check(parts.extensions.get().unwrap_or(&Access::Anonymous))?;
        Ok(Self(PhantomData))
    }
}

/// Refuses content to a member whose connection is one too many. The ledger and the swarm's messages go on.
pub(crate) async fn make_room(State(services): State<Services>, request: Request, next: Next) -> Response {
    let is_content = matches!(request.uri().path(), "/download" | "/peer/manifest");
    if !is_content || request.extensions().get::<Crowded>().is_none() {
        return next.run(request).await;
    }
    let most = services.limits.now().connections.map_or(0, ConnectionLimit::incoming);
    let detail =
        format!("this node lets members have {most} connections, and all of them are in use; ask again");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", detail).into_response()
}

fn outsider(was_removed: bool) -> Problem {
    Problem::forbidden(if was_removed {
        "this node was removed from the network"
    } else {
        "this node is no member of the network"
    })
}

/// What a token may change: everything with `admin`, else only what it published itself.
pub(crate) fn owns(token: &TokenRecord, published_by: Option<&Label>) -> bool {
    token.allows(Scope::Admin) || published_by == Some(&token.label)
}

/// Finds out who is calling. Refuses what could come from a page of another site, and credentials in the clear.
pub(crate) async fn identify(State(services): State<Services>, mut request: Request, next: Next) -> Response {
    match resolve(&services, &request) {
        Ok(access) => {
            request.extensions_mut().insert(access);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn resolve(services: &Services, request: &Request) -> Result<Access, Problem> {
    let caller = request.extensions().get::<Caller>().cloned();
    let (channel, remote) = match caller {
        Some(Caller::Node { id, standing: Standing::Member(role) }) => {
            return Ok(Access::Member { node: id, role });
        }
        Some(Caller::Node { standing, .. }) => {
            return Ok(Access::Outsider { removed: standing == Standing::Removed });
        }
        Some(Caller::Client { channel }) => {
            (channel, request.extensions().get::<RemoteAddress>().map(|remote| remote.0.ip()))
        }
        None => (Channel::Plain, None),
    };
    // A program that knows this node by its key may call it by any name.
    if channel != Channel::Pinned {
        check_host(services, request.headers())?;
    }
    check_origin(request.method(), request.headers())?;
    let Some(text) = bearer(request.headers())? else { return Ok(Access::Anonymous) };
    if !is_safe(channel, remote, &services.policy) {
        return Err(Problem::forbidden(
            "a token over plain HTTP is taken from this machine only: it would travel readable by everyone between; use \
             swiftctl --node ID@HOST:PORT, or start the node with --allow-plain-http if your network is safe",
        ));
    }
    let token = services.tokens.find(text, wall_clock_ms());
    token.map(Access::Token).ok_or_else(|| Problem::unauthorized("the token is unknown, revoked or expired"))
}

/// Whether a secret that came this way was read by nobody on it, or the operator takes it all the same.
fn is_safe(channel: Channel, remote: Option<IpAddr>, policy: &AccessPolicy) -> bool {
    // A program that mounts this service itself gives no address and decides for itself.
    let is_local = remote.is_none_or(|ip| ip.to_canonical().is_loopback());
    channel.is_private() || is_local || policy.allow_plain_http
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token
        .map(Some)
        .ok_or_else(|| Problem::unauthorized("the Authorization header is not of the form Bearer TOKEN"))
}

/// A page of another site can make a browser talk to this address under a name of its own (DNS rebinding); then the
/// Host header carries that name.
fn check_host(services: &Services, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(host) = headers.get(header::HOST) else { return Ok(()) };
    let host = host.to_str().map_err(|_| Problem::bad_request("the Host header is not text"))?;
    let name = host_name(host);
    let is_known = name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || services.policy.host_names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is_known { Ok(()) } else { Err(Problem::forbidden(format!("this node is not called {name:?}"))) }
}

/// A browser says which page a request comes from; programs say nothing.
fn check_origin(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    match (origin, host) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Problem::forbidden("a page of another site may not do this")),
    }
}

/// The host without port and brackets.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lose_their_ports_and_brackets() {
        for (host, name) in [
            ("a.b:80", "a.b"),
            ("a.b", "a.b"),
            ("[::1]:80", "::1"),
            ("[::1]", "::1"),
            ("1.2.3.4:5", "1.2.3.4"),
        ] {
            assert_eq!(host_name(host), name);
        }
    }

    #[test]
    fn a_token_in_the_clear_is_taken_from_this_machine_only_unless_the_operator_says_otherwise() {
        let (closed, open) =
            (AccessPolicy::default(), AccessPolicy { allow_plain_http: true, ..AccessPolicy::default() });
        for (ip, is_taken) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.0.0.1", false),
            ("192.0.2.1", false),
            ("::ffff:10.0.0.1", false),
            ("2001:db8::1", false),
            ("0.0.0.0", false),
        ] {
            let ip = Some(ip.parse().unwrap());
            assert_eq!(is_safe(Channel::Plain, ip, &closed), is_taken, "{ip:?}");
            assert!(is_safe(Channel::Plain, ip, &open), "{ip:?}");
            assert!(is_safe(Channel::Pinned, ip, &closed) && is_safe(Channel::Certified, ip, &closed));
        }
    }

    #[test]
    fn only_bearer_credentials_are_read() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            headers
        };
        assert_eq!(bearer(&HeaderMap::new()), Ok(None));
        assert_eq!(bearer(&headers("Bearer abc")), Ok(Some("abc")));
        assert_eq!(bearer(&headers("bearer  abc ")), Ok(Some("abc")));
        assert!(bearer(&headers("Basic abc")).is_err());
    }
}
