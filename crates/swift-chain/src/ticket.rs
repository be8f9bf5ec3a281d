//! Tickets: one line that lets a machine join.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    encoding,
    hash::{BlockHash, NetworkId, sha256},
    identity::NodeId,
    transaction::Invitation,
};

const PREFIX: &str = "swift1";
const CHECKSUM_LEN: usize = 4;
/// Bytes of a decoded ticket; a few addresses fit easily.
const TICKET_LEN_MAX: usize = 4096;
/// Addresses in a ticket.
pub const TICKET_ADDRESSES_MAX: usize = 8;

/// A block everybody who joins by the ticket must have in its chain. It bounds what stolen keys of former validators
/// can forge: nothing at or below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The block's height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
}

/// A text that is no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no checkpoint: expected HEIGHT:HASH, a block's height and the 64 digits of its hash")]
pub struct CheckpointParseError(String);

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.height, self.hash)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointParseError;

    fn from_str(text: &str) -> Result<Self, CheckpointParseError> {
        let parsed = text
            .split_once(':')
            .and_then(|(height, hash)| Some(Self { height: height.parse().ok()?, hash: hash.parse().ok()? }));
        parsed.ok_or_else(|| CheckpointParseError(text.chars().take(100).collect()))
    }
}

/// Everything a new machine needs to join: what the network is, whom to dial, and the permission.
///
/// Its text is `swift1` and lower-case base32 of the canonical bytes and a checksum, without spaces or line breaks.
/// Whoever has it can use it, once: send it like a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The network.
    pub network: NetworkId,
    /// A recent block of it.
    pub checkpoint: Checkpoint,
    /// The member that takes the request to join.
    pub inviter: NodeId,
    /// Where that member can be dialled, best first.
    pub addresses: Vec<Address>,
    /// The permission.
    pub invitation: Invitation,
}

/// A text that is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It does not begin like one.
    #[error("a ticket begins with {PREFIX}; this begins with {0:?}")]
    Prefix(String),
    /// Characters were lost, added or changed.
    #[error(
        "the ticket is damaged: some of its characters are missing or changed; copy the whole line again"
    )]
    Damaged,
    /// It is whole, but not made for this version.
    #[error("the ticket was made by a program of another version: {0}")]
    Content(String),
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = encoding::encode(self);
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        let Some(body) = text.strip_prefix(PREFIX) else {
            return Err(TicketError::Prefix(text.chars().take(PREFIX.len()).collect()));
        };
        if body.len() > TICKET_LEN_MAX * 2 {
            return Err(TicketError::Damaged);
        }
        let bytes =
            BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| TicketError::Damaged)?;
        let split = bytes.len().checked_sub(CHECKSUM_LEN).ok_or(TicketError::Damaged)?;
        let (content, sum) = bytes.split_at(split);
        if sum != checksum(content) {
            return Err(TicketError::Damaged);
        }
        let ticket: Self = encoding::decode("ticket", content, TICKET_LEN_MAX)
            .map_err(|error| TicketError::Content(error.to_string()))?;
        if ticket.addresses.is_empty() || ticket.addresses.len() > TICKET_ADDRESSES_MAX {
            return Err(TicketError::Content("it names no address, or too many".into()));
        }
        Ok(ticket)
    }
}

/// Not for security, which the signatures give, but to tell a mistyped ticket from an expired one.
fn checksum(content: &[u8]) -> [u8; CHECKSUM_LEN] {
    let hash = sha256(&[b"swiftserve/ticket/1\0", content]);
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        identity::NodeKey,
        transaction::{InvitationTerms, Role},
    };

    fn sample() -> Ticket {
        let (key, network) = (NodeKey::from_seed([1; 32]), NetworkId::from_bytes([2; 32]));
        let inviter = key.id();
        let terms = InvitationTerms { inviter, role: Role::Publisher, nonce: [3; 16], not_after_ms: 5 };
        Ticket {
            network,
            checkpoint: Checkpoint { height: 7, hash: BlockHash::from_bytes([4; 32]) },
            inviter,
            addresses: vec!["10.0.0.1:8000".parse().unwrap()],
            invitation: Invitation::sign(&key, &network, terms),
        }
    }

    #[test]
    fn a_ticket_reads_back_also_in_capitals_and_with_a_line_break_behind_it() {
        let ticket = sample();
        let text = ticket.to_string();
        assert_eq!(text.parse(), Ok(ticket.clone()));
        assert_eq!(format!(" {text}\n").parse(), Ok(ticket.clone()));
        let shouted = format!("{PREFIX}{}", text[PREFIX.len()..].to_uppercase());
        assert_eq!(shouted.parse(), Ok(ticket));
    }

    #[test]
    fn a_checkpoint_reads_back_from_its_text() {
        let checkpoint = sample().checkpoint;
        assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
        let hash = checkpoint.hash;
        for text in ["", "7", "7:", "7:ab", &format!(":{hash}"), &format!("-1:{hash}"), &format!("{hash}:7")]
        {
            assert!(text.parse::<Checkpoint>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_lost_or_changed_character_is_noticed() {
        let text = sample().to_string();
        for at in PREFIX.len()..text.len() {
            assert_eq!(text[..at].parse::<Ticket>(), Err(TicketError::Damaged), "cut at {at}");
            let other = if text.as_bytes()[at] == b'a' { "b" } else { "a" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(changed.parse::<Ticket>().is_err(), "changed at {at}");
        }
        assert!(matches!("http://x".parse::<Ticket>(), Err(TicketError::Prefix(_))));
    }
}
