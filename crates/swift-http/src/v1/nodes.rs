//! `/v1/nodes`.

use std::collections::HashMap;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{
    Action, Address, NodeChange, NodeId, Rejection, Role, SubmitError, ValidatorSet,
    limits::VALIDATOR_WEIGHT_MAX,
};
use swift_p2p::{
    driver::LedgerError,
    gossip::{Keeps, Release, Shelf},
};

use super::{object::Object, page::PageLen, written};
use crate::{
    access::{Access, AdminOnly, Allowed, ReadOnly},
    problem::Problem,
    services::Services,
    tokens::Scope,
    wait::Wait,
};

#[derive(Serialize)]
pub(super) struct NodeRow {
    node_id: NodeId,
    role: Role,
    address: Address,
    joined_height: u64,
    validator_weight: u32,
    online: bool,
    is_self: bool,
    /// What it says it holds whole and durable; nothing of one that cannot be reached.
    holds: Option<Holds>,
    /// What it says it keeps by rule.
    keeps: Option<Keeps>,
    /// Up to which block it says it has come.
    height: Option<u64>,
    /// When something was last heard from it.
    heard_ms: Option<u64>,
    /// What it could still take.
    available_bytes: Option<u64>,
    /// What it runs.
    version: Option<String>,
}

#[derive(Serialize)]
struct Holds {
    files: u64,
    bytes: u64,
}

/// Members in the order of their ids.
#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<NodeId>,
    limit: Option<u64>,
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let len = PageLen::of(page.limit);
    let looked = services.ledger.read(|reader| Ok((reader.members()?, reader.validators()?)));
    let (mut members, validators) = looked.await?;
    members.retain(|(node, _)| page.after.is_none_or(|after| *node > after));
    members.truncate(len.to_find());
    let next = len.cut(&mut members).map(|(node, _)| *node);
    let me = services.key.id();
    let online = services.presence.online();
    // Others hear of it with the next greeting; here it is as it is now.
    let store = services.store.clone();
    let whole = tokio::task::spawn_blocking(move || store.whole()).await;
    let whole = whole.map_err(|error| Problem::internal(&error))??;
    let height = services.ledger.head().height;
    let mine = Shelf { files: whole.files, bytes: whole.bytes, ..*services.shelf.borrow() };
    let rows = members.into_iter().map(|(node, member)| {
        let is_self = node == me;
        let said = services.presence.hello_of(&node);
        let shelf = if is_self { Some(mine) } else { said.map(|hello| hello.shelf) };
        let release = if is_self { Some(Release::THIS) } else { said.map(|hello| hello.release) };
        NodeRow {
            node_id: node,
            role: member.role,
            address: member.address,
            joined_height: member.joined_height,
            validator_weight: validators.weight(&node),
            online: is_self || online.contains(&node),
            is_self,
            holds: shelf.map(|Shelf { files, bytes, .. }| Holds { files, bytes }),
            keeps: shelf.map(|shelf| shelf.keeps),
            height: if is_self { Some(height) } else { said.map(|hello| hello.height) },
            heard_ms: services.conduct.of(&node).heard_ms,
            available_bytes: shelf.and_then(|shelf| shelf.available_bytes),
            version: release.map(|release| release.to_string()),
        }
    });
    Ok(Json(json!({ "nodes": rows.collect::<Vec<_>>(), "next": next })))
}

/// A body of `PATCH`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    role: Option<Role>,
    weight: Option<u32>,
}

/// What is to be changed of a member: one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Update {
    Role(Role),
    Weight(u32),
}

impl Update {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let read = serde_json::from_slice(body);
        let Object(fields) = read.map_err(|error| Problem::bad_request(error.to_string()))?;
        match fields {
            Fields { role: Some(role), weight: None } => Ok(Self::Role(role)),
            Fields { role: None, weight: Some(weight) } if weight <= VALIDATOR_WEIGHT_MAX => {
                Ok(Self::Weight(weight))
            }
            Fields { role: None, weight: Some(_) } => Err(Problem::bad_request(format!(
                "a validator's weight is from 1 to {VALIDATOR_WEIGHT_MAX}; 0 makes the node no validator"
            ))),
            _ => Err(Problem::bad_request("the body is either {\"role\": ROLE} or {\"weight\": N}")),
        }
    }
}

/// Gives a member another role, or makes it a validator, or none.
pub(super) async fn update(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (node, update) = (parse(&id)?, Update::read(&body)?);
    let me = services.key.id();
    if services.ledger.members().member(&me).is_none_or(|member| member.role != Role::Admin) {
        return Err(Problem::forbidden("this node is no admin of the network; ask a node that is one"));
    }
    let (change, about, weight) = match update {
        Update::Role(role) => (NodeChange::Role(role), json!({ "node_id": node, "role": role }), None),
        Update::Weight(weight) => {
            (NodeChange::ValidatorWeight(weight), json!({ "node_id": node, "weight": weight }), Some(weight))
        }
    };
    let action = Action::UpdateNode { node, change };
    Change { services: &services, access: &access, node, weight, query }.submit(action, about).await
}

/// Removes a member for good, and its weight as a validator with it.
pub(super) async fn remove(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    access.require(Scope::Admin)?;
    let node = parse(&id)?;
    let action = Action::RemoveNode { node };
    let change = Change { services: &services, access: &access, node, weight: Some(0), query };
    change.submit(action, json!({ "node_id": node })).await
}

fn parse(id: &str) -> Result<NodeId, Problem> {
    id.parse().map_err(|error| Problem::bad_request(format!("{error}")))
}

/// A change of one member, as it was asked for.
struct Change<'r> {
    services: &'r Services,
    access: &'r Access,
    node: NodeId,
    /// As a validator, if it concerns that.
    weight: Option<u32>,
    query: HashMap<String, String>,
}

impl Change<'_> {
    async fn submit(self, action: Action, mut about: Value) -> Result<(StatusCode, Json<Value>), Problem> {
        let services = self.services;
        let label = Some(self.access.require(Scope::Admin)?.label.clone());
        let wait = Wait::of(&self.query)?;
        let changed = self.validators_after();
        if let Some(after) = &changed
            && !self.query.contains_key("force")
        {
            self.check_quorum(after).await?;
        }
        let queued = services.ledger.enqueue(action, label).await?;
        if wait == Wait::None && queued.is_open() {
            return Ok(written(about, None));
        }
        let settled = services.finality.within(queued.settled()).await?;
        let settled = settled.map_err(|error| self.refusal(error))?;
        if changed.is_some() || about.get("weight").is_some() {
            about["warning"] = json!(services.finality.health().warning());
        }
        Ok(written(about, Some(settled)))
    }

    /// The validators that this would make, if it changes them and the ledger would let it.
    fn validators_after(&self) -> Option<ValidatorSet> {
        let members = self.services.ledger.members();
        let (now, _) = (members.validators(), members.member(&self.node)?);
        let weight = self.weight.filter(|weight| *weight != now.weight(&self.node))?;
        now.with_weight(self.node, weight).ok().filter(|after| !after.is_empty())
    }

    /// No set is entered unasked that could not take the next decision, such as to leave it again.
    async fn check_quorum(&self, after: &ValidatorSet) -> Result<(), Problem> {
        let health = self.services.finality.quorum_of(after).await;
        if health.has_quorum() {
            return Ok(());
        }
        let detail = format!(
            "after this the validators would be without a quorum: {}; nothing was changed; wait until they can be \
             reached",
            health.shortage()
        );
        Err(Problem::conflict("no_quorum_after", detail))
    }

    /// A rejection that speaks of the node to be changed says nothing about what the caller may do.
    fn refusal(&self, error: LedgerError) -> Problem {
        match &error {
            LedgerError::Refused(SubmitError::Rejected(Rejection::NotAMember { node }))
                if *node == self.node =>
            {
                Problem::not_found(error.to_string())
            }
            LedgerError::Refused(SubmitError::Rejected(Rejection::Removed { node, .. }))
                if *node == self.node =>
            {
                Problem::conflict("conflict", format!("{error}; a removed key never comes back"))
            }
            _ => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_changed_at_a_time() {
        let read = |body: &str| Update::read(body.as_bytes());
        assert_eq!(read(r#"{"role": "admin"}"#), Ok(Update::Role(Role::Admin)));
        assert_eq!(read(r#"{"weight": 0}"#), Ok(Update::Weight(0)));
        assert_eq!(read(r#"{"weight": 1000000}"#), Ok(Update::Weight(1_000_000)));
        let bodies =
            ["", "{}", r#"{"role": "king"}"#, r#"{"role": "admin", "weight": 1}"#, r#"{"address": "a:1"}"#];
        for body in
            bodies.into_iter().chain([r#"{"weight": 1000001}"#, r#"{"weight": -1}"#, r#"{"weight": 1e99}"#])
        {
            assert_eq!(read(body).unwrap_err().code, "bad_request", "{body}");
        }
    }
}
