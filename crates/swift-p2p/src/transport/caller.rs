//! Who is on the other end, and what the ledger says of them now.

use std::net::SocketAddr;

use swift_chain::{NodeId, Role};
use tokio_util::sync::CancellationToken;

/// What the ledger says of a node at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes part, within its role.
    Member(Role),
    /// It was a member. It may learn that it was removed, and nothing else.
    Removed,
    /// The ledger does not know it. It may ask to join.
    Stranger,
}

impl Standing {
    /// The role of a member.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Member(role) => Some(role),
            Self::Removed | Self::Stranger => None,
        }
    }

    /// Whether the node takes part.
    pub const fn is_member(self) -> bool {
        matches!(self, Self::Member(_))
    }
}

/// The ledger's view of its members, asked for every connection and every request: it must answer from memory.
pub trait Membership: Send + Sync {
    /// What the ledger says of `node` now.
    fn standing(&self, node: &NodeId) -> Standing;
}

/// Who sent a request. The listener puts one into the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A node that proved to hold the key which is its id.
    Node {
        /// The key.
        id: NodeId,
        /// What the ledger said of it when this request's head had arrived.
        standing: Standing,
    },
    /// Anyone else; credentials, if any, are in the request.
    Client {
        /// How its bytes came here.
        channel: Channel,
    },
}

/// How a client's bytes came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// In the clear.
    Plain,
    /// Over TLS with the operator's certificate, as browsers do.
    Certified,
    /// Over TLS by a program that knows this node's id and was shown its key. No browser does this.
    Pinned,
}

impl Channel {
    /// Whether nobody on the way could read or change the bytes.
    pub const fn is_private(self) -> bool {
        matches!(self, Self::Certified | Self::Pinned)
    }
}

/// Where a request came from, in the extensions of every request. An IPv4 address that arrived through an IPv6 socket
/// is given as IPv4. It says nothing about who the caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteAddress(pub SocketAddr);

/// Goes with a request on a connection that is one more than members may have here: what can wait is to be refused, and
/// the connection ends with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowded;

/// Ends a client's connection at once, whatever waits to be sent over it: in the extensions of every request of a client. For
/// answers that have no end of their own, and a caller that does not read them.
#[derive(Clone, Debug, Default)]
pub struct HangUp(pub(super) CancellationToken);

impl HangUp {
    /// Ends it.
    pub fn now(&self) {
        self.0.cancel();
    }

    /// Waits until it is ended by this, or because the node stops.
    pub async fn happened(&self) {
        self.0.cancelled().await;
    }
}
