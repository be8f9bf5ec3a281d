//! What people and programs write.

use swift_chain::{FileName, NodeId, NodeKey, Ticket};
use swift_http::untrusted;

/// A `Range` header for files of several lengths: what is sent lies within the file.
pub fn range(bytes: &[u8]) {
    for len in [0, 1, 1000, u64::MAX] {
        let parts = untrusted::range(bytes, len);
        assert!(parts.len() <= 16);
        for part in parts {
            assert!(part.start <= part.end && part.end <= len, "{part:?} of {len}");
        }
    }
}

/// An `Authorization` header: what is taken for a token is a part of it.
pub fn token(bytes: &[u8]) {
    if let Some(token) = untrusted::bearer(bytes) {
        assert!(
            bytes.windows(token.len().max(1)).any(|window| window == token.as_bytes()) || token.is_empty()
        );
    }
}

/// The original's form of an offer or confirmation.
pub fn offer_form(bytes: &[u8]) {
    if let Some(name) = untrusted::offer_form(bytes) {
        file_name(name.as_bytes());
    }
}

/// A form with a file: the name that it gives is judged like any other.
pub fn multipart_name(bytes: &[u8]) {
    if let Some(name) = untrusted::multipart_name(bytes) {
        file_name(name.as_bytes());
    }
}

/// A file's name: what passes is a path inside the folder, and its key is that of its normal form.
pub fn file_name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = FileName::normalized(text) {
        assert!(!name.as_str().starts_with('/') && name.as_str().split('/').all(|part| part != ".."));
        assert_eq!(name.as_str().parse().as_ref(), Ok(&name), "its normal form is no name");
    }
    if let Ok(name) = text.parse::<FileName>() {
        assert_eq!(name.as_str(), text);
        assert_eq!(FileName::normalized(text).map(|again| again.key()), Ok(name.key()));
    }
}

/// A ticket.
pub fn ticket(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(ticket) = text.parse::<Ticket>() {
        assert_eq!(ticket.to_string().parse().as_ref(), Ok(&ticket), "read otherwise than written");
    }
}

/// A private key, and a node's id.
pub fn pem_key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = NodeKey::from_pem(text) {
        let again = key.to_pem().ok().and_then(|pem| NodeKey::from_pem(&pem).ok());
        assert_eq!(again.map(|key| key.id()), Some(key.id()), "read otherwise than written");
    }
    if let Ok(id) = text.parse::<NodeId>() {
        assert_eq!(id.to_string().parse().as_ref(), Ok(&id), "read otherwise than written");
    }
}

/// An operator's settings: an error is one line.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(reason) = swiftserve_node::Config::check_text(text) {
        assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}");
    }
}
