//! Joining: what an admin grants and what the new member agrees to, signed by each.

use serde::{Deserialize, Serialize};

use super::Role;
use crate::{
    address::Address,
    hash::NetworkId,
    identity::{NodeId, NodeKey, Signature, Statement},
};

/// An admin's signed permission to join, usable once. Part of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// What the admin signed.
    pub terms: InvitationTerms,
    /// By the inviter.
    pub signature: Signature,
}

impl Invitation {
    /// Signs an invitation to `network`.
    pub fn sign(key: &NodeKey, network: &NetworkId, terms: InvitationTerms) -> Self {
        let signature = key.sign(network, &terms);
        Self { terms, signature }
    }
}

/// What an invitation grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationTerms {
    /// The admin who invites; must still be one when the invitation is used.
    pub inviter: NodeId,
    /// The new member's role.
    pub role: Role,
    /// Random; the ledger remembers it, so that an invitation works once.
    pub nonce: [u8; 16],
    /// Block time, in milliseconds since 1970, after which it is void.
    pub not_after_ms: u64,
}

impl Statement for InvitationTerms {
    const TAG: &'static str = "swiftserve/invitation/1";
}

/// What a joining node signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The joiner.
    pub node: NodeId,
    /// Where it can be dialled.
    pub address: Address,
    /// The invitation it uses.
    pub nonce: [u8; 16],
}

impl Statement for JoinRequest {
    const TAG: &'static str = "swiftserve/join/1";
}
