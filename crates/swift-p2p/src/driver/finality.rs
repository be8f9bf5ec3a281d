//! Waiting for a write to become final, but not for ever.
//!
//! A write waits in this node's queue for as long as it takes. Whoever asked for it does not: with a quorum of the
//! validators within reach a block takes moments, and without one nobody can say how long.

use std::{future::Future, pin::pin, time::Duration};

use swift_chain::{NodeId, QuorumHealth, ValidatorSet};
use tokio::{
    select,
    time::{Instant, sleep_until},
};

use super::{members::Members, presence::Presence};

/// How long a caller waits for a write to become final.
pub const FINAL_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long it waits while the validators that can be reached are no quorum: they may be back in a moment.
pub const NO_QUORUM_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long callers wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// In all.
    pub final_max: Duration,
    /// Without a quorum.
    pub no_quorum_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { final_max: FINAL_WAIT_MAX, no_quorum_max: NO_QUORUM_WAIT_MAX }
    }
}

/// A write that was not final in time. It was given up by nobody: it is in this node's queue and becomes final when it
/// can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFinal {
    /// The validators that can be reached are no quorum.
    #[error(
        "no quorum of the validators ({}); the write is kept and becomes final when they return; repeating the \
         request is safe", .0.shortage()
    )]
    NoQuorum(QuorumHealth),
    /// They are one, and no block came all the same.
    #[error(
        "no block has taken the write within {} s, although a quorum of the validators can be reached; the write is \
         kept and goes on; repeating the request is safe", .0.as_secs()
    )]
    Slow(Duration),
}

/// Judges whether the validators can decide, and waits accordingly. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Finality {
    me: NodeId,
    members: Members,
    presence: Presence,
    patience: Patience,
}

impl Finality {
    /// For one node, which reaches itself, but does not decide while it is held after a backup was put back.
    pub fn new(me: NodeId, members: Members, presence: Presence, patience: Patience) -> Self {
        Self { me, members, presence, patience }
    }

    /// How the validators of the next block are.
    pub fn health(&self) -> QuorumHealth {
        self.health_of(&self.members.validators())
    }

    /// How these would be, if they were the validators.
    pub fn health_of(&self, validators: &ValidatorSet) -> QuorumHealth {
        let (online, decides) = (self.presence.online(), !self.members.is_held());
        QuorumHealth::of(validators, |node| if *node == self.me { decides } else { online.contains(node) })
    }

    /// Waits for a quorum of these to be within reach, as long as one waits without one: a node that has just started, or
    /// joined, is not known to be there yet. How they are then.
    pub async fn quorum_of(&self, validators: &ValidatorSet) -> QuorumHealth {
        let (deadline, mut online) = (Instant::now() + self.patience.no_quorum_max, self.presence.watch());
        loop {
            let health = self.health_of(validators);
            if health.has_quorum() {
                return health;
            }
            select! {
                () = sleep_until(deadline) => return self.health_of(validators),
                // It lives as long as this node's parts do.
                _ = online.changed() => {}
            }
        }
    }

    /// Waits for a write that is queued. Giving up waiting does not stop the write, so the future must be one that may
    /// be dropped.
    pub async fn within<T>(&self, write: impl Future<Output = T>) -> Result<T, NotFinal> {
        let Patience { final_max, no_quorum_max } = self.patience;
        let (mut write, mut online) = (pin!(write), self.presence.watch());
        let deadline = Instant::now() + final_max;
        let mut lost_since = None;
        loop {
            let (now, health) = (Instant::now(), self.health());
            lost_since = if health.has_quorum() { None } else { Some(lost_since.unwrap_or(now)) };
            let until = lost_since.map_or(deadline, |since| deadline.min(since + no_quorum_max));
            select! {
                biased;
                done = &mut write => return Ok(done),
                () = sleep_until(until) => match self.health() {
                    health if !health.has_quorum() => return Err(NotFinal::NoQuorum(health)),
                    _ if Instant::now() >= deadline => return Err(NotFinal::Slow(final_max)),
                    // A block has changed the validators meanwhile, and those of now are there.
                    _ => {}
                },
                // It lives as long as this node's parts do.
                _ = online.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use swift_chain::NodeKey;

    use super::*;
    use crate::driver::PeerEvent;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(5);

    /// A network whose founder decides alone, seen by somebody else.
    fn seen_by_another(patience: Patience) -> (NodeId, Presence, Finality) {
        let (key, presence) = (NodeKey::from_seed([1; 32]), Presence::default());
        let members = Members::of_a_new_network(&key);
        let me = NodeId::from_bytes([9; 32]);
        (key.id(), presence.clone(), Finality::new(me, members, presence, patience))
    }

    #[tokio::test]
    async fn what_is_decided_is_told_with_or_without_a_quorum() {
        let (_, _, finality) = seen_by_another(Patience { final_max: LONG, no_quorum_max: LONG });
        assert!(!finality.health().has_quorum());
        assert_eq!(finality.within(async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn without_a_quorum_the_wait_is_short_and_ends_with_who_is_away() {
        let (founder, _, finality) = seen_by_another(Patience { final_max: LONG, no_quorum_max: SHORT });
        let Err(NotFinal::NoQuorum(health)) = finality.within(pending::<()>()).await else {
            panic!("no error")
        };
        assert_eq!(health.away(), [founder]);
        let says = NotFinal::NoQuorum(health).to_string();
        assert!(
            says.contains(&founder.to_string()) && says.contains("repeating the request is safe"),
            "{says}"
        );
    }

    #[tokio::test]
    async fn with_a_quorum_the_wait_is_the_long_one() {
        let patience = Patience { final_max: SHORT, no_quorum_max: LONG };
        let (founder, presence, finality) = seen_by_another(patience);
        presence.note(PeerEvent::Online(founder));
        assert_eq!(finality.within(pending::<()>()).await, Err(NotFinal::Slow(SHORT)));
    }

    /// It is there, and would not vote.
    #[tokio::test]
    async fn a_node_that_is_held_after_a_backup_was_put_back_is_no_part_of_a_quorum() {
        let (founder, _, finality) = seen_by_another(Patience { final_max: LONG, no_quorum_max: SHORT });
        let finality = Finality { me: founder, ..finality };
        assert!(finality.health().has_quorum());
        finality.members.hold(true);
        assert_eq!(finality.health().away(), [founder]);
        assert!(matches!(finality.within(pending::<()>()).await, Err(NotFinal::NoQuorum(_))));
        finality.members.hold(false);
        assert!(finality.health().has_quorum());
    }

    #[tokio::test]
    async fn a_quorum_of_a_set_is_given_a_moment_to_appear() {
        let (founder, presence, finality) =
            seen_by_another(Patience { final_max: LONG, no_quorum_max: LONG });
        let set = ValidatorSet::sole(founder);
        let waiting = tokio::spawn(async move { finality.quorum_of(&set).await });
        presence.note(PeerEvent::Online(founder));
        assert!(waiting.await.unwrap().has_quorum());
        let (founder, _, finality) = seen_by_another(Patience { final_max: LONG, no_quorum_max: SHORT });
        assert_eq!(finality.quorum_of(&ValidatorSet::sole(founder)).await.away(), [founder]);
    }

    #[tokio::test]
    async fn a_quorum_that_is_lost_while_waiting_shortens_the_wait_and_one_that_returns_lengthens_it() {
        let (founder, presence, finality) =
            seen_by_another(Patience { final_max: LONG, no_quorum_max: SHORT });
        presence.note(PeerEvent::Online(founder));
        let (tell, told) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn({
            let finality = finality.clone();
            async move { finality.within(told).await }
        });
        // Lost and back within a moment: nobody is refused, however the two are seen.
        presence.note(PeerEvent::Offline(founder));
        presence.note(PeerEvent::Online(founder));
        tell.send(1).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(Ok(1)));
        let waiting = tokio::spawn(async move { finality.within(pending::<()>()).await });
        presence.note(PeerEvent::Offline(founder));
        assert!(matches!(waiting.await.unwrap(), Err(NotFinal::NoQuorum(_))));
    }
}
