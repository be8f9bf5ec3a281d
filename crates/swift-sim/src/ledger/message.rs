//! What nodes send each other.

use std::{fmt, sync::Arc};

use swift_chain::{SealedBlock, SignedTransaction, VoteKind, consensus::ConsensusMessage};
use swift_p2p::gossip::HeadNote;

/// Pairs an answer with what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExchangeId(pub(crate) u64);

/// One message from a node to another.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Consensus(Arc<ConsensusMessage>),
    Transactions(Arc<Vec<SignedTransaction>>),
    /// A greeting, answered by [`Self::Head`].
    Hello {
        exchange: ExchangeId,
        head: HeadNote,
    },
    Head {
        exchange: ExchangeId,
        head: HeadNote,
    },
    /// Asks for blocks, answered by [`Self::Blocks`].
    Ask {
        exchange: ExchangeId,
        from_height: u64,
    },
    Blocks {
        exchange: ExchangeId,
        blocks: Vec<SealedBlock>,
        /// Whether the sender has more.
        has_more: bool,
    },
    /// Brings blocks unasked, answered by [`Self::Taken`].
    Push {
        exchange: ExchangeId,
        blocks: Vec<SealedBlock>,
    },
    Taken {
        exchange: ExchangeId,
    },
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consensus(message) => describe(f, message),
            Self::Transactions(all) => {
                write!(f, "transactions")?;
                all.iter().try_for_each(|signed| {
                    let body = &signed.transaction;
                    write!(f, " {}#{}", body.author.short(), body.sequence)
                })
            }
            Self::Hello { head, .. } => write!(f, "hello {} {}", head.height, short(&head.hash)),
            Self::Head { head, .. } => write!(f, "head {} {}", head.height, short(&head.hash)),
            Self::Ask { from_height, .. } => write!(f, "ask from {from_height}"),
            Self::Blocks { blocks, has_more, .. } => {
                let more = if *has_more { ", more" } else { "" };
                write!(f, "blocks {}{more}", Heights(blocks))
            }
            Self::Push { blocks, .. } => write!(f, "push {}", Heights(blocks)),
            Self::Taken { .. } => write!(f, "taken"),
        }
    }
}

fn describe(f: &mut fmt::Formatter<'_>, message: &ConsensusMessage) -> fmt::Result {
    match message {
        ConsensusMessage::Proposal(signed, block) => {
            let proposal = &signed.proposal;
            let again = proposal.valid_round.map(|round| format!(" of round {round}")).unwrap_or_default();
            write!(f, "proposal {}/{} ", proposal.height, proposal.round)?;
            write!(f, "{}{again} ({} transactions)", short(&proposal.block), block.transactions.len())
        }
        ConsensusMessage::Vote(signed) => {
            let vote = &signed.vote;
            let kind = if vote.kind == VoteKind::Prevote { "prevote" } else { "precommit" };
            let block = vote.block.map_or_else(|| "nil".to_owned(), |block| short(&block));
            write!(f, "{kind} {}/{} {block} of {}", vote.height, vote.round, vote.validator.short())
        }
        ConsensusMessage::Polka(one) => {
            let len = one.signatures.len();
            write!(f, "polka {}/{} {} by {len}", one.height, one.round, short(&one.block))
        }
        ConsensusMessage::Round(one) => {
            write!(f, "round {}/{} {:?} by {}", one.height, one.round, one.end, one.votes.len())
        }
    }
}

/// The first characters of a hash.
pub(crate) fn short(hash: &impl fmt::Display) -> String {
    let mut text = hash.to_string();
    text.truncate(8);
    text
}

struct Heights<'b>(&'b [SealedBlock]);

impl fmt::Display for Heights<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.first(), self.0.last()) {
            (Some(first), Some(last)) => {
                write!(f, "{} to {}", first.block.header.height, last.block.header.height)
            }
            _ => f.write_str("none"),
        }
    }
}
