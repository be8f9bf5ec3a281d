//! A state with changes on top that are not stored yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{
    change::Change,
    view::{AuthorRecord, FileRecord, Member, ProtocolSchedule, StateError, StateView},
};
use crate::{
    genesis::NetworkParams, identity::NodeId, name::NameKey, transaction::Role, validators::ValidatorSet,
};

/// Changes of the transactions so far, seen through by the ones that follow.
pub struct Overlay<'a> {
    base: &'a dyn StateView,
    protocol: Option<ProtocolSchedule>,
    validators: Option<ValidatorSet>,
    members: BTreeMap<NodeId, Option<Member>>,
    removed: BTreeMap<NodeId, u64>,
    authors: BTreeMap<NodeId, AuthorRecord>,
    files: BTreeMap<NameKey, Option<FileRecord>>,
    invitations: BTreeSet<[u8; 16]>,
}

impl<'a> Overlay<'a> {
    /// Nothing changed yet.
    pub fn new(base: &'a dyn StateView) -> Self {
        Self {
            base,
            protocol: None,
            validators: None,
            members: BTreeMap::new(),
            removed: BTreeMap::new(),
            authors: BTreeMap::new(),
            files: BTreeMap::new(),
            invitations: BTreeSet::new(),
        }
    }

    /// Puts a transaction's changes on top.
    pub fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Params(_) => unreachable!("only the genesis block sets parameters"),
                Change::Protocol(protocol) => self.protocol = Some(protocol),
                Change::Validators(validators) => self.validators = Some(validators),
                Change::Member { node, member } => {
                    self.members.insert(node, member);
                }
                Change::Removed { node, height } => {
                    self.removed.insert(node, height);
                }
                Change::Author { node, record } => {
                    self.authors.insert(node, record);
                }
                Change::File { key, file } => {
                    self.files.insert(key, file);
                }
                Change::InvitationUsed { nonce } => {
                    self.invitations.insert(nonce);
                }
            }
        }
    }

    /// All changes: one per record, in the order that the state hash covers.
    pub fn into_changes(self) -> Vec<Change> {
        let mut changes = Vec::new();
        changes.extend(self.protocol.map(Change::Protocol));
        changes.extend(self.validators.map(Change::Validators));
        changes.extend(self.members.into_iter().map(|(node, member)| Change::Member { node, member }));
        changes.extend(self.removed.into_iter().map(|(node, height)| Change::Removed { node, height }));
        changes.extend(self.authors.into_iter().map(|(node, record)| Change::Author { node, record }));
        changes.extend(self.files.into_iter().map(|(key, file)| Change::File { key, file }));
        changes.extend(self.invitations.into_iter().map(|nonce| Change::InvitationUsed { nonce }));
        changes
    }
}

fn is_admin(member: Option<&Member>) -> bool {
    member.is_some_and(|member| member.role == Role::Admin)
}

impl StateView for Overlay<'_> {
    fn params(&self) -> Result<NetworkParams, StateError> {
        self.base.params()
    }

    fn protocol(&self) -> Result<ProtocolSchedule, StateError> {
        self.protocol.map_or_else(|| self.base.protocol(), Ok)
    }

    fn validators(&self) -> Result<ValidatorSet, StateError> {
        self.validators.clone().map_or_else(|| self.base.validators(), Ok)
    }

    fn member(&self, node: &NodeId) -> Result<Option<Member>, StateError> {
        self.members.get(node).cloned().map_or_else(|| self.base.member(node), Ok)
    }

    fn admin_count(&self) -> Result<u64, StateError> {
        let mut count = self.base.admin_count()?;
        for (node, member) in &self.members {
            let was = is_admin(self.base.member(node)?.as_ref());
            match (was, is_admin(member.as_ref())) {
                (true, false) => count = count.saturating_sub(1),
                (false, true) => count += 1,
                _ => {}
            }
        }
        Ok(count)
    }

    fn removed_at(&self, node: &NodeId) -> Result<Option<u64>, StateError> {
        self.removed.get(node).map_or_else(|| self.base.removed_at(node), |height| Ok(Some(*height)))
    }

    fn author(&self, node: &NodeId) -> Result<AuthorRecord, StateError> {
        self.authors.get(node).copied().map_or_else(|| self.base.author(node), Ok)
    }

    fn file(&self, key: &NameKey) -> Result<Option<FileRecord>, StateError> {
        self.files.get(key).cloned().map_or_else(|| self.base.file(key), Ok)
    }

    fn file_below(&self, key: &NameKey, after: Option<&NameKey>) -> Result<Option<FileRecord>, StateError> {
        let (from, to) = key.below();
        let from =
            after.map_or(Bound::Included(NameKey::from_stored(from)), |key| Bound::Excluded(key.clone()));
        let to = Bound::Excluded(NameKey::from_stored(to));
        let mut ours = self.files.range((from, to)).filter_map(|(_, file)| file.as_ref());
        let ours = ours.next().map(|file| (file.name().key(), file.clone()));
        let mut theirs = self.base.file_below(key, after)?.map(|file| (file.name().key(), file));
        // The base's files count unless they changed or went with this block.
        while let Some((at, _)) = theirs.as_ref().filter(|(at, _)| self.files.contains_key(at)) {
            theirs = self.base.file_below(key, Some(at))?.map(|file| (file.name().key(), file));
        }
        let first = [ours, theirs].into_iter().flatten().min_by(|a, b| a.0.cmp(&b.0));
        Ok(first.map(|(_, file)| file))
    }

    fn invitation_used(&self, nonce: &[u8; 16]) -> Result<bool, StateError> {
        if self.invitations.contains(nonce) { Ok(true) } else { self.base.invitation_used(nonce) }
    }
}
