//! `/v1/nodes` and `/v1/invites`.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{Action, Address, Checkpoint, Invitation, InvitationTerms, NodeId, Role, Ticket};
use swift_p2p::driver::wall_clock_ms;

use crate::{
    access::{Access, AdminOnly, Allowed},
    ingest::random,
    problem::Problem,
    services::Services,
    tokens::Scope,
};

const INVITE_EXPIRES_S: u64 = 24 * 60 * 60;
const INVITE_EXPIRES_S_MAX: u64 = 366 * 24 * 60 * 60;

#[derive(Serialize)]
pub(super) struct NodeRow {
    node_id: NodeId,
    role: Role,
    address: Address,
    joined_height: u64,
    validator_weight: u32,
    online: bool,
    is_self: bool,
}

pub(super) async fn list(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
) -> Result<Json<Vec<NodeRow>>, Problem> {
    access.require(Scope::Read)?;
    let looked = services.ledger.read(|reader| Ok((reader.members()?, reader.validators()?)));
    let (members, validators) = looked.await?;
    let me = services.key.id();
    let online = services.swarm.online();
    let rows = members.into_iter().map(|(node, member)| NodeRow {
        node_id: node,
        role: member.role,
        address: member.address,
        joined_height: member.joined_height,
        validator_weight: validators.weight(&node),
        online: node == me || online.contains(&node),
        is_self: node == me,
    });
    Ok(Json(rows.collect()))
}

pub(super) async fn remove(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let token = access.require(Scope::Admin)?;
    let node: NodeId = id.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
    let label = Some(token.label.clone());
    let settled = services.ledger.submit(Action::RemoveNode { node }, label).await?;
    let (block, already) = (settled.height, settled.transaction.is_none());
    Ok(Json(json!({ "status": true, "node_id": node, "block": block, "already": already })))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Invite {
    role: Option<Role>,
    expires_s: Option<u64>,
}

pub(super) async fn invite(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    body: axum::body::Bytes,
) -> Result<Json<Value>, Problem> {
    let invite: Invite = if body.is_empty() {
        Invite::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| Problem::bad_request(error.to_string()))?
    };
    let inviter = services.key.id();
    let member = services.ledger.members().member(&inviter);
    let Some(member) = member.filter(|member| member.role == Role::Admin) else {
        return Err(Problem::forbidden(
            "this node is no admin of the network, so nobody would take its invitation",
        ));
    };
    let expires_s = invite.expires_s.unwrap_or(INVITE_EXPIRES_S);
    if !(1..=INVITE_EXPIRES_S_MAX).contains(&expires_s) {
        let detail = format!("expires_s is from 1 to {INVITE_EXPIRES_S_MAX} seconds");
        return Err(Problem::bad_request(detail));
    }
    let head = services.ledger.head();
    // Block time can be ahead of this clock, and the invitation is judged by it.
    let not_after_ms = head.next_time_ms(wall_clock_ms()).saturating_add(expires_s * 1000);
    let role = invite.role.unwrap_or(Role::Publisher);
    let terms = InvitationTerms { inviter, role, nonce: random()?, not_after_ms };
    let network = services.ledger.network();
    let ticket = Ticket {
        network,
        checkpoint: Checkpoint { height: head.height, hash: head.hash },
        inviter,
        addresses: vec![member.address],
        invitation: Invitation::sign(&services.key, &network, terms),
    };
    Ok(Json(json!({ "ticket": ticket.to_string(), "role": role, "expires_ms": not_after_ms })))
}
