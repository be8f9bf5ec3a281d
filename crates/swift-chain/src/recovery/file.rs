//! The file that tells other operators of a recovered network: the beginning of its chain stream.

use std::{
    io::{self, Read, Write},
    path::Path,
};

use crate::{
    db::{DbError, LedgerBuilder, LedgerDb, LedgerReader},
    genesis::{Genesis, Origin},
    stream::{ChainFrame, ChainPosition, FrameDecoder, StreamError},
};

/// Bytes that are read or written at once.
const PIECE_LEN: usize = 256 * 1024;

/// Why a file does not tell of a recovered network.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryFileError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no chain stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// It has no genesis block at its beginning, or something else than the imported state behind it.
    #[error("it does not begin as the chain of a recovered network does")]
    Order,
    /// It tells of a network that imports nothing.
    #[error("it is the chain of a network that begins with nothing, not of a recovered one")]
    NotRecovered,
    /// What it holds is not what its genesis block names, or cannot be stored.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Writes the beginning of a ledger's chain: its genesis block and the state that it imports.
pub fn write_recovery_file(ledger: &LedgerReader, mut to: impl Write) -> Result<(), RecoveryFileError> {
    if ledger.genesis().body().origin.is_none() {
        return Err(RecoveryFileError::NotRecovered);
    }
    let mut next = ChainPosition::Genesis;
    while !matches!(next, ChainPosition::Block { .. }) {
        let (frames, then) = ledger.beginning(next, PIECE_LEN)?;
        to.write_all(&frames)?;
        next = then;
    }
    Ok(to.flush()?)
}

/// A recovery file whose genesis block was read.
#[derive(Debug)]
pub struct RecoveryFile<R> {
    source: R,
    decoder: FrameDecoder,
    genesis: Genesis,
    origin: Origin,
}

impl<R: Read> RecoveryFile<R> {
    /// Reads as far as the genesis block.
    pub fn open(mut source: R) -> Result<Self, RecoveryFileError> {
        let mut decoder = FrameDecoder::default();
        match next_frame(&mut decoder, &mut source)? {
            Some(ChainFrame::Genesis(genesis)) => {
                let origin = genesis.body().origin.ok_or(RecoveryFileError::NotRecovered)?;
                Ok(Self { source, decoder, genesis: *genesis, origin })
            }
            _ => Err(RecoveryFileError::Order),
        }
    }

    /// The genesis block.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// What the network goes on from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Makes the ledger of the network at height 0. Blocks behind the state, as an exported chain has them, are left
    /// for the other members to bring.
    pub fn into_ledger(mut self, path: &Path) -> Result<LedgerDb, RecoveryFileError> {
        let mut builder = LedgerBuilder::new(path, &self.genesis)?;
        while !builder.is_whole() {
            match next_frame(&mut self.decoder, &mut self.source)? {
                Some(ChainFrame::Snapshot(frame)) => builder.push(&frame)?,
                Some(_) => return Err(RecoveryFileError::Order),
                // Says how much is missing.
                None => break,
            }
        }
        Ok(builder.finish()?)
    }
}

/// The next frame; none at the end.
fn next_frame(
    decoder: &mut FrameDecoder,
    source: &mut impl Read,
) -> Result<Option<ChainFrame>, RecoveryFileError> {
    let mut piece = vec![0; PIECE_LEN];
    loop {
        if let Some(frame) = decoder.next_frame()? {
            return Ok(Some(frame));
        }
        let len = source.read(&mut piece)?;
        if len == 0 {
            decoder.finish()?;
            return Ok(None);
        }
        decoder.push(&piece[..len]);
    }
}
