//! The swarm under simulation: every node's real machine, and around it links with their speeds and distances, over
//! which requests, answers and content travel as TCP would carry them.

mod account;
mod actor;
mod books;
mod clock;
mod connections;
mod envelope;
mod event;
mod links;
mod machine;
mod node;
mod plan;
mod report;
mod scenario;
mod scene;
mod shard;
mod slab;
mod threads;
mod transfer;
mod tuning;
mod world;

pub use plan::{Cast, Conduct, Leaving, Plan, PlanError, Trouble, What, When};
pub use report::{Messages, Offences, Outcome, SizeDone, Verdicts};
pub use scenario::{Bar, Scale, Scenario};
pub use tuning::{Setting, SettingError};

/// Carries out a plan, from the first word of its files until everybody has them and is silent.
pub fn run(plan: &Plan) -> Result<Outcome, PlanError> {
    Ok(world::World::found(plan)?.run())
}
