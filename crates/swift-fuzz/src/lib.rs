//! What is done with hostile bytes.
//!
//! Each function takes any bytes, gives them to one reader of what comes from outside, and fails if that panics or, where the
//! form is canonical, if what was read is written otherwise. The fuzz targets in `fuzz/` call these functions, and so do tests
//! with bytes of their own making: whatever a fuzzer finds can be put to them.

mod content;
mod ledger;
mod messages;
mod texts;

pub use content::manifest;
pub use ledger::{block, certificate, chain_stream, evidence, genesis, receipt, transaction};
pub use messages::{answer, confirmation, consensus, hello, holdings, join_offer, offer, who_has};
pub use texts::{configuration, file_name, multipart_name, offer_form, pem_key, range, ticket, token};

/// A body, and the name of its target.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 24] = [
    ("transaction", transaction),
    ("block", block),
    ("certificate", certificate),
    ("genesis", genesis),
    ("evidence", evidence),
    ("chain_stream", chain_stream),
    ("receipt", receipt),
    ("manifest", manifest),
    ("offer", offer),
    ("answer", answer),
    ("confirmation", confirmation),
    ("who_has", who_has),
    ("holdings", holdings),
    ("hello", hello),
    ("consensus", consensus),
    ("join_offer", join_offer),
    ("offer_form", offer_form),
    ("multipart_name", multipart_name),
    ("range", range),
    ("token", token),
    ("ticket", ticket),
    ("file_name", file_name),
    ("pem_key", pem_key),
    ("configuration", configuration),
];

/// Fails unless a canonical form is written as it was read.
fn same<E>(read: Result<Vec<u8>, E>, bytes: &[u8]) {
    if let Ok(written) = read {
        assert_eq!(written, bytes, "written otherwise than read");
    }
}
