//! One request's bytes on their way, as a TCP connection would carry them. What the sender knows and what the receiver
//! knows are apart: they hear of each other as late as the way between them is long.

mod incoming;
mod outgoing;
mod window;

pub(crate) use incoming::Incoming;
pub(crate) use outgoing::{Outgoing, Stage};
pub(crate) use window::{PACKET_LEN, Path, Window};
