//! The body of `POST /peer/consensus`: messages of one validator, each behind its length.
//!
//! ```text
//! body  = frame*
//! frame = length (4 bytes, little endian) | canonical bytes of a consensus message
//! ```

use swift_chain::{DecodeError, consensus::ConsensusMessage};

/// Bytes of the longest frame.
pub const FRAME_LEN_MAX: usize = 4 + ConsensusMessage::LEN_MAX;
/// Bytes of one body: two of the longest messages.
pub const BODY_LEN_MAX: usize = 2 * FRAME_LEN_MAX;

/// Why a body is no list of messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It ends inside a frame, or a length exceeds the body.
    #[error("the list of consensus messages is cut short")]
    CutShort,
    /// A frame holds no message.
    #[error(transparent)]
    Message(#[from] DecodeError),
}

/// The frame of one message.
pub fn encode(message: &ConsensusMessage) -> Vec<u8> {
    let content = message.to_bytes();
    // Messages are limited to about 1 MiB, so their length fits.
    let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(4 + content.len());
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&content);
    frame
}

/// Reads a body. Nothing is checked but form and size.
pub fn decode(mut body: &[u8]) -> Result<Vec<ConsensusMessage>, FrameError> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        let (len, rest) = body.split_first_chunk::<4>().ok_or(FrameError::CutShort)?;
        let len = u32::from_le_bytes(*len) as usize;
        let (content, rest) = rest.split_at_checked(len).ok_or(FrameError::CutShort)?;
        messages.push(ConsensusMessage::from_bytes(content)?);
        body = rest;
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use swift_chain::{NetworkId, NodeKey, Vote, VoteKind, consensus::SignedVote};

    use super::*;

    fn message(round: u32) -> ConsensusMessage {
        let key = NodeKey::from_seed([1; 32]);
        let vote = Vote { kind: VoteKind::Prevote, height: 7, round, block: None, validator: key.id() };
        ConsensusMessage::Vote(SignedVote::sign(&key, &NetworkId::default(), vote))
    }

    #[test]
    fn messages_come_out_as_they_went_in_and_a_cut_body_is_refused() {
        let messages: Vec<_> = (0..3).map(message).collect();
        let body: Vec<u8> = messages.iter().flat_map(encode).collect();
        assert_eq!(decode(&body), Ok(messages));
        assert_eq!(decode(&body[..body.len() - 1]), Err(FrameError::CutShort));
        assert_eq!(decode(&[255; 4]), Err(FrameError::CutShort));
        assert_eq!(decode(&[]), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body);
        }
    }
}
