//! Everything between a TCP port and an HTTP request whose caller is known.
//!
//! One port takes nodes and clients. The first byte tells TLS from plain HTTP, and in TLS the application protocol
//! (ALPN) tells a node from a client:
//!
//! | first bytes | caller |
//! |---|---|
//! | TLS, ALPN `swift/1/NETWORK` | [`Caller::Node`], known by the Ed25519 key it proved to hold |
//! | TLS, ALPN `swift-client/1` | [`Caller::Client`] that checks this node's key and shows none of its own |
//! | TLS, other or no ALPN | [`Caller::Client`], when the operator has installed a certificate; else refused |
//! | anything else | [`Caller::Client`] over plain HTTP/1.1 |
//!
//! Nodes show each other raw public keys (RFC 7250): the key is the identity, so there is nothing a certificate could
//! add. The handshake proves only possession of a key. What its holder may do follows from the ledger at the time of
//! each request: see [`Membership`] and [`Standing`]. Sessions are never resumed, since a resumed one would skip the
//! proof.
//!
//! A [`Listener`] accepts, [`Sessions`] closes what a node has open here, a [`Dialer`] makes one [`PeerClient`] per
//! peer, which sends [`PeerRequest`]s. There is no process-wide TLS provider and no other global state.
//!
//! ```no_run
//! use std::{future::pending, sync::Arc};
//! use swift_p2p::transport::*;
//! # use swift_chain::{NetworkId, NodeId, NodeKey};
//! # struct Ledger;
//! # impl Membership for Ledger { fn standing(&self, _: &NodeId) -> Standing { Standing::Stranger } }
//! # async fn run(key: NodeKey, network: NetworkId) -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = Sessions::new(Arc::new(Ledger));
//! let config = ListenerConfig::new(&key, network, sessions.clone())?;
//! let listener = Listener::bind("0.0.0.0:8000".parse()?).await?;
//! // The future answers "until when may running requests finish?" as soon as the node is to stop.
//! let cut = listener.serve(axum::Router::new(), config, pending()).await;
//! # let _ = cut; Ok(()) }
//! ```

mod admission;
mod caller;
mod connection;
mod dial_error;
mod dialer;
mod exchange;
mod line;
mod listener;
mod peers;
mod pool;
mod sessions;
mod socket;
mod tls;

pub use admission::Limits;
pub use caller::{Caller, Channel, Crowded, HangUp, Membership, RemoteAddress, Standing};
pub use dial_error::DialError;
pub use dialer::{AddressBook, Dialer, PeerClient};
pub use exchange::{PeerRequest, PeerResponse};
pub use listener::{Listener, ListenerConfig};
pub use peers::PeerClients;
pub use sessions::{SessionCounts, Sessions};
pub use tls::{OperatorTls, PINNED_ALPN, TlsError, pinned_client_tls};
