//! What happened how often. A kind of trouble that never came up was not tested.

use serde::Serialize;

/// Everything that a run must have met, all seeds taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A message did not arrive.
    Loss,
    /// A message arrived twice.
    Duplicate,
    /// A message was on its way for long.
    Straggler,
    /// A message arrived before one that was sent earlier.
    Reordering,
    /// A message was stopped by a partition in both directions.
    TwoWayCut,
    /// A message was stopped by a partition in one direction.
    OneWayCut,
    /// A node crashed between two steps.
    CrashAtRest,
    /// A node crashed before a step with consequences was durable.
    CrashLosingStep,
    /// A node crashed after a step was durable and before anybody heard of it.
    CrashBeforeSending,
    /// A node crashed when some had heard of a step.
    CrashWhileSending,
    /// A node's disk was replaced by an older copy.
    Restored,
    /// A node that came from a backup took part again.
    HoldEnded,
    /// A node began with a write-ahead log.
    WalReplay,
    /// A node stood still and then got everything late.
    Pause,
    /// A wall clock jumped by seconds or minutes.
    ClockJump,
    /// A wall clock jumped by more than a transaction is valid.
    ClockFarOff,
    /// A disk took long.
    SlowDisk,
    /// A disk refused a write and its node stopped.
    DiskFailure,
    /// A member became validator.
    Promotion,
    /// A validator became an ordinary member.
    Demotion,
    /// A validator's weight changed.
    Reweighting,
    /// A member was removed.
    Removal,
    /// A member joined.
    Joining,
    /// A write was acknowledged.
    Acknowledged,
    /// A write was refused.
    Refused,
    /// A write that had left its node was taken back before it was refused.
    TakenBack,
    /// A client asked again because no answer had come.
    Retry,
    /// A block without transactions was decided.
    EmptyBlock,
    /// A block was decided in a later round than the first.
    LaterRound,
    /// Two lives of the liar talked to different validators.
    SplitBrain,
    /// The liar signed another vote than its replica did.
    TwistedVote,
    /// The liar proposed another valid block than its replica did.
    RivalProposal,
    /// The liar proposed a block that breaks a rule.
    InvalidProposal,
    /// The liar changed a certificate.
    JunkCertificate,
    /// The liar said nothing.
    Withheld,
    /// The liar repeated something old.
    Replayed,
    /// A transaction that breaks a rule was sent to a validator.
    JunkTransaction,
    /// A member told of a head that it does not have.
    FalseHead,
    /// A member served blocks that are forged.
    ForgedBlocks,
    /// A node refused blocks of a hostile member.
    RefusedBlocks,
    /// A node kept two votes as evidence.
    VoteEvidence,
    /// A node kept two proposals as evidence.
    ProposalEvidence,
    /// A node brought blocks to another, which did not fetch them.
    Push,
    /// A validator was cut off with a write that others had heard of at most in part.
    LeftOut,
    /// A validator was cut off with a write of which the others had heard nothing, but were deciding for its sake.
    LeftOutHeard,
}

impl Event {
    /// All kinds.
    pub const ALL: [Self; 45] = [
        Self::Loss,
        Self::Duplicate,
        Self::Straggler,
        Self::Reordering,
        Self::TwoWayCut,
        Self::OneWayCut,
        Self::CrashAtRest,
        Self::CrashLosingStep,
        Self::CrashBeforeSending,
        Self::CrashWhileSending,
        Self::Restored,
        Self::HoldEnded,
        Self::WalReplay,
        Self::Pause,
        Self::ClockJump,
        Self::ClockFarOff,
        Self::SlowDisk,
        Self::DiskFailure,
        Self::Promotion,
        Self::Demotion,
        Self::Reweighting,
        Self::Removal,
        Self::Joining,
        Self::Acknowledged,
        Self::Refused,
        Self::TakenBack,
        Self::Retry,
        Self::EmptyBlock,
        Self::LaterRound,
        Self::SplitBrain,
        Self::TwistedVote,
        Self::RivalProposal,
        Self::InvalidProposal,
        Self::JunkCertificate,
        Self::Withheld,
        Self::Replayed,
        Self::JunkTransaction,
        Self::FalseHead,
        Self::ForgedBlocks,
        Self::RefusedBlocks,
        Self::VoteEvidence,
        Self::ProposalEvidence,
        Self::Push,
        Self::LeftOut,
        Self::LeftOutHeard,
    ];
}

/// How often each kind of [`Event`] happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Census(std::collections::BTreeMap<Event, u64>);

impl Census {
    pub(crate) fn count(&mut self, event: Event) {
        *self.0.entry(event).or_default() += 1;
    }

    /// How often it happened.
    pub fn of(&self, event: Event) -> u64 {
        self.0.get(&event).copied().unwrap_or_default()
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (event, count) in &other.0 {
            *self.0.entry(*event).or_default() += count;
        }
    }

    /// What never happened.
    pub fn missing(&self) -> Vec<Event> {
        Event::ALL.into_iter().filter(|event| self.of(*event) == 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_missing() {
        let mut census = Census::default();
        assert_eq!(census.missing().len(), Event::ALL.len());
        census.count(Event::Loss);
        let mut other = Census::default();
        other.count(Event::Loss);
        other.count(Event::Pause);
        census.add(&other);
        assert_eq!(census.of(Event::Loss), 2);
        assert!(!census.missing().contains(&Event::Pause));
        assert_eq!(census.missing().len(), Event::ALL.len() - 2);
    }
}
