//! The state in memory: for audits of a chain file, and for tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{
    change::Change,
    view::{AuthorRecord, FileRecord, Member, ProtocolSchedule, StateError, StateView},
};
use crate::{
    genesis::{Genesis, NetworkParams},
    identity::NodeId,
    limits::PROTOCOL_VERSION,
    name::NameKey,
    snapshot::{imported_author, imported_file, imported_member, imported_removal},
    transaction::Role,
    validators::ValidatorSet,
};

/// All records in sorted maps. Reading never fails.
#[derive(Clone, Debug)]
pub struct MemoryState {
    params: NetworkParams,
    protocol: ProtocolSchedule,
    validators: ValidatorSet,
    members: BTreeMap<NodeId, Member>,
    removed: BTreeMap<NodeId, u64>,
    authors: BTreeMap<NodeId, AuthorRecord>,
    files: BTreeMap<String, FileRecord>,
    invitations: BTreeSet<[u8; 16]>,
}

impl MemoryState {
    /// The state after the genesis block.
    pub fn new(genesis: &Genesis) -> Self {
        let mut state = Self {
            params: genesis.body().params,
            protocol: ProtocolSchedule { version: PROTOCOL_VERSION, next: None },
            validators: ValidatorSet::default(),
            members: BTreeMap::new(),
            removed: BTreeMap::new(),
            authors: BTreeMap::new(),
            files: BTreeMap::new(),
            invitations: BTreeSet::new(),
        };
        state.apply(Change::of_genesis(genesis));
        state
    }

    /// Takes a block's changes over.
    pub fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Params(params) => self.params = params,
                Change::Protocol(protocol) => self.protocol = protocol,
                Change::Validators(validators) => self.validators = validators,
                Change::Member { node, member: Some(member) } => {
                    self.members.insert(node, member);
                }
                Change::Member { node, member: None } => {
                    self.members.remove(&node);
                }
                Change::Removed { node, height } => {
                    self.removed.insert(node, height);
                }
                Change::Author { node, record } => {
                    self.authors.insert(node, record);
                }
                Change::File { key, file: Some(file) } => {
                    self.files.insert(key.as_str().to_owned(), file);
                }
                Change::File { key, file: None } => {
                    self.files.remove(key.as_str());
                }
                Change::InvitationUsed { nonce } => {
                    self.invitations.insert(nonce);
                }
            }
        }
    }

    /// What a network that is founded anew from this state begins with.
    pub(crate) fn imported(&self) -> impl Iterator<Item = Change> + '_ {
        let mut authors = BTreeMap::<NodeId, AuthorRecord>::new();
        for file in self.files.values() {
            authors.entry(file.publisher).or_default().count(file);
        }
        let members = self.members.iter().map(|(node, member)| imported_member(*node, member.clone()));
        let removed = self.removed.keys().map(|node| imported_removal(*node));
        let authors = authors.into_iter().filter_map(|(node, record)| imported_author(node, record));
        let files = self.files.values().map(|file| imported_file(file.clone()));
        members.chain(removed).chain(authors).chain(files)
    }

    /// All live files in the order of their keys.
    pub fn files(&self) -> impl Iterator<Item = &FileRecord> {
        self.files.values()
    }

    /// All members.
    pub fn members(&self) -> impl Iterator<Item = (&NodeId, &Member)> {
        self.members.iter()
    }
}

impl StateView for MemoryState {
    fn params(&self) -> Result<NetworkParams, StateError> {
        Ok(self.params)
    }

    fn protocol(&self) -> Result<ProtocolSchedule, StateError> {
        Ok(self.protocol)
    }

    fn validators(&self) -> Result<ValidatorSet, StateError> {
        Ok(self.validators.clone())
    }

    fn member(&self, node: &NodeId) -> Result<Option<Member>, StateError> {
        Ok(self.members.get(node).cloned())
    }

    fn admin_count(&self) -> Result<u64, StateError> {
        Ok(self.members.values().filter(|member| member.role == Role::Admin).count() as u64)
    }

    fn removed_at(&self, node: &NodeId) -> Result<Option<u64>, StateError> {
        Ok(self.removed.get(node).copied())
    }

    fn author(&self, node: &NodeId) -> Result<AuthorRecord, StateError> {
        Ok(self.authors.get(node).copied().unwrap_or_default())
    }

    fn file(&self, key: &NameKey) -> Result<Option<FileRecord>, StateError> {
        Ok(self.files.get(key.as_str()).cloned())
    }

    fn file_below(&self, key: &NameKey, after: Option<&NameKey>) -> Result<Option<FileRecord>, StateError> {
        let (from, to) = key.below();
        let from = after.map_or(Bound::Included(from), |after| Bound::Excluded(after.as_str().to_owned()));
        Ok(self.files.range((from, Bound::Excluded(to))).next().map(|(_, file)| file.clone()))
    }

    fn invitation_used(&self, nonce: &[u8; 16]) -> Result<bool, StateError> {
        Ok(self.invitations.contains(nonce))
    }
}
