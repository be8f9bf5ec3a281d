//! Rules of membership, roles and validators.

use super::{AlreadyTrue, BlockContext, JudgeError, Rejection, require};
use crate::{
    address::Address,
    hash::NetworkId,
    identity::{NodeId, Signature},
    state::{Change, Member, StateView},
    transaction::{Invitation, JoinRequest, NodeChange, Role},
};

pub(super) fn add(
    state: &dyn StateView,
    block: BlockContext,
    network: &NetworkId,
    node: &NodeId,
    address: &Address,
    invitation: &Invitation,
    joiner_signature: &Signature,
) -> Result<Vec<Change>, JudgeError> {
    if let Some(height) = state.removed_at(node)? {
        return Err(Rejection::Removed { node: *node, height }.into());
    }
    let terms = &invitation.terms;
    if let Some(member) = state.member(node)? {
        if member.address == *address && member.role == terms.role {
            let (node, height) = (*node, member.joined_height);
            return Err(Rejection::AlreadyTrue(AlreadyTrue::Member { node, height }).into());
        }
        return Err(Rejection::AlreadyAMember { node: *node }.into());
    }
    if !terms.inviter.verify(network, terms, &invitation.signature) {
        return Err(Rejection::InvitationSignature { signer: terms.inviter, what: "invitation" }.into());
    }
    let request = JoinRequest { node: *node, address: address.clone(), nonce: terms.nonce };
    if !node.verify(network, &request, joiner_signature) {
        return Err(Rejection::InvitationSignature { signer: *node, what: "request to join" }.into());
    }
    if !is_admin(state, &terms.inviter)? {
        return Err(Rejection::InviterIsNoAdmin { inviter: terms.inviter }.into());
    }
    if state.invitation_used(&terms.nonce)? {
        return Err(Rejection::InvitationUsed.into());
    }
    if block.time_ms > terms.not_after_ms {
        return Err(Rejection::InvitationExpired { not_after_ms: terms.not_after_ms }.into());
    }
    let member = Member { role: terms.role, address: address.clone(), joined_height: block.height };
    Ok(vec![
        Change::Member { node: *node, member: Some(member) },
        Change::InvitationUsed { nonce: terms.nonce },
    ])
}

pub(super) fn remove(
    state: &dyn StateView,
    block: BlockContext,
    node: &NodeId,
) -> Result<Vec<Change>, JudgeError> {
    if let Some(height) = state.removed_at(node)? {
        return Err(Rejection::AlreadyTrue(AlreadyTrue::Removed { node: *node, height }).into());
    }
    let member = state.member(node)?.ok_or(Rejection::NotAMember { node: *node })?;
    if member.role == Role::Admin {
        not_the_last_admin(state, node)?;
    }
    let mut changes = vec![
        Change::Member { node: *node, member: None },
        Change::Removed { node: *node, height: block.height },
    ];
    changes.extend(weight_change(state, node, 0)?);
    Ok(changes)
}

pub(super) fn update(
    state: &dyn StateView,
    author: NodeId,
    member: &Member,
    node: &NodeId,
    change: &NodeChange,
) -> Result<Vec<Change>, JudgeError> {
    let is_own_address = *node == author && matches!(change, NodeChange::Address(_));
    if !is_own_address {
        require(member, Role::Admin, author)?;
    }
    let mut record = match state.member(node)? {
        Some(record) => record,
        None => match state.removed_at(node)? {
            Some(height) => return Err(Rejection::Removed { node: *node, height }.into()),
            None => return Err(Rejection::NotAMember { node: *node }.into()),
        },
    };
    let unchanged = || JudgeError::from(Rejection::AlreadyTrue(AlreadyTrue::Unchanged { node: *node }));
    match change {
        NodeChange::Address(address) if record.address == *address => return Err(unchanged()),
        NodeChange::Address(address) => record.address = address.clone(),
        NodeChange::Role(role) if record.role == *role => return Err(unchanged()),
        NodeChange::Role(role) => {
            if record.role == Role::Admin {
                not_the_last_admin(state, node)?;
            }
            record.role = *role;
        }
        NodeChange::ValidatorWeight(weight) => {
            return weight_change(state, node, *weight)?.map(|change| vec![change]).ok_or_else(unchanged);
        }
    }
    Ok(vec![Change::Member { node: *node, member: Some(record) }])
}

fn is_admin(state: &dyn StateView, node: &NodeId) -> Result<bool, JudgeError> {
    Ok(state.member(node)?.is_some_and(|member| member.role == Role::Admin))
}

fn not_the_last_admin(state: &dyn StateView, node: &NodeId) -> Result<(), JudgeError> {
    if state.admin_count()? > 1 { Ok(()) } else { Err(Rejection::LastAdmin { node: *node }.into()) }
}

/// The validator set with `node`'s weight changed; none when it has that weight.
fn weight_change(state: &dyn StateView, node: &NodeId, weight: u32) -> Result<Option<Change>, JudgeError> {
    let validators = state.validators()?;
    if validators.weight(node) == weight {
        return Ok(None);
    }
    let changed = validators.with_weight(*node, weight).map_err(Rejection::from)?;
    if changed.is_empty() {
        return Err(Rejection::LastValidator { node: *node }.into());
    }
    Ok(Some(Change::Validators(changed)))
}
