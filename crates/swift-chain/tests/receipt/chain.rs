//! A ledger whose validators come and go: blocks are put together by hand and certified by whichever keys a test says.

use swift_chain::*;
use tempfile::TempDir;

use crate::network::{START_MS, add, address, founder_genesis, key, weight};

/// A ledger file, and all the keys. The founder writes, whether it is a validator or not.
pub(crate) struct Chain {
    pub(crate) db: LedgerDb,
    pub(crate) network: NetworkId,
    sequence: u64,
    _folder: TempDir,
}

impl Chain {
    /// Only the genesis block.
    pub(crate) fn founded() -> Self {
        Self::of(&founder_genesis(NetworkParams::default()))
    }

    pub(crate) fn of(genesis: &Genesis) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = LedgerDb::create(&folder.path().join("ledger.db"), genesis).unwrap();
        Self { db, network: genesis.id(), sequence: 0, _folder: folder }
    }

    /// The founder alone in block 1 takes 2 to 5 in and in block 2 makes 2, 3 and 4 validators beside itself. Block 3
    /// has a file. In block 4 the founder steps down; in block 5 comes 5, and a file; in block 6 goes 2. Block 7 has
    /// five transactions, the fourth of which publishes `dir/last.bin`.
    pub(crate) fn with_changes() -> Self {
        let mut chain = Self::founded();
        let newcomers = (2..=5).map(|number| chain.join(number)).collect();
        chain.block(&[1], newcomers);
        chain.block(&[1], vec![weight(2, 1), weight(3, 1), weight(4, 1)]);
        chain.block(&[1, 2, 3], vec![add("first.bin", 1)]);
        chain.block(&[1, 3, 4], vec![weight(1, 0)]);
        chain.block(&[2, 3, 4], vec![weight(5, 2), add("changing.bin", 2)]);
        chain.block(&[2, 3, 5], vec![weight(2, 0)]);
        let files = ["a", "b", "c", "dir/last.bin", "d"].into_iter().zip(3..);
        chain.block(&[3, 5, 4], files.map(|(name, content)| add(name, content)).collect());
        chain
    }

    pub(crate) fn reader(&self) -> &LedgerReader {
        self.db.reader()
    }

    pub(crate) fn genesis(&self) -> &Genesis {
        self.reader().genesis()
    }

    /// Appends a block with these writes of the founder, made final by these keys in round 1.
    pub(crate) fn block(&mut self, signers: &[u8], actions: Vec<Action>) {
        self.db.begin().unwrap();
        self.append(signers, actions);
        self.db.commit().unwrap();
    }

    /// The same within a step that is open.
    pub(crate) fn append(&mut self, signers: &[u8], actions: Vec<Action>) {
        let signed: Vec<_> = actions.into_iter().map(|action| self.transaction(action)).collect();
        let (reader, head) = (self.db.reader(), self.db.reader().head().unwrap());
        let draft =
            draft_block(&key(signers[0]), &self.network, &reader.state(), &head, START_MS + 1000, &signed);
        let Draft { block, refused } = draft.unwrap();
        assert!(refused.is_empty(), "the rules refuse what the test wants: {refused:?}");
        let certificate = certificate(signers, &self.network, &block.block().header);
        let validators = reader.validators().unwrap();
        let sealed = block.certify(&self.network, &validators, certificate).unwrap();
        self.db.append(&sealed).unwrap();
    }

    fn transaction(&mut self, action: Action) -> CheckedTransaction {
        self.sequence += 1;
        let transaction = Transaction {
            network: self.network,
            author: key(1).id(),
            sequence: self.sequence,
            valid_until_ms: START_MS + 1_000_000_000,
            on_behalf_of: Some("ci".to_owned().try_into().unwrap()),
            action,
        };
        SignedTransaction::sign(&key(1), transaction).check(&self.network).unwrap()
    }

    /// The founder takes key `number` in.
    pub(crate) fn join(&self, number: u8) -> Action {
        let (node, address, nonce) = (key(number).id(), address(number), [number; 16]);
        let terms = InvitationTerms {
            inviter: key(1).id(),
            role: Role::Publisher,
            nonce,
            not_after_ms: START_MS + 1_000_000_000,
        };
        let invitation = Box::new(Invitation::sign(&key(1), &self.network, terms));
        let request = JoinRequest { node, address: address.clone(), nonce };
        let joiner_signature = key(number).sign(&self.network, &request);
        Action::AddNode { node, address, invitation, joiner_signature }
    }

    pub(crate) fn record(&self, name: &str) -> FileRecord {
        let name: FileName = name.parse().unwrap();
        self.reader().file(&name.key()).unwrap().unwrap()
    }

    /// The receipt of a live file.
    pub(crate) fn receipt(&self, name: &str) -> Receipt {
        Receipt::of_file(self.reader(), &self.record(name)).unwrap()
    }

    /// What is known of this network from elsewhere.
    pub(crate) fn expected(&self) -> Expectation {
        Expectation { network: Some(self.network), checkpoint: None }
    }

    /// Why a receipt does not hold in this network.
    #[track_caller]
    pub(crate) fn refusal(&self, receipt: &Receipt) -> ReceiptError {
        receipt.verify(&self.expected()).expect_err("the receipt was accepted")
    }
}

/// Precommits of these keys, in round 1.
pub(crate) fn certificate(signers: &[u8], network: &NetworkId, header: &Header) -> Certificate {
    let (height, round, block) = (header.height, 1, header.hash());
    let precommit = |signer: &u8| {
        let (key, kind) = (key(*signer), VoteKind::Precommit);
        let vote = Vote { kind, height, round, block: Some(block), validator: key.id() };
        (key.id(), key.sign(network, &vote))
    };
    let mut signatures: Vec<_> = signers.iter().map(precommit).collect();
    signatures.sort_by_key(|(node, _)| *node);
    Certificate { height, round, block, signatures }
}
