//! What is remembered of events, and which are counted together.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{SecurityEvent, SecurityKind};

/// Events kept in memory.
const KEPT_MAX: usize = 5_000;
/// For so long equal events are counted together.
const WINDOW_MS: u64 = 60_000;
/// Sources whose first event of a kind is told in that time, for each kind. So many addresses are not at anybody's hand.
const SOURCES_MAX: usize = 256;
/// Further events of one kind that are told apart in that time, and of one source.
const TOLD_APART_MAX: u32 = 60;
const TOLD_APART_OF_ONE_MAX: u32 = 6;
/// What stands in the place of what is not told apart.
const MORE: &str = "more of this kind than are told apart";

/// The events of one node.
pub(super) struct Book {
    now_ms: fn() -> u64,
    events: VecDeque<SecurityEvent>,
    next_id: u64,
    /// All since the start.
    counts: BTreeMap<SecurityKind, u64>,
    /// When this window began.
    began_ms: u64,
    /// What happened in this window, by what makes events equal.
    open: HashMap<(SecurityKind, String, String), u64>,
    /// How many of each kind were told apart in this window.
    told: BTreeMap<SecurityKind, Told>,
}

#[derive(Default)]
struct Told {
    /// The first events of sources not counted.
    events: u32,
    of: HashMap<String, u32>,
}

impl Told {
    /// Whether one more event of a source is told apart; else to whom it is counted.
    fn admit(&mut self, source: &str) -> Result<(), String> {
        let sources = self.of.len();
        match self.of.get_mut(source) {
            Some(count) if *count < TOLD_APART_OF_ONE_MAX && self.events < TOLD_APART_MAX => {
                *count += 1;
                self.events += 1;
                Ok(())
            }
            Some(_) => Err(source.to_owned()),
            None if sources < SOURCES_MAX => {
                self.of.insert(source.to_owned(), 0);
                Ok(())
            }
            None => Err("others".to_owned()),
        }
    }
}

impl Book {
    pub(super) fn new(past: Vec<SecurityEvent>, now_ms: fn() -> u64) -> Self {
        let next_id = past.last().map_or(1, |last| last.id.saturating_add(1));
        let mut events = VecDeque::from(past);
        events.drain(..events.len().saturating_sub(KEPT_MAX));
        Self {
            now_ms,
            events,
            next_id,
            counts: BTreeMap::new(),
            began_ms: now_ms(),
            open: HashMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Takes an event of a source: what somebody who makes many of them cannot make up. What there is to be written and
    /// told.
    pub(super) fn record(
        &mut self,
        kind: SecurityKind,
        source: &str,
        who: String,
        detail: String,
    ) -> Vec<SecurityEvent> {
        let now_ms = (self.now_ms)();
        *self.counts.entry(kind).or_default() += 1;
        let mut news = Vec::new();
        // A clock that was set back ends a window too.
        if now_ms.abs_diff(self.began_ms) >= WINDOW_MS {
            news = self.turn_over();
        }
        let mut equal = (kind, who, detail);
        if !self.open.contains_key(&equal)
            && let Err(whose) = self.told.entry(kind).or_default().admit(source)
        {
            equal = (kind, whose, MORE.to_owned());
        }
        if let Some(&id) = self.open.get(&equal) {
            if let Some(event) = self.find(id) {
                event.count = event.count.saturating_add(1);
                event.last_ms = now_ms;
            }
            return news;
        }
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

    pub(super) fn counts(&self) -> BTreeMap<SecurityKind, u64> {
        self.counts.clone()
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

    fn record(book: &mut Book, source: &str, who: &str, detail: &str) -> usize {
        book.record(SecurityKind::BadToken, source, who.into(), detail.into()).len()
    }

    #[test]
    fn equal_events_are_counted_together_and_told_once() {
        let mut book = Book::new(Vec::new(), standing_still);
        let whose = ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.1"];
        assert_eq!(whose.map(|who| record(&mut book, who, who, "unknown")), [1, 0, 1, 0]);
        let counts: Vec<_> = book.latest(None, 9).iter().map(|event| (event.id, event.count)).collect();
        assert_eq!(counts, [(2, 1), (1, 3)]);
        let written: Vec<_> = book.turn_over().iter().map(|event| (event.id, event.count)).collect();
        assert_eq!(written, [(1, 3)]);
    }

    /// Of each kind 60 events a minute were told apart, whoever caused them: behind 60 of one's own nobody saw another's.
    #[test]
    fn one_noisy_source_does_not_hide_another_s_first_deed() {
        let mut book = Book::new(Vec::new(), standing_still);
        let mut written = 0;
        for number in 0..100_000 {
            written +=
                record(&mut book, "10.0.0.1", &format!("key {number}"), &format!("asked for {number}"));
        }
        assert_eq!(written, 2 + TOLD_APART_OF_ONE_MAX as usize);
        let more = book.latest(None, 1).remove(0);
        assert_eq!((more.who.as_str(), more.detail.as_str()), ("10.0.0.1", MORE));
        assert_eq!(more.count, 100_000 - 1 - u64::from(TOLD_APART_OF_ONE_MAX));
        for source in 2..200 {
            let who = format!("10.0.0.{source}");
            assert_eq!(record(&mut book, &who, &who, "unknown"), 1);
            assert_eq!(book.latest(None, 1)[0].who, who);
        }
    }

    #[test]
    fn a_flood_from_everywhere_is_counted_together_and_leaves_other_kinds_their_room() {
        let mut book = Book::new(Vec::new(), standing_still);
        let mut written = 0;
        for number in 0..100_000 {
            let source = format!("source {}", number % 5_000);
            written += record(&mut book, &source, &source, &format!("for the {number}th time"));
        }
        let bound = 2 * SOURCES_MAX + 1 + TOLD_APART_MAX as usize;
        assert!(written <= bound && book.open.len() <= bound, "{written}");
        let all = book.latest(None, usize::MAX);
        assert_eq!(all.iter().map(|event| event.count).sum::<u64>(), 100_000);
        assert!(all.iter().any(|event| event.who == "others" && event.count > 90_000));
        assert_eq!(book.record(SecurityKind::Offence, "peer", "peer".into(), "lied".into()).len(), 1);
    }

    #[test]
    fn a_minute_later_it_is_news_again_and_memory_stays_bounded() {
        static NOW_MS: AtomicU64 = AtomicU64::new(0);
        let mut book = Book::new(Vec::new(), || NOW_MS.load(Ordering::Relaxed));
        for _ in 0..2 * KEPT_MAX {
            NOW_MS.fetch_add(WINDOW_MS, Ordering::Relaxed);
            // Behind what the minute before came to.
            let news = book.record(SecurityKind::BadToken, "a", "a".into(), "b".into());
            assert_eq!(news.last().map(|event| event.count), Some(1));
            assert!(book.record(SecurityKind::BadToken, "a", "a".into(), "b".into()).is_empty());
        }
        let all = book.latest(None, usize::MAX);
        assert_eq!((all.len(), all[0].id, all[0].count), (KEPT_MAX, 2 * KEPT_MAX as u64, 2));
        let page = book.latest(Some(all[9].id), 3);
        assert_eq!(page, all[10..13]);
    }
}
