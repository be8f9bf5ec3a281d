//! Random bytes that let somebody in, as they are shown, once.

use data_encoding::BASE32_NOPAD;

/// As text that survives being read out, typed, and put into an address.
pub(crate) fn text(secret: &[u8; 32]) -> String {
    BASE32_NOPAD.encode(secret).to_ascii_lowercase()
}
