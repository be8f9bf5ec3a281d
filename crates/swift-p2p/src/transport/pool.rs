//! The connections of one client that wait for their next use.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};

use super::line::Line;

/// Shorter than the listener's header deadline: a connection the other side is about to close is never picked.
const IDLE_DEADLINE: Duration = Duration::from_secs(15);

/// Idle connections, the one that was used last at the end.
pub(super) struct Pool {
    idle_max: usize,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    lines: Vec<(Box<Line>, Instant)>,
    /// A task closes those that have waited too long.
    is_swept: bool,
}

impl Pool {
    pub(super) fn new(idle_max: usize) -> Arc<Self> {
        Arc::new(Self { idle_max, idle: Mutex::default() })
    }

    /// The connection that was used last, if there is one that the other side has not closed.
    pub(super) fn take(&self) -> Option<Box<Line>> {
        let mut idle = self.idle();
        idle.close_old(Instant::now());
        while let Some((mut line, _)) = idle.lines.pop() {
            if line.is_free() {
                return Some(line);
            }
        }
        None
    }

    /// Keeps a connection that has done its work, if it can be used again and there are not enough.
    pub(super) fn give_back(self: &Arc<Self>, mut line: Box<Line>) {
        // Outside a runtime there is nothing that a connection could be used for again.
        let Ok(runtime) = Handle::try_current() else { return };
        if !line.is_free() {
            return;
        }
        let now = Instant::now();
        let mut idle = self.idle();
        idle.close_old(now);
        if idle.lines.len() >= self.idle_max {
            return;
        }
        idle.lines.push((line, now + IDLE_DEADLINE));
        if !idle.is_swept {
            idle.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what has waited too long, and says when to look again; never, when nothing is left.
    fn close_old(&self) -> Option<Instant> {
        let mut idle = self.idle();
        idle.close_old(Instant::now());
        let next = idle.lines.first().map(|(_, deadline)| *deadline);
        idle.is_swept = next.is_some();
        next
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// Those that have waited longest stand first.
    fn close_old(&mut self, now: Instant) {
        let old = self.lines.partition_point(|(_, deadline)| *deadline <= now);
        self.lines.drain(..old);
    }
}

/// Looks after a pool until it is empty or gone.
async fn sweep(pool: Weak<Pool>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.close_old()) {
        sleep_until(next).await;
    }
}
