//! Answering the engine's questions, and noting what it wants done.

use std::{collections::VecDeque, time::Duration};

use malachite_consensus::{ConsensusMsg, Effect, Input, LivenessMsg, Resumable, Resume, SignedConsensusMsg};
use malachite_types::{
    CertificateError, CommitSignature, DoubleProposal, DoubleVote, LinearTimeouts, NilOrVal, Round,
    RoundCertificateType, SignedMessage, ThresholdParam, Timeout, TimeoutKind, VoteType,
};

use super::context::{
    EngineVote, Height, Swift, of_commit, of_polka, of_round_certificate, of_signed_proposal, of_signed_vote,
    of_vote, to_vote,
};
use crate::{
    consensus::{
        Announcement, Output, STEP_TIMEOUT_MAX,
        message::{SignedProposal, SignedVote, Step, WalEntry},
    },
    evidence::Evidence,
    hash::{BlockHash, NetworkId},
    identity::{NodeId, NodeKey, Signature},
    validators::ValidatorSet,
};

/// How long a validator waits before it gives a step up. What a round adds lets slow networks find their own pace.
const TIMEOUTS: LinearTimeouts = LinearTimeouts {
    propose: Duration::from_millis(600),
    propose_delta: Duration::from_millis(400),
    prevote: Duration::from_millis(300),
    prevote_delta: Duration::from_millis(200),
    precommit: Duration::from_millis(300),
    precommit_delta: Duration::from_millis(200),
    rebroadcast: Duration::from_millis(1_000),
    max_timeout: STEP_TIMEOUT_MAX,
};

/// Answers the engine's questions and notes its wishes.
pub(super) struct Effects {
    key: NodeKey,
    network: NetworkId,
    /// Steps that will be given up, in the order in which that was set, and when.
    pub(super) timers: Vec<(Timeout, Duration)>,
    /// The write-ahead log is being replayed: nothing is logged again.
    pub(super) is_recovering: bool,
    pub(super) is_decided: bool,
    /// What the engine gave away at its end.
    pub(super) final_evidence: Vec<Evidence>,
    pub(super) noted: VecDeque<Output>,
}

impl Effects {
    pub(super) fn new(key: NodeKey, network: NetworkId) -> Self {
        let (timers, noted, final_evidence) = (Vec::new(), VecDeque::new(), Vec::new());
        Self { key, network, timers, is_recovering: false, is_decided: false, final_evidence, noted }
    }

    pub(super) fn answer(&mut self, effect: Effect<Swift>, now: Duration) -> Resume<Swift> {
        match effect {
            Effect::CancelAllTimeouts(resume) => {
                self.timers.clear();
                resume.resume_with(())
            }
            Effect::CancelTimeout(timeout, resume) => {
                self.timers.retain(|(set, _)| *set != timeout);
                resume.resume_with(())
            }
            Effect::ScheduleTimeout(timeout, resume) => {
                self.timers.retain(|(set, _)| *set != timeout);
                self.timers.push((timeout, now + TIMEOUTS.duration_for(timeout)));
                resume.resume_with(())
            }
            Effect::StartRound(_, _, _, _, resume) => resume.resume_with(()),
            Effect::PublishConsensusMsg(message, resume) => {
                self.announce(match message {
                    SignedConsensusMsg::Vote(vote) => Announcement::Vote(of_signed_vote(&vote)),
                    SignedConsensusMsg::Proposal(proposal) => {
                        Announcement::Proposal(of_signed_proposal(proposal))
                    }
                });
                resume.resume_with(())
            }
            Effect::PublishLivenessMsg(message, resume) => {
                self.announce(match message {
                    LivenessMsg::Vote(vote) => Announcement::Vote(of_signed_vote(&vote)),
                    LivenessMsg::PolkaCertificate(certificate) => Announcement::Polka(of_polka(&certificate)),
                    LivenessMsg::SkipRoundCertificate(certificate) => {
                        Announcement::Round(of_round_certificate(&certificate))
                    }
                });
                resume.resume_with(())
            }
            Effect::RepublishVote(vote, resume) => {
                self.announce(Announcement::Vote(of_signed_vote(&vote)));
                resume.resume_with(())
            }
            Effect::RepublishRoundCertificate(certificate, resume) => {
                self.announce(Announcement::Round(of_round_certificate(&certificate)));
                resume.resume_with(())
            }
            Effect::GetValue(height, round, _, resume) => {
                if let Some(round) = round.as_u32() {
                    self.noted.push_back(Output::Propose { height: height.0, round });
                }
                resume.resume_with(())
            }
            // Every proposal that is sent carries its block.
            Effect::RestreamProposal(.., resume) => resume.resume_with(()),
            Effect::Decide(certificate, _, resume) => {
                self.is_decided = true;
                self.noted.push_back(Output::Decide { certificate: of_commit(&certificate) });
                resume.resume_with(())
            }
            Effect::SignVote(vote, resume) => {
                let signed = SignedVote::sign(&self.key, &self.network, of_vote(&vote));
                resume.resume_with(to_vote(&signed))
            }
            Effect::SignProposal(proposal, resume) => {
                let signed = SignedProposal::sign(&self.key, &self.network, proposal);
                resume.resume_with(SignedMessage::new(signed.proposal, signed.signature))
            }
            Effect::VerifySignature(message, key, resume) => {
                let is_own = match &message.message {
                    ConsensusMsg::Vote(vote) => key.verify(&self.network, &of_vote(vote), &message.signature),
                    ConsensusMsg::Proposal(proposal) => {
                        key.verify(&self.network, proposal, &message.signature)
                    }
                };
                resume.resume_with(is_own)
            }
            Effect::VerifyCommitCertificate(certificate, set, _, resume) => {
                let (height, block) = (certificate.height.0, certificate.value_id);
                let checked = of_commit(&certificate).check(&self.network, &set, height, block);
                resume.resume_with(checked.map_err(|_| CertificateError::VerificationError(None)))
            }
            Effect::VerifyPolkaCertificate(certificate, set, thresholds, resume) => {
                let votes = certificate.polka_signatures.iter().map(|one| {
                    let (kind, value) = (VoteType::Prevote, NilOrVal::Val(certificate.value_id));
                    (kind, value, one.address, one.signature)
                });
                let (height, round) = (certificate.height, certificate.round);
                resume.resume_with(self.check_votes(height, round, votes, &set, thresholds.quorum))
            }
            Effect::VerifyRoundCertificate(certificate, set, thresholds, resume) => {
                let votes = certificate
                    .round_signatures
                    .iter()
                    .map(|one| (one.vote_type, one.value_id, one.address, one.signature));
                let (height, round) = (certificate.height, certificate.round);
                let is_precommit = certificate.cert_type == RoundCertificateType::Precommit;
                let fits = !is_precommit || votes.clone().all(|(kind, ..)| kind == VoteType::Precommit);
                let threshold = if is_precommit { thresholds.quorum } else { thresholds.honest };
                resume.resume_with(if fits {
                    self.check_votes(height, round, votes, &set, threshold)
                } else {
                    Err(CertificateError::VerificationError(None))
                })
            }
            Effect::WalAppend(_, input, resume) => {
                if !self.is_recovering {
                    self.noted.extend(of_input(input).map(Output::Log));
                }
                resume.resume_with(())
            }
            // The engine gives away here what it kept.
            Effect::Finalize(_, _, evidence, resume) => {
                let votes = evidence.votes.iter().flat_map(|(_, pairs)| pairs);
                let proposals = evidence.proposals.iter().flat_map(|(_, pairs)| pairs);
                self.final_evidence.extend(evidence_of(votes, proposals));
                resume.resume_with(())
            }
            // Blocks are followed outside the engine, and votes carry nothing else.
            Effect::VerifyExtendedCommitCertificate(.., resume) => {
                resume.resume_with(Err(CertificateError::VerificationError(None)))
            }
            Effect::CertVerifiedSyncValue(.., resume) => resume.resume_with(()),
            Effect::CertRejectedSyncValue(.., resume) => resume.resume_with(()),
            Effect::ExtendVote(.., resume) => resume.resume_with(None),
            Effect::VerifyVoteExtension(.., resume) => resume.resume_with(Ok(())),
        }
    }

    fn announce(&mut self, announcement: Announcement) {
        self.noted.push_back(Output::Announce(announcement));
    }

    /// Whether votes of different validators of the set reach a threshold.
    #[allow(clippy::result_large_err, reason = "the engine's own error")]
    fn check_votes(
        &self,
        height: Height,
        round: Round,
        votes: impl Iterator<Item = (VoteType, NilOrVal<BlockHash>, NodeId, Signature)>,
        set: &ValidatorSet,
        threshold: ThresholdParam,
    ) -> Result<(), CertificateError<Swift>> {
        let mut voted = Vec::new();
        let mut signed = 0;
        for (kind, value, validator, signature) in votes {
            let Some(member) = set.get(&validator) else {
                return Err(CertificateError::UnknownValidator(validator));
            };
            if voted.contains(&validator) {
                return Err(CertificateError::DuplicateVote(validator));
            }
            voted.push(validator);
            let vote = EngineVote { kind, height, round, value, validator };
            if !validator.verify(&self.network, &of_vote(&vote), &signature) {
                let one = CommitSignature::new(validator, signature);
                return Err(CertificateError::InvalidCommitSignature(one));
            }
            signed += u64::from(member.weight);
        }
        let total = set.total_weight();
        if threshold.is_met(signed, total) {
            Ok(())
        } else {
            let expected = threshold.min_expected(total);
            Err(CertificateError::NotEnoughVotingPower { signed, total, expected })
        }
    }
}

/// An input that the engine wants logged; none for those that leave nothing to remember.
fn of_input(input: Input<Swift>) -> Option<WalEntry> {
    match input {
        Input::Vote(vote) => Some(WalEntry::Vote(of_signed_vote(&vote))),
        Input::Proposal(proposal) => Some(WalEntry::Proposal(of_signed_proposal(proposal))),
        Input::PolkaCertificate(certificate) => Some(WalEntry::Polka(of_polka(&certificate))),
        Input::ProposedValue(value, _) => Some(WalEntry::Value {
            round: value.round.as_u32()?,
            valid_round: value.valid_round.as_u32(),
            proposer: value.proposer,
            block: value.value,
            is_valid: value.validity.is_valid(),
        }),
        Input::TimeoutElapsed(timeout) => {
            let step = match timeout.kind {
                TimeoutKind::Propose => Step::Propose,
                TimeoutKind::Prevote => Step::Prevote,
                TimeoutKind::Precommit => Step::Precommit,
                TimeoutKind::Rebroadcast | TimeoutKind::FinalizeHeight(_) => return None,
            };
            Some(WalEntry::Elapsed { step, round: timeout.round.as_u32()? })
        }
        Input::StartHeight(..)
        | Input::RoundCertificate(_)
        | Input::Propose(_)
        | Input::SyncValueResponse(_) => None,
    }
}

/// The engine's evidence in this crate's words.
pub(super) fn evidence_of<'e>(
    votes: impl Iterator<Item = &'e DoubleVote<Swift>>,
    proposals: impl Iterator<Item = &'e DoubleProposal<Swift>>,
) -> Vec<Evidence> {
    let votes = votes.map(|(first, second)| Evidence::DoubleVote {
        first: of_signed_vote(first),
        second: of_signed_vote(second),
    });
    let proposals = proposals.map(|(first, second)| Evidence::DoubleProposal {
        first: of_signed_proposal(first.clone()),
        second: of_signed_proposal(second.clone()),
    });
    votes.chain(proposals).collect()
}
