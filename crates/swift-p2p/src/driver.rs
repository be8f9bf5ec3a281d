//! The shell around the machines: threads and tasks that own them, feed them inputs, and do what they ask for.
//!
//! Each machine has one owner. Everybody else holds a handle and sends it inputs: no lock is held across a machine.

mod catalog;
mod conduct;
mod finality;
mod gossip;
mod intake;
mod join;
mod keeping;
mod ledger;
mod limits;
mod members;
mod presence;
mod publish;
mod rebuilding;
mod scrub;
mod swarm;
mod upkeep;
mod validators;

pub use catalog::{CatalogError, CatalogHandle, CatalogTask, LevelError, bring_level};
pub use conduct::{
    BODIES_OF_ALL_MAX, BODIES_OF_ONE_MAX, Conduct, ConductTask, Conducted, Isolations, LastOffence,
};
pub use finality::{FINAL_WAIT_MAX, Finality, NO_QUORUM_WAIT_MAX, NotFinal, Patience};
pub use gossip::{GossipError, GossipHandle, GossipSetup, GossipTask};
pub use join::{
    JOIN_OFFER_LEN_MAX, JoinDesk, JoinError, JoinOffer, JoinOfferError, JoinRefusal, ask_to_join, fetch_chain,
};
pub use keeping::{KeepingHandle, KeepingSetup, KeepingTask};
pub use ledger::{
    HandOverError, LedgerError, LedgerHandle, LedgerStartError, LedgerTally, LedgerTask, Queued,
    REFUSALS_KEPT, Refusal, Refusals,
};
pub use limits::{
    ConnectionLimit, ConnectionLimitError, ConnectionsAllowed, KeepLimits, LimitSettings, Limits, Rate,
    RateError, RateLimit, StoredLimitsError, Throttle,
};
pub use members::Members;
pub use presence::{PeerEvent, Presence};
pub use publish::{PublishError, Published, Publisher, Publishing, Withdrawing};
pub use rebuilding::{Attempt, Attempts, RebuildError, RebuildSetup, RebuiltLedger, rebuild_ledger};
pub use scrub::{NoScrub, ScrubHandle, ScrubPace, ScrubSettings, ScrubState, ScrubTask, Scrubbing};
pub use swarm::{
    Arriving, ArrivingContent, Durations, FileCopies, GRAINS_HEADER, LOOK_EVERY, NoLongerArriving, Outgoing,
    PeerRate, PeerTraffic, Prioritized, SendGuard, Serving, Stopped, SwarmHandle, SwarmSetup,
    SwarmStartError, SwarmTally, SwarmTask, Traffic, TransferStage, TransferState, Transfers,
};
pub use upkeep::UpkeepTask;
pub use validators::ForValidatorsSource;

/// Milliseconds since 1970, for the machines that need the wall clock; 0 on a clock set before that.
pub fn wall_clock_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
