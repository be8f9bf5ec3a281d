//! The one binary form of everything that is hashed or signed: postcard, canonical.
//!
//! Postcard's integers have several encodings of one value on the wire (a varint may carry idle bytes), so decoding
//! alone would let two byte strings mean one block. [`decode`] therefore encodes what it read once more and refuses
//! input that is not exactly that.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are not a value's canonical encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than such a value may be; nothing was decoded.
    #[error("{len} bytes are more than the {len_max} a {what} may have")]
    TooLong {
        /// What was to be decoded.
        what: &'static str,
        /// Bytes that came.
        len: usize,
        /// Bytes allowed.
        len_max: usize,
    },
    /// The bytes do not describe such a value.
    #[error("not a {what}: {reason}")]
    Malformed {
        /// What was to be decoded.
        what: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// The bytes describe a value, but not in the only form allowed.
    #[error("a {what} in a form that is not canonical")]
    NotCanonical {
        /// What was to be decoded.
        what: &'static str,
    },
}

/// The canonical bytes of a value.
///
/// Encoding writes to memory and the ledger's types have no fallible serializer, so there is no error to report.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    match postcard::to_allocvec(value) {
        Ok(bytes) => bytes,
        // Only a map of unknown length or a serializer that fails by itself ends here; the ledger has neither.
        Err(error) => unreachable!("a ledger type failed to encode: {error}"),
    }
}

/// Reads a value from its canonical bytes, at most `len_max` of them.
pub(crate) fn decode<T: Serialize + DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
    len_max: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > len_max {
        return Err(DecodeError::TooLong { what, len: bytes.len(), len_max });
    }
    let value: T = postcard::from_bytes(bytes)
        .map_err(|error| DecodeError::Malformed { what, reason: error.to_string() })?;
    if encode(&value) == bytes { Ok(value) } else { Err(DecodeError::NotCanonical { what }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_idle_bytes_is_refused() {
        assert_eq!(decode::<u64>("number", &[5], 16), Ok(5));
        assert_eq!(
            decode::<u64>("number", &[0x85, 0x00], 16),
            Err(DecodeError::NotCanonical { what: "number" })
        );
    }

    #[test]
    fn bytes_behind_the_value_are_refused() {
        assert_eq!(decode::<u8>("byte", &[5, 6], 16), Err(DecodeError::NotCanonical { what: "byte" }));
    }

    #[test]
    fn input_over_the_limit_is_not_decoded() {
        let error = decode::<Vec<u8>>("text", &[0; 17], 16);
        assert_eq!(error, Err(DecodeError::TooLong { what: "text", len: 17, len_max: 16 }));
    }
}
