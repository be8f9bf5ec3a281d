//! Who is calling, and what that allows.

mod credential;
mod identify;
mod rates;
mod remote;
mod site;

use std::marker::PhantomData;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use swift_chain::{Label, NodeId, Role};
use swift_p2p::{driver::ConnectionLimit, transport::Crowded};

pub(crate) use credential::{Credential, Shown, cookie_name};
pub(crate) use identify::{failed, identify, require_safe};
pub(crate) use rates::Rates;
pub use rates::{RequestLimits, RequestRate, RequestRateError};
pub(crate) use remote::Source;
pub use remote::{Cidr, CidrError};

use crate::{
    problem::Problem,
    services::Services,
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
    /// A client with a token, or a browser that is signed in.
    Token(TokenRecord),
}

impl Access {
    /// Lets tokens with a scope pass.
    pub(crate) fn require(&self, scope: Scope) -> Result<&TokenRecord, Problem> {
        let token = self.token()?;
        if token.allows(scope) {
            return Ok(token);
        }
        let label = token.label.as_str();
        Err(Problem::forbidden(format!("the token {label:?} has no scope {scope}")))
    }

    /// Lets tokens pass, and browsers that are signed in.
    pub(crate) fn token(&self) -> Result<&TokenRecord, Problem> {
        match self {
            Self::Token(token) => Ok(token),
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

/// Members, and nodes that were members: these learn that they are none any more.
pub(crate) struct MembersOrRemoved;

impl Rule for MembersOrRemoved {
    fn check(access: &Access) -> Result<(), Problem> {
        match access {
            Access::Outsider { removed: true } => Ok(()),
            _ => access.require_member().map(|_| ()),
        }
    }
}

/// Nodes that were never removed: members, and those that want to be.
pub(crate) struct NodesOnly;

impl Rule for NodesOnly {
    fn check(access: &Access) -> Result<(), Problem> {
        match access {
            Access::Outsider { removed: false } => Ok(()),
            Access::Outsider { removed: true } => Err(Problem::forbidden(
                "this node was removed from the network; a removed key never comes back",
            )),
            _ => access.require_member().map(|_| ()),
        }
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
