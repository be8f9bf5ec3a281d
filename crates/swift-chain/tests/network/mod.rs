//! A network of replicas in one test: every message is carried by hand, the clock is a number.

#![allow(dead_code, reason = "each test program uses its own part of this")]

pub(crate) mod fleet;

use swift_chain::*;
use tempfile::TempDir;

pub(crate) const START_MS: u64 = 1_700_000_000_000;

pub(crate) fn key(number: u8) -> NodeKey {
    NodeKey::from_seed([number; 32])
}

/// The key, one of the first nine, that has this id.
pub(crate) fn key_of(node: NodeId) -> NodeKey {
    (1..=9).map(key).find(|key| key.id() == node).unwrap()
}

pub(crate) fn hash(number: u8) -> Hash {
    Hash::from_bytes([number; 32])
}

pub(crate) fn address(number: u8) -> Address {
    format!("10.0.0.{number}:8000").parse().unwrap()
}

pub(crate) fn founder_genesis(params: NetworkParams) -> Genesis {
    let founder = key(1);
    let body = GenesisBody {
        protocol_version: PROTOCOL_VERSION,
        nonce: [9; 16],
        time_ms: START_MS,
        founder: founder.id(),
        address: address(1),
        params,
        origin: None,
    };
    Genesis::sign(&founder, body)
}

pub(crate) fn file(name: &str, content: u8) -> FileEntry {
    let name = name.parse().unwrap();
    FileEntry { name, size: u64::from(content) * 1000, file_id: hash(content), manifest_hash: hash(content) }
}

pub(crate) fn add(name: &str, content: u8) -> Action {
    Action::AddFile { file: file(name, content), replaces: None }
}

pub(crate) fn replace(name: &str, content: u8, current: u8) -> Action {
    Action::AddFile { file: file(name, content), replaces: Some(hash(current)) }
}

pub(crate) fn remove(name: &str, content: u8) -> Action {
    Action::RemoveFile { name: name.parse().unwrap(), file_id: hash(content) }
}

/// A client's wish; its answer is known by the number.
pub(crate) fn submission(request: u64, action: Action) -> Input {
    Input::Submit { request: RequestId(request), action, on_behalf_of: None }
}

/// Makes key `number` a validator, or takes its vote with 0.
pub(crate) fn weight(number: u8, weight: u32) -> Action {
    Action::UpdateNode { node: key(number).id(), change: NodeChange::ValidatorWeight(weight) }
}

/// One replica with its own ledger file and clock.
pub(crate) struct Peer {
    pub(crate) replica: Replica,
    pub(crate) folder: TempDir,
    pub(crate) now_ms: u64,
    pub(crate) outputs: Vec<Output>,
    pub(crate) key: NodeKey,
}

impl Peer {
    pub(crate) fn new(key: NodeKey, genesis: &Genesis) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = LedgerDb::create(&folder.path().join("ledger.db"), genesis).unwrap();
        let replica = Replica::new(key.clone(), db).unwrap();
        Self { replica, folder, now_ms: START_MS + 1000, outputs: Vec::new(), key }
    }

    /// The founder of a network with default limits.
    pub(crate) fn founder() -> Self {
        Self::new(key(1), &founder_genesis(NetworkParams::default()))
    }

    /// As after a crash: everything in memory is gone.
    pub(crate) fn reopen(&mut self) {
        let db = LedgerDb::open(&self.folder.path().join("ledger.db")).unwrap().unwrap();
        self.replica = Replica::new(self.key.clone(), db).unwrap();
        self.outputs.clear();
    }

    pub(crate) fn step(&mut self, inputs: Vec<Input>) {
        self.now_ms += 10;
        self.outputs.extend(self.replica.step(Now::at_ms(self.now_ms), inputs).unwrap());
        while self.replica.has_work() {
            self.outputs.extend(self.replica.step(Now::at_ms(self.now_ms), Vec::new()).unwrap());
        }
    }

    pub(crate) fn request(&mut self, number: u64, action: Action) {
        self.step(vec![submission(number, action)]);
    }

    /// What was said to a request, if it is settled.
    pub(crate) fn outcome(&self, number: u64) -> Option<Result<Settled, SubmitError>> {
        self.outputs.iter().find_map(|output| match output {
            Output::Settled { request, outcome } if *request == RequestId(number) => Some(outcome.clone()),
            _ => None,
        })
    }

    /// Submits and expects an answer at once.
    pub(crate) fn submit(&mut self, action: Action) -> Result<Settled, SubmitError> {
        self.outputs.clear();
        self.request(u64::MAX, action);
        self.outcome(u64::MAX).expect("the request is not settled")
    }

    /// Submits, expecting that the rules refuse it and that nothing changes.
    pub(crate) fn refused(&mut self, action: Action) -> Rejection {
        let head = *self.replica.head();
        match self.submit(action) {
            Err(SubmitError::Rejected(rejection)) => {
                assert_eq!(*self.replica.head(), head, "a refused write made a block");
                rejection
            }
            other => panic!("expected a rejection, got {other:?}"),
        }
    }

    pub(crate) fn relayed(&mut self) -> Vec<SignedTransaction> {
        let outputs = std::mem::take(&mut self.outputs);
        let (relays, rest): (Vec<_>, Vec<_>) =
            outputs.into_iter().partition(|output| matches!(output, Output::Relay(_)));
        self.outputs = rest;
        relays
            .into_iter()
            .flat_map(|output| match output {
                Output::Relay(transactions) => transactions,
                _ => Vec::new(),
            })
            .collect()
    }

    /// Who proposes in a round of the next height.
    pub(crate) fn proposer(&self, round: u64) -> NodeKey {
        let set = self.replica.validators();
        let turn = (self.replica.head().height + 1 + round) % set.len() as u64;
        key_of(set.iter().nth(usize::try_from(turn).unwrap()).unwrap().node)
    }

    pub(crate) fn blocks(&self, from: u64) -> Vec<SealedBlock> {
        (from..=self.replica.head().height)
            .map(|height| self.replica.reader().block(height).unwrap().unwrap())
            .collect()
    }

    pub(crate) fn follow(&mut self, blocks: Vec<SealedBlock>) -> Result<u64, FollowError> {
        self.outputs.clear();
        self.step(vec![Input::Blocks { request: RequestId(0), blocks }]);
        self.outputs
            .iter()
            .find_map(|output| match output {
                Output::Followed { outcome, .. } => Some(outcome.clone()),
                _ => None,
            })
            .expect("no answer to blocks")
    }

    pub(crate) fn catch_up(&mut self, from: &Peer) {
        let next = self.replica.head().height + 1;
        assert_eq!(self.follow(from.blocks(next)), Ok(from.replica.head().height));
        assert_eq!(self.replica.head(), from.replica.head());
    }

    pub(crate) fn invitation(&self, role: Role, nonce: u8) -> Invitation {
        let network = self.replica.reader().network();
        let terms = InvitationTerms {
            inviter: self.key.id(),
            role,
            nonce: [nonce; 16],
            not_after_ms: self.now_ms + 1_000_000,
        };
        Invitation::sign(&self.key, &network, terms)
    }

    pub(crate) fn join_action(&self, joiner: &NodeKey, number: u8, invitation: Invitation) -> Action {
        let network = self.replica.reader().network();
        let invitation = Box::new(invitation);
        let nonce = invitation.terms.nonce;
        let request = JoinRequest { node: joiner.id(), address: address(number), nonce };
        let joiner_signature = joiner.sign(&network, &request);
        Action::AddNode { node: joiner.id(), address: address(number), invitation, joiner_signature }
    }

    /// Takes key `number` in with a role and gives its replica, level with this one.
    pub(crate) fn admit(&mut self, number: u8, role: Role) -> Peer {
        let invitation = self.invitation(role, number);
        let action = self.join_action(&key(number), number, invitation);
        self.submit(action).unwrap();
        let mut peer = Peer::new(key(number), self.replica.reader().genesis());
        peer.catch_up(self);
        peer
    }
}

/// The founder of a network, and a publisher that is level with it: key 2.
pub(crate) fn founder_and_member() -> (Peer, Peer) {
    let mut founder = Peer::founder();
    let member = founder.admit(2, Role::Publisher);
    (founder, member)
}

/// Carries a member's waiting transactions to the founder and the blocks back.
pub(crate) fn exchange(member: &mut Peer, founder: &mut Peer) {
    let transactions = member.relayed();
    founder.step(vec![Input::Transactions(transactions)]);
    let next = member.replica.head().height + 1;
    let blocks = founder.blocks(next);
    member.step(vec![Input::Blocks { request: RequestId(0), blocks }]);
}
