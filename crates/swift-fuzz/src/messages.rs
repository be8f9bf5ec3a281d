//! What members, and those who want to be members, say.

use swift_p2p::{
    driver::JoinOffer,
    gossip::{Hello, consensus_frames},
    swarm::message::{Answer, Confirm, Holdings, Message, Offer, WhoHas},
};

/// One message or several: each list that is read is as long at most as it may be, and what is written is read again.
fn message<M: Message + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(messages) = M::decode_all(bytes) else { return };
    assert!(bytes.len() <= M::TOGETHER_BYTES_MAX);
    let written = M::encode_all(&messages);
    assert!(written.len() <= bytes.len(), "it grew");
    assert_eq!(M::decode_all(&written).as_ref(), Ok(&messages), "read otherwise than written");
}

/// Offers.
pub fn offer(bytes: &[u8]) {
    message::<Offer>(bytes);
}

/// Answers to offers.
pub fn answer(bytes: &[u8]) {
    message::<Answer>(bytes);
}

/// Confirmations.
pub fn confirmation(bytes: &[u8]) {
    message::<Confirm>(bytes);
}

/// Questions who has files.
pub fn who_has(bytes: &[u8]) {
    message::<WhoHas>(bytes);
}

/// What others have.
pub fn holdings(bytes: &[u8]) {
    message::<Holdings>(bytes);
}

/// A greeting.
pub fn hello(bytes: &[u8]) {
    if let Ok(hello) = Hello::from_bytes(bytes) {
        assert_eq!(Hello::from_bytes(&hello.to_bytes()), Ok(hello), "read otherwise than written");
    }
}

/// Messages between validators.
pub fn consensus(bytes: &[u8]) {
    if let Ok(messages) = consensus_frames::decode(bytes) {
        let written: Vec<u8> = messages.iter().flat_map(consensus_frames::encode).collect();
        assert_eq!(written, bytes, "written otherwise than read");
    }
}

/// A request to join.
pub fn join_offer(bytes: &[u8]) {
    if let Ok(offer) = JoinOffer::from_bytes(bytes) {
        assert_eq!(JoinOffer::from_bytes(&offer.to_bytes()), Ok(offer), "read otherwise than written");
    }
}
