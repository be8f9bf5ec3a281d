//! One direction's limit: whoever has bytes to move waits here for their turn.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::{
    sync::{Mutex as Turn, Notify},
    time::sleep,
};

use super::{
    bucket::{Bucket, piece_len},
    rate::Rate,
};

/// Lets the bytes of all transfers of one direction pass at a rate. Clones share it.
///
/// Transfers wait in line, and each gets a piece at a time: no one starves, and only the first in line sleeps. Without
/// a limit nobody waits, and all that is done is to look whether there is one.
#[derive(Clone)]
pub struct Throttle(Arc<Shared>);

struct Shared {
    start: Instant,
    /// Bytes per second, 0 for no limit: for those who only look.
    rate: AtomicU64,
    bucket: Mutex<Option<Bucket>>,
    /// Held by the first in line. It is given on in the order of asking.
    turn: Turn<()>,
    changed: Notify,
}

impl Throttle {
    /// Without a limit unless there is one.
    pub fn new(limit: Option<Rate>) -> Self {
        let throttle = Self(Arc::new(Shared {
            start: Instant::now(),
            rate: AtomicU64::new(0),
            bucket: Mutex::default(),
            turn: Turn::default(),
            changed: Notify::new(),
        }));
        throttle.set(limit);
        throttle
    }

    /// Another limit, or none, from now on: also for those who wait already.
    pub fn set(&self, limit: Option<Rate>) {
        let now = self.0.start.elapsed();
        let mut bucket = self.0.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        match (limit, &mut *bucket) {
            (Some(rate), Some(bucket)) => bucket.set_rate(rate, now),
            (limit, bucket) => *bucket = limit.map(|rate| Bucket::new(rate, now)),
        }
        self.0.rate.store(limit.map_or(0, Rate::get), Ordering::Release);
        drop(bucket);
        self.0.changed.notify_waiters();
    }

    /// The limit now.
    pub fn limit(&self) -> Option<Rate> {
        Rate::new(self.0.rate.load(Ordering::Acquire)).ok()
    }

    /// How many bytes to ask for at once: all of them where there is no limit.
    pub fn piece_len(&self) -> usize {
        self.limit().map_or(usize::MAX, piece_len)
    }

    /// Waits until so many bytes may pass. Dropped before, they do not count.
    pub async fn pass(&self, bytes: usize) {
        if self.limit().is_none() {
            return;
        }
        let _turn = self.0.turn.lock().await;
        let mut changed = pin!(self.0.changed.notified());
        loop {
            // Before looking at the limit, so that no change is missed.
            changed.as_mut().enable();
            let Err(wait) = self.try_pass(bytes as u64) else { return };
            tokio::select! {
                () = sleep(wait) => {}
                () = &mut changed => changed.set(self.0.changed.notified()),
            }
        }
    }

    fn try_pass(&self, bytes: u64) -> Result<(), std::time::Duration> {
        let mut bucket = self.0.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.0.start.elapsed();
        bucket.as_mut().map_or(Ok(()), |bucket| bucket.pass(bytes, now))
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new(None)
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Throttle").field(&self.limit()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn without_a_limit_nobody_waits() {
        let throttle = Throttle::default();
        assert_eq!(throttle.piece_len(), usize::MAX);
        throttle.pass(usize::MAX).await;
    }

    #[tokio::test]
    async fn transfers_take_turns_piece_by_piece() {
        let throttle = Throttle::new(Some(Rate::new(1 << 20).unwrap()));
        let sent: [Arc<AtomicUsize>; 3] = Default::default();
        let mut tasks = JoinSet::new();
        for count in &sent {
            let (throttle, count) = (throttle.clone(), count.clone());
            tasks.spawn(async move {
                for _ in 0..20 {
                    throttle.pass(4096).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Whenever one has ended, the others lack at most a turn.
        tasks.join_next().await.unwrap().unwrap();
        let counts = sent.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert!(counts.iter().all(|&count| count >= 18), "{counts:?}");
    }

    #[tokio::test]
    async fn whoever_waits_learns_of_a_new_limit_at_once() {
        let throttle = Throttle::new(Some(Rate::new(10 * 1024).unwrap()));
        // An hour's worth.
        throttle.pass(3600 * 10 * 1024).await;
        let mut waiting = JoinSet::new();
        for _ in 0..3 {
            let throttle = throttle.clone();
            waiting.spawn(async move { throttle.pass(1).await });
        }
        tokio::task::yield_now().await;
        throttle.set(Some(Rate::new(1 << 30).unwrap()));
        waiting.join_all().await;
        throttle.pass(3600 << 30).await;
        let waiting = tokio::spawn({
            let throttle = throttle.clone();
            async move { throttle.pass(1).await }
        });
        tokio::task::yield_now().await;
        throttle.set(None);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn who_gives_up_waiting_is_in_nobodys_way() {
        let throttle = Throttle::new(Some(Rate::new(10 * 1024).unwrap()));
        throttle.pass(3600 * 10 * 1024).await;
        let first = tokio::spawn({
            let throttle = throttle.clone();
            async move { throttle.pass(1).await }
        });
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.is_err());
        throttle.set(None);
        throttle.pass(1).await;
    }
}
