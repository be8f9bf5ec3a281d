//! What SwiftServe nodes say to each other, and how.
//!
//! The protocols are state machines: [`swarm`] distributes files, [`gossip`] keeps ledgers level, [`keeping`] lets go of
//! files that others keep, [`offences`] judges who does wrong. They take what happened, say what to do, and never
//! do it themselves: no socket, no clock, no random source, no thread. With feature `net` (the default) there is also
//! what runs them: [`transport`], a port on which callers are known by their keys, [`driver`], the threads and tasks
//! that own the machines of a node, and [`security`], where all of them note who was refused and who did wrong. Without
//! it the crate needs no tokio.
//!
//! The crate knows no rules of the ledger but asks `swift-chain`, and reads no content but through `swift-chunks`.
//!
//! # A swarm in memory
//!
//! Three machines, one file, messages carried by hand: what the node's driver does with sockets, a test or simulation
//! does with a loop.
//!
//! ```
//! use std::{collections::BTreeMap, time::Duration};
//! use swift_chain::NodeId;
//! use swift_chunks::{CHUNK_LEN, ChunkLayout, ChunkSet, FileId};
//! use swift_p2p::swarm::{CheckOutcome, Config, ExchangeId, FetchOutcome, Input, Output, Swarm, Time, Want};
//!
//! let file = FileId::from_bytes([9; 32]);
//! let layout = ChunkLayout::new(20 * CHUNK_LEN)?;
//! let ids: Vec<_> = (1..=3).map(|number| NodeId::from_bytes([number; 32])).collect();
//! let mut nodes: BTreeMap<NodeId, Swarm> =
//!     ids.iter().zip(0..).map(|(id, seed)| (*id, Swarm::new(*id, Config::default(), seed))).collect();
//! for (id, node) in &mut nodes {
//!     for peer in ids.iter().filter(|peer| *peer != id) {
//!         node.handle(Time::ZERO, Input::PeerOnline { peer: *peer });
//!     }
//!     let mut held = ChunkSet::empty(layout);
//!     if *id == ids[0] {
//!         held.insert_run(0..20);
//!     }
//!     node.handle(Time::ZERO, Input::FileAdded { file, publisher: ids[0], held, parts: Vec::new(), want: Want::Wanted });
//! }
//!
//! let mut now = Time::ZERO;
//! while !nodes.values().all(|node| node.held(&file).is_some_and(ChunkSet::is_full)) {
//!     now = now + Duration::from_millis(10);
//!     for me in &ids {
//!         nodes.get_mut(me).unwrap().handle(now, Input::Timeout);
//!         while let Some(output) = nodes.get_mut(me).unwrap().poll_output() {
//!             // Whom it concerns, and what that node then hears.
//!             let (to, input) = match output {
//!                 Output::Offer { to, exchange, offer } => (to, Input::Offer { from: *me, exchange, offer }),
//!                 Output::Answer { to, exchange, answer } => {
//!                     (to, Input::OfferAnswered { by: *me, exchange, answer })
//!                 }
//!                 Output::WhoHas { to, who_has } => {
//!                     (to, Input::WhoHas { from: *me, exchange: ExchangeId(0), who_has })
//!                 }
//!                 Output::Holdings { to, holdings, .. } => (to, Input::WhoHasAnswered { by: *me, holdings }),
//!                 Output::Announce { to, holdings } => (to, Input::Announced { from: *me, holdings }),
//!                 Output::Confirm { to, confirm } => (to, Input::Confirmed { by: *me, confirm }),
//!                 // Here the bytes would be fetched and verified.
//!                 Output::Fetch { from, file, slice } => {
//!                     (*me, Input::Fetched { from, file, slice, outcome: FetchOutcome::Verified })
//!                 }
//!                 // And here a chunk that came in several slices would be hashed as a whole.
//!                 Output::Whole { file, chunk } => {
//!                     (*me, Input::ChunkChecked { file, chunk, outcome: CheckOutcome::Verified })
//!                 }
//!                 Output::Completed { file } => (*me, Input::Durable { file }),
//!                 _ => continue,
//!             };
//!             nodes.get_mut(&to).unwrap().handle(now, input);
//!         }
//!     }
//! }
//! # Ok::<(), swift_chunks::FileTooLong>(())
//! ```

#[cfg(feature = "net")]
pub mod driver;

mod allowance;
pub mod gossip;
pub mod keeping;
pub mod offences;
pub mod swarm;

#[cfg(feature = "net")]
mod origin;
#[cfg(feature = "net")]
pub mod security;
#[cfg(feature = "net")]
pub mod transport;

pub use allowance::Allowance;
#[cfg(feature = "net")]
pub use origin::Origin;
