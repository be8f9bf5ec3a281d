//! Taking over blocks that were decided elsewhere.

use super::{Fatal, FollowError, Now, Replica};
use crate::{
    block::SealedBlock,
    evidence::{Evidence, Fork},
    execution::{BlockError, Head, verify_block},
    store::LedgerStore,
};

impl<S: LedgerStore> Replica<S> {
    pub(super) fn follow(
        &mut self,
        now: Now,
        blocks: Vec<SealedBlock>,
    ) -> Result<Result<u64, FollowError>, Fatal> {
        for sealed in blocks {
            let found = sealed.block.header.height;
            if found <= self.head.height {
                if let Some(fork) = self.find_fork(now, &sealed)? {
                    return Ok(Err(fork));
                }
                continue;
            }
            if found > self.head.height + 1 {
                return Ok(Err(FollowError::Gap { head: self.head.height, first: found }));
            }
            let (certificate, hash) = (&sealed.certificate, sealed.block.header.hash());
            let is_final = certificate.check(&self.network, &self.validators, found, hash).is_ok();
            let verified = verify_block(&self.network, &self.store.state(), &self.head, sealed);
            match verified {
                Ok(block) => self.commit(now, block)?,
                Err(BlockError::State(error)) => return Err(error.into()),
                Err(BlockError::Previous { found, .. }) if is_final => {
                    let Head { height, hash: ours, .. } = self.head;
                    return Ok(Err(FollowError::Fork { height, ours, theirs: found }));
                }
                Err(error @ BlockError::UnknownProtocol { .. }) => {
                    return Ok(Err(FollowError::UnknownProtocol(error.to_string())));
                }
                Err(error) => return Ok(Err(FollowError::Invalid(error.to_string()))),
            }
        }
        Ok(Ok(self.head.height))
    }

    /// Whether a block at a height that is decided here differs and is final all the same. If so the proof is kept.
    fn find_fork(&mut self, now: Now, sealed: &SealedBlock) -> Result<Option<FollowError>, Fatal> {
        let (height, theirs) = (sealed.block.header.height, sealed.block.header.hash());
        let Some(own) = self.store.block(height)? else { return Ok(None) };
        let ours = own.block.header.hash();
        let validators = self.store.validators_at(height)?;
        if ours == theirs || sealed.certificate.check(&self.network, &validators, height, theirs).is_err() {
            return Ok(None);
        }
        let first = (own.block.header, own.certificate);
        let second = (sealed.block.header.clone(), sealed.certificate.clone());
        self.catch(now, Evidence::Fork(Box::new(Fork { validators, first, second })))?;
        Ok(Some(FollowError::Fork { height, ours, theirs }))
    }
}
