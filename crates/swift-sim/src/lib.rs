//! Many nodes of SwiftServe in one thread, over virtual time, with everything going wrong that can go wrong.
//!
//! One seed decides a whole run: how many nodes there are, what they write, which messages are lost, who crashes in
//! the middle of which step, who lies. The same seed gives the same run, so a failure can be looked at again. The
//! machines are the real ones, [`swift_chain::Replica`] and [`swift_p2p::gossip::Gossip`]; only what is around them is
//! made up. The checkers are apart from what makes the trouble, and share as little as they can with the ledger they
//! judge.
//!
//! ```
//! use swift_sim::{Options, run_seed};
//!
//! let outcome = run_seed(1, &Options::default());
//! assert_eq!(outcome.violation, None);
//! assert_eq!(outcome.trace, run_seed(1, &Options::default()).trace);
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
