//! A chain on its way into a ledger of its own.

use std::path::PathBuf;

use swift_chain::{
    ChainFrame, FrameDecoder, Genesis, Input, LedgerBuilder, NetworkId, NodeKey, Now, Output, Replica,
    RequestId, SealedBlock,
};

use super::{
    JoinError,
    asking::{broken_off, remove},
};
use crate::driver::wall_clock_ms;

/// Blocks checked and stored together.
const BLOCKS_PER_STEP: usize = 256;

/// A chain on its way into a ledger of its own. Whoever brings a part of it, each block is checked.
#[derive(Default)]
pub(in crate::driver) struct Intake(Option<Taking>);

struct Taking {
    key: NodeKey,
    network: NetworkId,
    path: PathBuf,
    /// The ledger while the state that a recovered network begins with is still coming.
    building: Option<LedgerBuilder>,
    replica: Option<Replica>,
    blocks: Vec<SealedBlock>,
}

impl Intake {
    /// Nothing yet of the chain of `network`; its ledger is made at `path`.
    pub(in crate::driver) fn new(key: NodeKey, network: NetworkId, path: PathBuf) -> Self {
        Self(Some(Taking { key, network, path, building: None, replica: None, blocks: Vec::new() }))
    }

    /// The ledger as far as it came; none while its beginning is missing.
    pub(in crate::driver) fn replica(&self) -> Option<&Replica> {
        self.0.as_ref().and_then(|taking| taking.replica.as_ref())
    }

    /// The first block that is missing.
    pub(super) fn next_height(&self) -> u64 {
        self.replica().map_or(0, |replica| replica.head().height + 1)
    }

    /// Takes the frames that a decoder has.
    pub(super) fn take(&mut self, decoder: &mut FrameDecoder) -> Result<(), JoinError> {
        let taking = self.0.as_mut().ok_or(JoinError::Interrupted)?;
        let outcome = taking.take(decoder);
        if outcome.is_err() {
            taking.blocks.clear();
        }
        outcome
    }

    /// Takes one frame.
    pub(in crate::driver) fn push(&mut self, frame: ChainFrame) -> Result<(), JoinError> {
        let taking = self.0.as_mut().ok_or(JoinError::Interrupted)?;
        let outcome = taking.push(frame).and_then(|()| taking.step());
        if outcome.is_err() {
            taking.blocks.clear();
        }
        outcome
    }

    /// Forgets a beginning that did not become whole.
    pub(in crate::driver) fn begin_again(&mut self) -> Result<(), JoinError> {
        let Some(taking) = self.0.as_mut().filter(|taking| taking.replica.is_none()) else { return Ok(()) };
        taking.building = None;
        remove(&taking.path)
    }

    /// The ledger, as far as it came.
    pub(in crate::driver) fn finish(self) -> Result<Replica, JoinError> {
        self.0.and_then(|taking| taking.replica).ok_or_else(|| broken_off("its beginning is missing"))
    }
}

impl Taking {
    fn take(&mut self, decoder: &mut FrameDecoder) -> Result<(), JoinError> {
        while let Some(frame) = decoder.next_frame()? {
            self.push(frame)?;
            if self.blocks.len() >= BLOCKS_PER_STEP {
                self.step()?;
            }
        }
        // Blocks do not wait for more of their kind while the memory for them grows.
        self.step()
    }

    fn push(&mut self, frame: ChainFrame) -> Result<(), JoinError> {
        match (frame, &mut self.building, &self.replica) {
            (ChainFrame::Genesis(genesis), None, None) => self.begin(&genesis)?,
            (ChainFrame::Snapshot(frame), Some(building), None) => building.push(&frame)?,
            (ChainFrame::Block(sealed), None, Some(_)) => self.blocks.push(*sealed),
            _ => {
                let order = "a chain is a genesis block, the state that it imports, and blocks";
                return Err(JoinError::Invalid(order.into()));
            }
        }
        if let Some(building) = self.building.take_if(|building| building.is_whole()) {
            self.replica = Some(Replica::new(self.key.clone(), building.finish()?)?);
        }
        Ok(())
    }

    fn begin(&mut self, genesis: &Genesis) -> Result<(), JoinError> {
        let (expected, found) = (self.network, genesis.id());
        if found != expected {
            return Err(JoinError::OtherNetwork { expected, found });
        }
        self.building = Some(LedgerBuilder::new(&self.path, genesis)?);
        Ok(())
    }

    fn step(&mut self) -> Result<(), JoinError> {
        let blocks = std::mem::take(&mut self.blocks);
        let Some(replica) = self.replica.as_mut().filter(|_| !blocks.is_empty()) else { return Ok(()) };
        let outputs = replica
            .step(Now::at_ms(wall_clock_ms()), vec![Input::Blocks { request: RequestId(0), blocks }])?;
        for output in outputs {
            if let Output::Followed { outcome: Err(error), .. } = output {
                return Err(JoinError::Invalid(error.to_string()));
            }
        }
        Ok(())
    }
}
