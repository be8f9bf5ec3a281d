//! Joining a network by ticket: the desk of a member that takes requests, and the joiner's side.
//!
//! 1. The joiner dials the inviter of its ticket and sends a [`JoinOffer`], signed by both of them.
//! 2. The desk judges it by the ledger's rules, dials the joiner back at the address it gives, and submits `add_node`.
//! 3. When that is final, the joiner, now a member, fetches the whole chain, checks every block of it from the network
//!    id in the ticket on, and only then calls it its ledger.

mod asking;
mod desk;
mod intake;

use serde::{Deserialize, Serialize};
use swift_chain::{Action, Invitation, JoinRequest, NodeId, NodeKey, Signature, Ticket};

pub use asking::{JoinError, ask_to_join, fetch_chain};
pub(super) use asking::{remove, take_chain};
pub use desk::{JoinDesk, JoinRefusal};
pub(super) use intake::Intake;

/// Bytes of an encoded [`JoinOffer`].
pub const JOIN_OFFER_LEN_MAX: usize = 2048;

/// A request to join. Its bytes are postcard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinOffer {
    request: JoinRequest,
    signature: Signature,
    invitation: Box<Invitation>,
}

/// Bytes that are no request to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request to join of this protocol version")]
pub struct JoinOfferError;

impl JoinOffer {
    /// The request of `key`'s holder, who wants to be dialled at `address`.
    pub fn sign(key: &NodeKey, ticket: &Ticket, address: swift_chain::Address) -> Self {
        let request = JoinRequest { node: key.id(), address, nonce: ticket.invitation.terms.nonce };
        let signature = key.sign(&ticket.network, &request);
        Self { request, signature, invitation: Box::new(ticket.invitation.clone()) }
    }

    /// Who wants to join.
    pub fn node(&self) -> NodeId {
        self.request.node
    }

    /// The bytes to send.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Keys, numbers and a short text: nothing that could fail.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads at most [`JOIN_OFFER_LEN_MAX`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JoinOfferError> {
        if bytes.len() > JOIN_OFFER_LEN_MAX {
            return Err(JoinOfferError);
        }
        match postcard::take_from_bytes(bytes) {
            Ok((offer, [])) => Ok(offer),
            _ => Err(JoinOfferError),
        }
    }

    /// What the ledger is asked.
    fn action(&self) -> Action {
        Action::AddNode {
            node: self.request.node,
            address: self.request.address.clone(),
            invitation: self.invitation.clone(),
            joiner_signature: self.signature,
        }
    }
}
