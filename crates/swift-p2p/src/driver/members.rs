//! Who is a member and who decides now, for those who ask at every request.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use swift_chain::{Address, CertifiedBlock, Change, DbError, LedgerReader, Member, NodeId, ValidatorSet};

use crate::transport::{AddressBook, Membership, Standing};

/// The ledger's members, validators and removed keys in memory, kept level by the ledger's thread: a block that removes a
/// node has done so here before anybody is told that the block is final.
#[derive(Clone, Debug, Default)]
pub struct Members(Arc<RwLock<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    members: HashMap<NodeId, Member>,
    removed: HashSet<NodeId>,
    validators: ValidatorSet,
    /// Who certified the last block that came while this node ran.
    signers: BTreeSet<NodeId>,
    /// This node came from a backup and signs nothing yet.
    is_held: bool,
}

impl Members {
    /// Reads them from a ledger; before, nobody is a member.
    pub(super) fn fill(&self, reader: &LedgerReader) -> Result<(), DbError> {
        let members = reader.members()?.into_iter().collect();
        let removed = reader.removed()?.into_iter().collect();
        let (validators, signers) = (reader.validators()?, BTreeSet::new());
        let is_held = reader.head()?.height + 1 < reader.signs_from()?;
        let inner = Inner { members, removed, validators, signers, is_held };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = inner;
        Ok(())
    }

    /// A member's record.
    pub fn member(&self, node: &NodeId) -> Option<Member> {
        self.read(|inner| inner.members.get(node).cloned())
    }

    /// Where a member is dialled.
    pub fn address(&self, node: &NodeId) -> Option<Address> {
        self.read(|inner| inner.members.get(node).map(|member| member.address.clone()))
    }

    /// Whether a key was removed for good.
    pub fn is_removed(&self, node: &NodeId) -> bool {
        self.read(|inner| inner.removed.contains(node))
    }

    /// Who certifies the next block.
    pub fn validators(&self) -> ValidatorSet {
        self.read(|inner| inner.validators.clone())
    }

    /// Whether this node came from a backup and signs nothing yet: as a validator it is as good as away.
    pub fn is_held(&self) -> bool {
        self.read(|inner| inner.is_held)
    }

    /// Who certified the last block that came while this node ran; nobody before.
    pub fn last_signers(&self) -> BTreeSet<NodeId> {
        self.read(|inner| inner.signers.clone())
    }

    /// All members.
    pub fn all(&self) -> Vec<(NodeId, Member)> {
        self.read(|inner| inner.members.iter().map(|(node, member)| (*node, member.clone())).collect())
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.read(|inner| inner.members.len())
    }

    /// Whether there is none: never so in a network.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over whether this node signs.
    pub(super) fn hold(&self, is_held: bool) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).is_held = is_held;
    }

    /// Takes a block's changes over.
    pub(super) fn apply(&self, block: &CertifiedBlock) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inner.validators = block.effect().next_validators.clone();
        inner.signers = block.sealed().certificate.signatures.iter().map(|(node, _)| *node).collect();
        for change in &block.effect().changes {
            match change {
                Change::Member { node, member: Some(member) } => {
                    inner.members.insert(*node, member.clone());
                }
                Change::Member { node, member: None } => {
                    inner.members.remove(node);
                }
                Change::Removed { node, .. } => {
                    inner.removed.insert(*node);
                }
                _ => {}
            }
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        // A panic elsewhere leaves all of it whole: every change is one insertion, removal or replacement.
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
impl Members {
    /// Those of a network that has just been founded: `founder`, who decides alone.
    pub(super) fn of_a_new_network(founder: &swift_chain::NodeKey) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let body = swift_chain::GenesisBody {
            protocol_version: swift_chain::PROTOCOL_VERSION,
            nonce: [1; 16],
            time_ms: 1,
            founder: founder.id(),
            address: "127.0.0.1:8000".parse().unwrap(),
            params: swift_chain::NetworkParams::default(),
            origin: None,
        };
        let genesis = swift_chain::Genesis::sign(founder, body);
        let db = swift_chain::LedgerDb::create(&folder.path().join("ledger.db"), &genesis).unwrap();
        let members = Self::default();
        members.fill(db.reader()).unwrap();
        members
    }
}

impl Membership for Members {
    fn standing(&self, node: &NodeId) -> Standing {
        self.read(|inner| match inner.members.get(node) {
            Some(member) => Standing::Member(member.role),
            None if inner.removed.contains(node) => Standing::Removed,
            None => Standing::Stranger,
        })
    }
}

impl AddressBook for Members {
    fn address_of(&self, node: &NodeId) -> Option<Address> {
        self.address(node)
    }
}
