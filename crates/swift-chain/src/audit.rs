//! Checking a whole chain with nothing but its bytes and, better, the network's id.

use std::io::{self, Read};

use crate::{
    block::SealedBlock,
    execution::{BlockError, CertifiedBlock, Head, verify_block},
    genesis::Genesis,
    hash::NetworkId,
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
    /// A block does not follow.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// A chain being checked, block by block.
#[derive(Debug)]
pub struct Audit {
    network: NetworkId,
    head: Head,
    state: MemoryState,
    transactions: u64,
}

impl Audit {
    /// Begins with a genesis block.
    pub fn new(genesis: &Genesis) -> Self {
        let (head, state) = (Head::of_genesis(genesis), MemoryState::new(genesis));
        Self { network: genesis.id(), head, state, transactions: 0 }
    }

    /// Checks the next block by every rule and goes on to it.
    pub fn push(&mut self, sealed: SealedBlock) -> Result<CertifiedBlock, BlockError> {
        let block = verify_block(&self.network, &self.state, &self.head, sealed)?;
        self.transactions += block.block().transactions.len() as u64;
        self.head = block.as_head();
        self.state.apply(block.effect().changes.clone());
        Ok(block)
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
                    (ChainFrame::Block(sealed), Some(audit)) => see(&audit.push(*sealed)?),
                    _ => return Err(AuditError::Genesis),
                }
            }
        }
        decoder.finish()?;
        audit.ok_or(AuditError::Genesis)
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        self.network
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
}
