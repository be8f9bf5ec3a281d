//! Checking a whole chain with nothing but its bytes and, better, the network's id.

use std::io::{self, Read};

use crate::{
    block::SealedBlock,
    execution::{BlockError, CertifiedBlock, Head, verify_block},
    genesis::{Genesis, Origin},
    hash::NetworkId,
    snapshot::{SnapshotCheck, SnapshotError, SnapshotFrame},
    state::MemoryState,
    stream::{ChainFrame, FrameDecoder, StreamError},
};

/// Why a chain is not what it claims to be.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The bytes could not be read.
    #[error("the chain cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The bytes are no chain.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The chain does not begin with a genesis block, or has a second one.
    #[error("a chain has one genesis block, at its beginning")]
    Genesis,
    /// It is the chain of another network.
    #[error("this is the chain of network {found}, not of {expected}")]
    OtherNetwork {
        /// The network meant.
        expected: NetworkId,
        /// The network found.
        found: NetworkId,
    },
    /// The state that a recovered network begins with is not the one its genesis block names.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A block does not follow.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// A chain being checked, frame by frame.
#[derive(Debug)]
pub struct Audit {
    genesis: Genesis,
    /// Of the imported state, until all of it has come.
    snapshot: Option<SnapshotCheck>,
    head: Head,
    state: MemoryState,
    transactions: u64,
}

impl Audit {
    /// Begins with a genesis block.
    pub fn new(genesis: &Genesis) -> Self {
        let (head, state) = (Head::of_genesis(genesis), MemoryState::new(genesis));
        let snapshot = genesis.body().origin.map(|_| SnapshotCheck::new(genesis));
        Self { genesis: genesis.clone(), snapshot, head, state, transactions: 0 }
    }

    /// Takes the next frame behind the genesis block; gives the block that it proved to be, if it is one.
    pub fn push_frame(&mut self, frame: ChainFrame) -> Result<Option<CertifiedBlock>, AuditError> {
        match frame {
            ChainFrame::Genesis(_) => Err(AuditError::Genesis),
            ChainFrame::Snapshot(frame) => self.push_snapshot(frame).map(|()| None),
            ChainFrame::Block(sealed) => self.push(*sealed).map(Some),
        }
    }

    /// Checks the next block by every rule and goes on to it.
    pub fn push(&mut self, sealed: SealedBlock) -> Result<CertifiedBlock, AuditError> {
        self.check_whole()?;
        let block = verify_block(&self.network(), &self.state, &self.head, sealed)?;
        self.transactions += block.block().transactions.len() as u64;
        self.head = block.as_head();
        self.state.apply(block.effect().changes.clone());
        Ok(block)
    }

    /// Takes the next part of the imported state. Only when all of it has come is it known to be the right one.
    pub fn push_snapshot(&mut self, frame: SnapshotFrame) -> Result<(), AuditError> {
        let frames = self.frames();
        let check = self.snapshot.as_mut().ok_or(SnapshotError::TooMany { frames })?;
        check.push(&frame)?;
        self.state.apply(frame.into_changes());
        if let Some(check) = self.snapshot.take_if(|check| check.is_whole()) {
            check.finish()?;
        }
        Ok(())
    }

    /// To be called at the end: an error if the state that the genesis block imports has not come whole.
    pub fn check_whole(&self) -> Result<(), SnapshotError> {
        match &self.snapshot {
            Some(check) => Err(SnapshotError::CutShort { found: check.found(), frames: self.frames() }),
            None => Ok(()),
        }
    }

    /// Checks a whole stream from the genesis block on, handing each block to `see` when it proved right.
    pub fn read(
        mut source: impl Read,
        expected: Option<NetworkId>,
        mut see: impl FnMut(&CertifiedBlock),
    ) -> Result<Self, AuditError> {
        let (mut decoder, mut audit) = (FrameDecoder::default(), None::<Self>);
        let mut piece = vec![0; 256 * 1024];
        loop {
            let len = source.read(&mut piece)?;
            if len == 0 {
                break;
            }
            decoder.push(&piece[..len]);
            while let Some(frame) = decoder.next_frame()? {
                match (frame, &mut audit) {
                    (ChainFrame::Genesis(genesis), None) => {
                        let found = genesis.id();
                        if let Some(expected) = expected.filter(|expected| *expected != found) {
                            return Err(AuditError::OtherNetwork { expected, found });
                        }
                        audit = Some(Self::new(&genesis));
                    }
                    (frame, Some(audit)) => {
                        if let Some(block) = audit.push_frame(frame)? {
                            see(&block);
                        }
                    }
                    _ => return Err(AuditError::Genesis),
                }
            }
        }
        decoder.finish()?;
        let audit = audit.ok_or(AuditError::Genesis)?;
        audit.check_whole()?;
        Ok(audit)
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        self.genesis.id()
    }

    /// The network that this one goes on from, if it is a recovered one.
    pub fn origin(&self) -> Option<Origin> {
        self.genesis.body().origin
    }

    /// The last block checked.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What the blocks add up to.
    pub fn state(&self) -> &MemoryState {
        &self.state
    }

    /// Transactions checked.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    fn frames(&self) -> u32 {
        self.origin().map_or(0, |origin| origin.frames)
    }
}
