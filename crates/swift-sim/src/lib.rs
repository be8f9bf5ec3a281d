//! Many nodes of SwiftServe in one process, over virtual time, with everything going wrong that can go wrong.
//!
//! The machines are the real ones; only what is around them is made up. There are two simulations, and each is a
//! function of its arguments: the same seed gives the same run, so a failure can be looked at again.
//!
//! [`run_seed`] is the ledger's: [`swift_chain::Replica`] and [`swift_p2p::gossip::Gossip`]. The seed decides all: how
//! many nodes there are, what they write, which messages are lost, who crashes in the middle of which step, who lies.
//! The checkers are apart from what makes the trouble, and share as little as they can with the ledger they judge.
//!
//! [`swarm`] is the swarm's: [`swift_p2p::swarm::Swarm`] over links with their speeds and distances. A
//! [`Plan`](swarm::Plan) says how many nodes, which links, which files and which trouble; an
//! [`Outcome`](swarm::Outcome) says how near the best possible time all had everything. A
//! [`Scenario`](swarm::Scenario) is a plan with a name and a bar that it must reach.
//!
//! ```
//! use swift_sim::{Options, run_seed};
//!
//! let outcome = run_seed(1, &Options::default());
//! assert_eq!(outcome.violation, None);
//! assert_eq!(outcome.trace, run_seed(1, &Options::default()).trace);
//! ```
//!
//! ```
//! use swift_sim::swarm::{Plan, run};
//!
//! let outcome = run(&Plan { nodes: 4, size: 1 << 20, ..Plan::default() })?;
//! assert_eq!((outcome.complete, outcome.refetched), (3, 0));
//! # Ok::<(), swift_sim::swarm::PlanError>(())
//! ```

mod dice;
mod ledger;
pub mod swarm;
mod totals;

pub use ledger::{
    Mutation, Numbers, Options, Outcome,
    census::{Census, Event},
    checkers::{Checker, Violation},
    run_seed,
};
pub use totals::{Failure, Totals};
