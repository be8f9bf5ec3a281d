//! Limits that an operator sets on what moves between this node and other members: at the start, or while it runs.
//!
//! What clients upload and download is not limited, and neither are the ledger and the swarm's small messages.

mod bucket;
mod connections;
mod places;
mod rate;
mod stored;
mod throttle;

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use connections::{ConnectionLimit, ConnectionLimitError, ConnectionsAllowed};
pub use rate::{Rate, RateError, RateLimit};
pub use stored::StoredLimitsError;
pub use throttle::Throttle;

pub(super) use places::Places;
use stored::Stored;

/// All limits. What is not set is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSettings {
    /// On content that members are sent, in all.
    pub up: Option<Rate>,
    /// On content that members send, in all.
    pub down: Option<Rate>,
    /// On connections with members.
    pub connections: Option<ConnectionLimit>,
}

/// Keeps the limits that were set for the next start: durable when it returns. May block.
pub type KeepLimits = Box<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

/// The limits of a running node. Clones share them.
#[derive(Clone)]
pub struct Limits(Arc<Shared>);

struct Shared {
    /// What the operator gave this start.
    configured: LimitSettings,
    up: Throttle,
    down: Throttle,
    /// Locked while a change is written, so that what is kept is what holds.
    now: Mutex<LimitSettings>,
    bound_by_connections: Mutex<Vec<FollowConnections>>,
    keep: KeepLimits,
}

/// Told of the limit on connections, and of every other one later.
type FollowConnections = Box<dyn Fn(Option<ConnectionLimit>) + Send + Sync>;

impl Limits {
    /// The limits to start with: what the operator gave, and over it what was set while the node ran before, in the
    /// words of `kept`.
    pub fn new(
        configured: LimitSettings,
        kept: Option<&[u8]>,
        keep: KeepLimits,
    ) -> Result<Self, StoredLimitsError> {
        let stored = kept.map(Stored::decode).transpose()?.unwrap_or_default();
        let now = stored.over(configured)?;
        Ok(Self(Arc::new(Shared {
            configured,
            up: Throttle::new(now.up),
            down: Throttle::new(now.down),
            now: Mutex::new(now),
            bound_by_connections: Mutex::default(),
            keep,
        })))
    }

    /// None at all, and nothing is kept: for tests and programs of their own.
    pub fn unlimited() -> Self {
        let (up, down) = (Throttle::default(), Throttle::default());
        let (configured, now) = (LimitSettings::default(), Mutex::default());
        let (bound_by_connections, keep) = (Mutex::default(), Box::new(|_: &[u8]| Ok(())));
        Self(Arc::new(Shared { configured, up, down, now, bound_by_connections, keep }))
    }

    /// What holds now.
    pub fn now(&self) -> LimitSettings {
        *self.settings()
    }

    /// What the operator gave this start.
    pub fn configured(&self) -> LimitSettings {
        self.0.configured
    }

    /// Sets limits, from now on and for later starts. Blocks until they are kept; on an error nothing has changed.
    pub fn change(&self, change: impl FnOnce(&mut LimitSettings)) -> io::Result<LimitSettings> {
        let mut now = self.settings();
        let mut wanted = *now;
        change(&mut wanted);
        (self.0.keep)(&Stored::of(&wanted, &self.0.configured).encode())?;
        *now = wanted;
        self.0.up.set(wanted.up);
        self.0.down.set(wanted.down);
        self.followers().iter().for_each(|follow| follow(wanted.connections));
        Ok(wanted)
    }

    /// What members are sent passes here.
    pub fn up(&self) -> &Throttle {
        &self.0.up
    }

    /// What members send passes here.
    pub fn down(&self) -> &Throttle {
        &self.0.down
    }

    /// Tells of the limit on connections, now and whenever it changes.
    pub fn follow_connections(&self, follow: impl Fn(Option<ConnectionLimit>) + Send + Sync + 'static) {
        // Held until it is in the list, so that it misses no change.
        let now = self.settings();
        follow(now.connections);
        self.followers().push(Box::new(follow));
    }

    fn followers(&self) -> MutexGuard<'_, Vec<FollowConnections>> {
        self.0.bound_by_connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> MutexGuard<'_, LimitSettings> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limits").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bytes: u64) -> Option<Rate> {
        Some(Rate::new(bytes).unwrap())
    }

    #[test]
    fn a_change_holds_at_once_and_after_the_next_start() {
        let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
        let keep = |kept: Arc<Mutex<Vec<u8>>>| -> KeepLimits {
            Box::new(move |bytes| {
                *kept.lock().unwrap() = bytes.to_vec();
                Ok(())
            })
        };
        let configured = LimitSettings { up: rate(50 << 20), ..LimitSettings::default() };
        let limits = Limits::new(configured, None, keep(kept.clone())).unwrap();
        limits.change(|wanted| wanted.up = rate(10 << 20)).unwrap();
        assert_eq!((limits.up().limit(), limits.down().limit()), (rate(10 << 20), None));

        let bytes = kept.lock().unwrap().clone();
        let again = Limits::new(configured, Some(&bytes), keep(kept.clone())).unwrap();
        assert_eq!(again.now().up, rate(10 << 20));
        // Back to what the operator gave: nothing is left of the change.
        again.change(|wanted| *wanted = configured).unwrap();
        assert_eq!(kept.lock().unwrap().as_slice(), b"{}\n");
    }

    #[test]
    fn what_cannot_be_kept_does_not_hold() {
        let keep: KeepLimits = Box::new(|_| Err(io::ErrorKind::StorageFull.into()));
        let limits = Limits::new(LimitSettings::default(), None, keep).unwrap();
        assert!(limits.change(|wanted| wanted.down = rate(1 << 20)).is_err());
        assert_eq!((limits.now(), limits.down().limit()), (LimitSettings::default(), None));
    }
}
