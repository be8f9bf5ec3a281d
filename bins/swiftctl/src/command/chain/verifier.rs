//! A chain stream judged as its bytes come, in whatever pieces.

use swift_chain::{Audit, AuditError, BlockHash, ChainFrame, FrameDecoder, Head, NetworkId};

/// Checks a stream. Holds the ledger's state, one frame and one piece.
#[derive(Default)]
pub(super) struct Verifier {
    decoder: FrameDecoder,
    audit: Option<Audit>,
    expected: Option<NetworkId>,
    /// A height whose hash somebody claims to know, and the hash found there.
    watched: Option<(u64, Option<BlockHash>)>,
}

impl Verifier {
    /// For the chain of one network, or of whichever it is.
    pub(super) fn new(expected: Option<NetworkId>) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Notes the hash of one block when it comes by.
    pub(super) fn watch(&mut self, height: u64) {
        self.watched = Some((height, None));
    }

    /// The hash of the watched block, if the chain has come so far.
    pub(super) fn watched(&self) -> Option<BlockHash> {
        self.watched.and_then(|(_, hash)| hash)
    }

    /// The last block that proved right.
    pub(super) fn head(&self) -> Option<&Head> {
        self.audit.as_ref().map(Audit::head)
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), AuditError> {
        self.decoder.push(piece);
        while let Some(frame) = self.decoder.next_frame()? {
            self.frame(frame)?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: ChainFrame) -> Result<(), AuditError> {
        let head = match (frame, &mut self.audit) {
            (ChainFrame::Genesis(genesis), None) => {
                let found = genesis.id();
                if let Some(expected) = self.expected.filter(|expected| *expected != found) {
                    return Err(AuditError::OtherNetwork { expected, found });
                }
                *self.audit.insert(Audit::new(&genesis)).head()
            }
            (frame, Some(audit)) => {
                audit.push_frame(frame)?;
                *audit.head()
            }
            _ => return Err(AuditError::Genesis),
        };
        if let Some((height, hash)) = &mut self.watched
            && *height == head.height
        {
            *hash = Some(head.hash);
        }
        Ok(())
    }

    /// The end of the stream.
    pub(super) fn finish(&mut self) -> Result<&Audit, AuditError> {
        self.decoder.finish()?;
        let audit = self.audit.as_ref().ok_or(AuditError::Genesis)?;
        audit.check_whole()?;
        Ok(audit)
    }
}
