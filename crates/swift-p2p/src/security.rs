//! What happened that an operator who guards the node wants to know: who was refused, and who did wrong.
//!
//! [`SecurityLog::record`] takes no time and never fails: whoever records holds a lock for a moment and waits for no disk.
//! Equal events are counted together, of each kind only so many are told apart in a minute, the first of each source before
//! all others, and what is kept in memory and on disk is bounded: no flood fills either, nor hides what others do. No secret may be handed in; tokens and tickets that get in by mistake are
//! blotted out.

mod book;
mod file;
mod text;

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, oneshot};
use tracing::{info, warn};

use crate::Origin;
use book::Book;
use file::Journal;

/// Lines that may wait for the disk; those beyond are in memory only.
const WAITING_MAX: usize = 1024;
/// Events that a slow listener may be behind.
const HEARD_MAX: usize = 256;
/// How often what was counted together is written, when nothing new happens.
const PAUSE: Duration = Duration::from_secs(60);

/// What kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityKind {
    /// A request to join was refused.
    JoinRefused,
    /// A key that is no member's asked for what members have.
    UnknownKey,
    /// A key that was removed called.
    RemovedKey,
    /// A credential that is unknown, revoked or expired was shown.
    BadToken,
    /// Somebody came too often, or with too many connections.
    RateLimited,
    /// A member did wrong.
    Offence,
    /// A member is not dealt with for a while.
    Ban,
    /// A person signed in.
    SignIn,
    /// A token was made.
    TokenMade,
    /// A token was revoked.
    TokenRevoked,
}

/// What happened, once or several times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityEvent {
    /// Rises from event to event, also over restarts.
    pub id: u64,
    /// When it happened first, in milliseconds since 1970.
    pub time_ms: u64,
    /// When it happened last.
    pub last_ms: u64,
    /// What.
    pub kind: SecurityKind,
    /// Whose doing: an address, a node's id, a token's label.
    pub who: String,
    /// What else there is to say.
    pub detail: String,
    /// How often, within a minute.
    pub count: u64,
}

impl SecurityKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::JoinRefused,
        Self::UnknownKey,
        Self::RemovedKey,
        Self::BadToken,
        Self::RateLimited,
        Self::Offence,
        Self::Ban,
        Self::SignIn,
        Self::TokenMade,
        Self::TokenRevoked,
    ];

    /// What programs call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JoinRefused => "join_refused",
            Self::UnknownKey => "unknown_key",
            Self::RemovedKey => "removed_key",
            Self::BadToken => "bad_token",
            Self::RateLimited => "rate_limited",
            Self::Offence => "offence",
            Self::Ban => "ban",
            Self::SignIn => "sign_in",
            Self::TokenMade => "token_made",
            Self::TokenRevoked => "token_revoked",
        }
    }

    /// What happened, in the node's log.
    const fn sentence(self) -> &'static str {
        match self {
            Self::JoinRefused => "a request to join was refused",
            Self::UnknownKey => "a key that is no member's was shown",
            Self::RemovedKey => "a removed key called",
            Self::BadToken => "a wrong credential was shown",
            Self::RateLimited => "somebody came too often",
            Self::Offence => "a member did wrong",
            Self::Ban => "a member is isolated for its offences",
            Self::SignIn => "somebody signed in",
            Self::TokenMade => "a token was made",
            Self::TokenRevoked => "a token was revoked",
        }
    }
}

impl SecurityEvent {
    fn print(&self) {
        let Self { kind, who, detail, .. } = self;
        match kind {
            SecurityKind::SignIn | SecurityKind::TokenMade | SecurityKind::TokenRevoked => {
                info!(target: "security", who, detail, "{}", kind.sentence());
            }
            _ => warn!(target: "security", who, detail, "{}", kind.sentence()),
        }
    }
}

/// Takes events. Cheap to clone.
#[derive(Clone)]
pub struct SecurityLog(Arc<Shared>);

struct Shared {
    book: Mutex<Book>,
    lines: mpsc::SyncSender<SecurityEvent>,
    heard: broadcast::Sender<SecurityEvent>,
}

/// What the owner of a security log holds.
pub struct SecurityTask {
    /// For those who record and read.
    pub log: SecurityLog,
    /// Resolves when all is written, soon after the last handle is gone.
    pub ended: oneshot::Receiver<()>,
}

impl SecurityTask {
    /// Goes on with the log at a path, or begins one. The clock is the caller's.
    pub fn spawn(path: &Path, now_ms: fn() -> u64) -> std::io::Result<Self> {
        let (journal, past) = Journal::open(path)?;
        let (lines_in, lines) = mpsc::sync_channel(WAITING_MAX);
        let (ended_in, ended) = oneshot::channel();
        let book = Mutex::new(Book::new(past, now_ms));
        let shared = Arc::new(Shared { book, lines: lines_in, heard: broadcast::Sender::new(HEARD_MAX) });
        let weak = Arc::downgrade(&shared);
        thread::Builder::new().name("security".into()).spawn(move || {
            let mut journal = journal;
            loop {
                match lines.recv_timeout(PAUSE) {
                    Ok(line) => journal.write(&line),
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        if let Some(shared) = weak.upgrade() {
                            shared.turn_over();
                        }
                    }
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
            }
            // Nobody may be left to hear that it ended.
            let _ = ended_in.send(());
        })?;
        Ok(Self { log: SecurityLog(shared), ended })
    }
}

impl SecurityLog {
    /// A log that is kept in memory only: for programs that look after that themselves, and for tests.
    pub fn in_memory(now_ms: fn() -> u64) -> Self {
        // Nobody receives: what is sent is dropped.
        let (lines, _) = mpsc::sync_channel(1);
        let book = Mutex::new(Book::new(Vec::new(), now_ms));
        Self(Arc::new(Shared { book, lines, heard: broadcast::Sender::new(HEARD_MAX) }))
    }

    /// Notes that something happened. `who` and `detail` hold no secret. Who causes many events cannot choose who it is.
    pub fn record(&self, kind: SecurityKind, who: impl fmt::Display, detail: impl fmt::Display) {
        let (who, detail) = (text::clean(&who), text::clean(&detail));
        let news = self.0.book().record(kind, &who.clone(), who, detail);
        self.0.tell(news);
    }

    /// Notes what somebody at an address did. It may go by any name: keys cost nothing.
    pub fn record_from(
        &self,
        ip: IpAddr,
        kind: SecurityKind,
        who: impl fmt::Display,
        detail: impl fmt::Display,
    ) {
        let (who, detail) = (text::clean(&who), text::clean(&detail));
        let news = self.0.book().record(kind, &Origin::from(ip).to_string(), who, detail);
        self.0.tell(news);
    }

    /// Events before an id, or the latest, the latest first.
    pub fn latest(&self, before: Option<u64>, limit: usize) -> Vec<SecurityEvent> {
        self.0.book().latest(before, limit)
    }

    /// How often what happened since the node started.
    pub fn counts(&self) -> BTreeMap<SecurityKind, u64> {
        self.0.book().counts()
    }

    /// Hears of events from now on, of each when it happens first.
    pub fn subscribe(&self) -> broadcast::Receiver<SecurityEvent> {
        self.0.heard.subscribe()
    }
}

impl fmt::Debug for SecurityLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecurityLog")
    }
}

impl Shared {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_over(&self) {
        let news = self.book().turn_over();
        self.tell(news);
    }

    fn tell(&self, news: Vec<SecurityEvent>) {
        for event in news {
            // A disk that does not keep up gets less of it, and nobody waits for it.
            let _ = self.lines.try_send(event.clone());
            if event.count == 1 {
                event.print();
                // Nobody may be listening.
                let _ = self.heard.send(event);
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.turn_over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_in_the_list_under_the_name_that_it_is_written_with() {
        for kind in SecurityKind::ALL {
            assert_eq!(serde_json::json!(kind), kind.name());
        }
        assert!(SecurityKind::ALL.is_sorted_by(|a, b| a < b));
    }
}
