//! One who watches: where it is, and what it is sent next.

use std::{fmt::Write as _, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::stream;
use swift_p2p::transport::HangUp;
use tokio::{
    sync::watch,
    time::{Instant, Interval, interval_at, sleep},
};
use tokio_util::task::AbortOnDropHandle;

use super::{EventType, EventTypes, Events, Found, Place};
use crate::problem::Problem;

/// Between signs of life where nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Bytes of events that are sent at once.
const PIECE_LEN: usize = 64 << 10;
/// How long one may take to read what it is sent, with what the system holds for it.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// A stream of server-sent events.
pub(crate) struct Watching {
    events: Events,
    types: EventTypes,
    /// The last number that was looked at.
    at: u64,
    /// What is sent first.
    greeting: Option<String>,
    latest: watch::Receiver<Option<u64>>,
    heartbeat: Interval,
    /// Asked before every piece: whether the caller may still watch.
    may_go_on: Box<dyn Fn() -> bool + Send>,
    is_counted: bool,
    /// Ends the connection of one that does not read; none where the routes are mounted elsewhere.
    hang_up: Option<HangUp>,
    read_limit: Duration,
    /// Runs while what was handed out last is not sent.
    unread: Option<AbortOnDropHandle<()>>,
    _place: Place,
}

impl Watching {
    /// Begins behind the event with an id, or with what happens from now on, for the token with a label.
    pub(crate) fn begin(
        events: Events,
        label: &str,
        types: EventTypes,
        last_id: Option<&str>,
        may_go_on: impl Fn() -> bool + Send + 'static,
    ) -> Result<Self, Problem> {
        let place = events.place(label)?;
        let latest = events.0.latest.subscribe();
        let Some(newest) = *latest.borrow() else { return Err(Problem::unavailable("the node is stopping")) };
        let mut greeting = "retry: 2000\n\n".to_owned();
        let at = match last_id.map(|id| events.number(id)) {
            None => newest,
            Some(Some(at)) if matches!(events.after(at, types, 0), Found::Events(..)) => at,
            Some(_) => {
                greeting.push_str(&events.reset(newest, "too_old"));
                newest
            }
        };
        let is_counted = types.has(EventType::Transfer);
        if is_counted {
            events.0.transfers.send_modify(|watchers| *watchers += 1);
        }
        Ok(Self {
            events,
            types,
            at,
            greeting: Some(greeting),
            latest,
            heartbeat: interval_at(Instant::now() + HEARTBEAT, HEARTBEAT),
            may_go_on: Box::new(may_go_on),
            is_counted,
            hang_up: None,
            read_limit: READ_LIMIT,
            unread: None,
            _place: place,
        })
    }

    /// Ends the connection that it is sent over, and so gives its place back, when it is not read.
    pub(crate) fn over(mut self, connection: Option<HangUp>) -> Self {
        self.hang_up = connection;
        self
    }

    /// The body of the answer.
    pub(crate) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut watching| async move {
            watching.unread = None;
            let piece = watching.next().await?;
            watching.unread = watching.await_reading();
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece)), watching))
        }))
    }

    /// Nobody asks for the next piece before the last one is on its way, so only a task beside can see that none is asked for.
    fn await_reading(&self) -> Option<AbortOnDropHandle<()>> {
        let (hang_up, limit) = (self.hang_up.clone()?, self.read_limit);
        Some(AbortOnDropHandle::new(tokio::spawn(async move {
            sleep(limit).await;
            hang_up.now();
        })))
    }

    /// What is sent next; nothing at the end.
    async fn next(&mut self) -> Option<String> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            // Marked as seen before it is looked at: what comes meanwhile is news.
            (*self.latest.borrow_and_update())?;
            match self.events.after(self.at, self.types, PIECE_LEN) {
                Found::Gone(newest) => {
                    self.at = newest;
                    return Some(self.events.reset(newest, "lagged"));
                }
                Found::Events(found, at) => {
                    self.at = at;
                    if !found.is_empty() {
                        return (self.may_go_on)().then(|| self.told(&found));
                    }
                }
            }
            tokio::select! {
                changed = self.latest.changed() => changed.ok()?,
                _ = self.heartbeat.tick() => {
                    return (self.may_go_on)().then(|| ":\n\n".to_owned());
                }
            }
        }
    }

    fn told(&self, found: &[(u64, EventType, std::sync::Arc<str>)]) -> String {
        let mut told = String::new();
        for (number, kind, data) in found {
            let (id, kind) = (self.events.id(*number), kind.name());
            // A text takes everything; JSON has no line breaks.
            let _ = write!(told, "id: {id}\nevent: {kind}\ndata: {data}\n\n");
        }
        told
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.is_counted {
            self.events.0.transfers.send_modify(|watchers| *watchers -= 1);
        }
    }
}

impl Events {
    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.0.epoch)
    }

    /// The number in an id of this start.
    fn number(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.split_once('-')?;
        (epoch.parse() == Ok(self.0.epoch)).then(|| number.parse().ok())?
    }

    /// Says that something was missed: what is shown must be loaded anew.
    fn reset(&self, newest: u64, reason: &str) -> String {
        format!("id: {}\nevent: reset\ndata: {{\"reason\":\"{reason}\"}}\n\n", self.id(newest))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use serde_json::json;

    use super::{
        super::{STREAMS_MAX, STREAMS_PER_TOKEN_MAX},
        *,
    };

    fn watch(events: &Events, last_id: Option<&str>) -> Watching {
        let types = EventTypes::default().with(EventType::File);
        Watching::begin(events.clone(), "a", types, last_id, || true).unwrap()
    }

    #[tokio::test]
    async fn who_comes_back_gets_what_it_missed_and_nothing_twice() {
        let events = Events::default();
        let mut first = watch(&events, None);
        assert_eq!(first.next().await.unwrap(), "retry: 2000\n\n");
        events.push(EventType::File, &json!({"a": 1}));
        let told = first.next().await.unwrap();
        let id = events.id(1);
        assert_eq!(told, format!("id: {id}\nevent: file\ndata: {{\"a\":1}}\n\n"));
        drop(first);
        events.push(EventType::Node, &json!({}));
        events.push(EventType::File, &json!({"a": 2}));
        let mut again = watch(&events, Some(&id));
        again.next().await.unwrap();
        assert!(again.next().await.unwrap().starts_with(&format!("id: {}\nevent: file", events.id(3))));
    }

    #[tokio::test]
    async fn who_was_away_too_long_or_meets_another_start_is_told_to_load_anew() {
        let events = Events::default();
        let ids = ["7-1".to_owned(), "x".to_owned(), events.id(9), format!("{}-", events.0.epoch)];
        for id in ids {
            assert!(watch(&events, Some(&id)).next().await.unwrap().contains("event: reset"), "{id}");
        }
        let mut slow = watch(&events, None);
        slow.next().await.unwrap();
        for _ in 0..5000 {
            events.push(EventType::File, &json!({}));
        }
        let told = slow.next().await.unwrap();
        assert!(
            told.contains("event: reset") && told.contains("lagged") && told.contains(&events.id(5000)),
            "{told}"
        );
        let mut late = watch(&events, Some(&events.id(1)));
        assert!(late.next().await.unwrap().contains("too_old"));
    }

    #[tokio::test]
    async fn what_cannot_be_told_is_said_to_have_been_missed() {
        let events = Events::default();
        let mut watching = watch(&events, None);
        watching.next().await.unwrap();
        events.push(EventType::File, &json!({"a": 1}));
        events.lose();
        let told = watching.next().await.unwrap();
        assert!(told.contains("event: reset") && told.contains("lagged"), "{told}");
        events.push(EventType::File, &json!({"a": 2}));
        assert!(watching.next().await.unwrap().contains("{\"a\":2}"));
    }

    /// It kept its place, of 64 that there are, for as long as its connection stood.
    #[tokio::test]
    async fn one_that_stops_reading_is_cut_and_gives_its_place_back() {
        let (events, hang_up) = (Events::default(), HangUp::default());
        let mut watching = watch(&events, None).over(Some(hang_up.clone()));
        watching.read_limit = Duration::from_millis(1);
        let mut body = watching.into_body().into_data_stream();
        // As the server asks for pieces while the client reads them.
        for number in 0..3 {
            events.push(EventType::File, &json!({"a": number}));
            assert!(body.next().await.unwrap().is_ok());
        }
        hang_up.happened().await;
        drop(body);
        assert!(events.by_label().is_empty());
    }

    #[tokio::test]
    async fn a_stop_ends_every_stream_at_once_and_lets_nobody_begin() {
        let events = Events::default();
        let mut watching = watch(&events, None);
        watching.next().await.unwrap();
        let waiting = tokio::spawn(async move { watching.next().await });
        tokio::task::yield_now().await;
        events.close();
        assert_eq!(waiting.await.unwrap(), None);
        let types = EventTypes::default();
        assert!(Watching::begin(events, "a", types, None, || true).is_err());
    }

    #[tokio::test]
    async fn only_so_many_watch_at_once_and_a_place_comes_back() {
        let events = Events::default();
        let begin =
            |label: &str| Watching::begin(events.clone(), label, EventTypes::default(), None, || true);
        let mut open: Vec<_> = (0..STREAMS_PER_TOKEN_MAX).map(|_| begin("a").ok().unwrap()).collect();
        assert!(begin("a").is_err(), "all that one token may have");
        for number in open.len()..STREAMS_MAX {
            open.push(begin(&format!("b{}", number / STREAMS_PER_TOKEN_MAX)).ok().unwrap());
        }
        assert!(begin("c").is_err(), "all that there are");
        open.remove(0);
        open.push(begin("a").ok().unwrap());
        drop(open);
        assert!(events.by_label().is_empty());
    }
}
