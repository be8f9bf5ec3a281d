//! What all blocks up to a height add up to: members, files, validators.
//!
//! The rules read it through [`StateView`] and answer with [`Change`]s, so that one set of rules serves a node's SQLite
//! tables, an audit in memory, and the [`Overlay`] in which a block's transactions see what came before them.

mod change;
mod memory;
mod overlay;
mod view;

pub use change::Change;
pub(crate) use change::chain_state_hash;
pub use memory::MemoryState;
pub use overlay::Overlay;
pub use view::{AuthorRecord, FileRecord, Member, ProtocolSchedule, StateError, StateView};
