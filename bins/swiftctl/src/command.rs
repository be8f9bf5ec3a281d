//! The commands, one module for each group.

pub(crate) mod chain;
pub(crate) mod dashboard;
pub(crate) mod download;
pub(crate) mod files;
pub(crate) mod invite;
pub(crate) mod keep;
pub(crate) mod limit;
pub(crate) mod log;
mod new_file;
pub(crate) mod node;
pub(crate) mod nodes;
mod pages;
pub(crate) mod peers;
pub(crate) mod priority;
mod progress;
pub(crate) mod proof;
pub(crate) mod refusals;
pub(crate) mod scrub;
mod series;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod transfers;
pub(crate) mod trash;
pub(crate) mod upload;
pub(crate) mod watch;
