//! What is remembered of events, and which are counted together.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{SecurityEvent, SecurityKind};

/// Events kept in memory.
const KEPT_MAX: usize = 5_000;
/// For so long equal events are counted together.
const WINDOW_MS: u64 = 60_000;
/// Events of one kind that are told apart in that time.
const TOLD_APART_MAX: u32 = 60;

/// The events of one node.
pub(super) struct Book {
    now_ms: fn() -> u64,
    events: VecDeque<SecurityEvent>,
    next_id: u64,
    /// When this window began.
    began_ms: u64,
    /// What happened in this window, by what makes events equal.
    open: HashMap<(SecurityKind, String, String), u64>,
    /// How many of each kind were told apart in this window.
    told: BTreeMap<SecurityKind, u32>,
}

impl Book {
    pub(super) fn new(past: Vec<SecurityEvent>, now_ms: fn() -> u64) -> Self {
        let next_id = past.last().map_or(1, |last| last.id.saturating_add(1));
        let mut events = VecDeque::from(past);
        events.drain(..events.len().saturating_sub(KEPT_MAX));
        Self { now_ms, events, next_id, began_ms: now_ms(), open: HashMap::new(), told: BTreeMap::new() }
    }

    /// Takes an event; what there is to be written and told.
    pub(super) fn record(&mut self, kind: SecurityKind, who: String, detail: String) -> Vec<SecurityEvent> {
        let now_ms = (self.now_ms)();
        let mut news = Vec::new();
        // A clock that was set back ends a window too.
        if now_ms.abs_diff(self.began_ms) >= WINDOW_MS {
            news = self.turn_over();
        }
        let told = self.told.entry(kind).or_insert(0);
        let mut equal = (kind, who, detail);
        if *told >= TOLD_APART_MAX && !self.open.contains_key(&equal) {
            equal = (kind, "others".to_owned(), "more of this kind than are told apart".to_owned());
        }
        if let Some(&id) = self.open.get(&equal) {
            if let Some(event) = self.find(id) {
                event.count = event.count.saturating_add(1);
                event.last_ms = now_ms;
            }
            return news;
        }
        *told += 1;
        let id = self.next_id;
        self.next_id = id.saturating_add(1);
        let (_, who, detail) = equal.clone();
        let event = SecurityEvent { id, time_ms: now_ms, last_ms: now_ms, kind, who, detail, count: 1 };
        self.open.insert(equal, id);
        if self.events.len() >= KEPT_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event.clone());
        news.push(event);
        news
    }

    /// Ends a window: events that happened several times, with how often.
    pub(super) fn turn_over(&mut self) -> Vec<SecurityEvent> {
        let mut ids: Vec<u64> = self.open.drain().map(|(_, id)| id).collect();
        ids.sort_unstable();
        self.told.clear();
        self.began_ms = (self.now_ms)();
        let several = ids.into_iter().filter_map(|id| self.find(id).cloned());
        several.filter(|event| event.count > 1).collect()
    }

    pub(super) fn latest(&self, before: Option<u64>, limit: usize) -> Vec<SecurityEvent> {
        let before = before.unwrap_or(u64::MAX);
        self.events.iter().rev().filter(|event| event.id < before).take(limit).cloned().collect()
    }

    fn find(&mut self, id: u64) -> Option<&mut SecurityEvent> {
        let at = self.events.binary_search_by_key(&id, |event| event.id).ok()?;
        self.events.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn standing_still() -> u64 {
        1_000
    }

    #[test]
    fn equal_events_are_counted_together_and_told_once() {
        let mut book = Book::new(Vec::new(), standing_still);
        let mut record = |who: &str| book.record(SecurityKind::BadToken, who.into(), "unknown".into()).len();
        assert_eq!(
            [record("10.0.0.1"), record("10.0.0.1"), record("10.0.0.2"), record("10.0.0.1")],
            [1, 0, 1, 0]
        );
        let counts: Vec<_> = book.latest(None, 9).iter().map(|event| (event.id, event.count)).collect();
        assert_eq!(counts, [(2, 1), (1, 3)]);
        let written: Vec<_> = book.turn_over().iter().map(|event| (event.id, event.count)).collect();
        assert_eq!(written, [(1, 3)]);
    }

    #[test]
    fn a_flood_of_different_events_becomes_one_and_leaves_other_kinds_their_room() {
        let mut book = Book::new(Vec::new(), standing_still);
        let mut written = 0;
        for number in 0..100_000 {
            written += book.record(SecurityKind::BadToken, format!("who {number}"), "unknown".into()).len();
        }
        assert_eq!(written, 61);
        assert_eq!(book.latest(None, 1)[0].count, 100_000 - 60);
        assert_eq!(book.record(SecurityKind::Offence, "peer".into(), "lied".into()).len(), 1);
        assert!(book.open.len() < 70);
    }

    #[test]
    fn a_minute_later_it_is_news_again_and_memory_stays_bounded() {
        static NOW_MS: AtomicU64 = AtomicU64::new(0);
        let mut book = Book::new(Vec::new(), || NOW_MS.load(Ordering::Relaxed));
        for _ in 0..2 * KEPT_MAX {
            NOW_MS.fetch_add(WINDOW_MS, Ordering::Relaxed);
            // Behind what the minute before came to.
            let news = book.record(SecurityKind::BadToken, "a".into(), "b".into());
            assert_eq!(news.last().map(|event| event.count), Some(1));
            assert!(book.record(SecurityKind::BadToken, "a".into(), "b".into()).is_empty());
        }
        let all = book.latest(None, usize::MAX);
        assert_eq!((all.len(), all[0].id, all[0].count), (KEPT_MAX, 2 * KEPT_MAX as u64, 2));
        let page = book.latest(Some(all[9].id), 3);
        assert_eq!(page, all[10..13]);
    }
}
