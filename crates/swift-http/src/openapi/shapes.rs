//! The shapes that the document names. Each is closed: an answer with a field that is not here fails the test that asks a
//! real node.

mod asked;
mod files;
mod ledger;
mod members;
mod node;
mod store;

use serde_json::Value;

/// A name and a shape.
type Named = (&'static str, Value);

pub(super) fn all() -> impl Iterator<Item = Named> {
    [node::shapes(), files::shapes(), members::shapes(), ledger::shapes(), store::shapes(), asked::shapes()]
        .into_iter()
        .flatten()
}
