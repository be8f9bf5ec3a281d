//! Browsers that are signed in, and the one-time secrets that sign one in. All of it in memory: a restart signs everybody
//! out. As of tokens, only hashes are here, and what is shown is looked up by its hash: what a guesser learns from the
//! time it takes is about hashes, which he cannot choose.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::secret;
use crate::tokens::{Scope, SecretHash, TokenRecord, Tokens, console_label};

/// How long a sign-in address works.
const INVITATION_MS: u64 = 10 * 60 * 1000;
/// How long a browser stays signed in.
pub(crate) const SESSION_MS: u64 = 12 * 60 * 60 * 1000;
/// Sign-in addresses that wait at one time; a new one ends the oldest.
const INVITATIONS_MAX: usize = 8;
/// Browsers that are signed in at one time by sign-in addresses, and by each token; a new one ends the oldest of these.
const SESSIONS_MAX: usize = 32;
/// Browsers that are signed in at one time by tokens.
const SESSIONS_BY_TOKENS_MAX: usize = 1024;

/// Who signed a session in, and thereby what it allows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Whoever runs the node, by a one-time address.
    Operator,
    /// The holder of a token, for as long as that is good.
    Token(SecretHash),
}

#[derive(Clone, Copy)]
struct Session {
    by: By,
    created_ms: u64,
    expires_ms: u64,
}

/// All of one node.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Until when each works.
    invitations: BTreeMap<SecretHash, u64>,
    sessions: BTreeMap<SecretHash, Session>,
}

impl Sessions {
    /// A secret that signs one browser in as the operator, and until when.
    pub(crate) fn invite(&self, secret: [u8; 32], now_ms: u64) -> (String, u64) {
        let text = secret::text(&secret);
        let expires_ms = now_ms.saturating_add(INVITATION_MS);
        let mut inner = self.inner();
        inner.invitations.retain(|_, until| now_ms < *until);
        make_room(&mut inner.invitations, INVITATIONS_MAX, |_| true, |until| *until);
        inner.invitations.insert(hash(&text), expires_ms);
        (text, expires_ms)
    }

    /// Exchanges a one-time secret for a session; nothing when it is unknown, used or too old. Whatever `fresh` is, it
    /// must be random.
    pub(crate) fn redeem(&self, invitation: &str, fresh: [u8; 32], now_ms: u64) -> Option<String> {
        let mut inner = self.inner();
        let until = inner.invitations.remove(&hash(invitation))?;
        (now_ms < until).then(|| inner.open(By::Operator, fresh, now_ms))
    }

    /// Exchanges a token for a session; nothing when it is unknown, revoked or expired.
    pub(crate) fn sign_in(
        &self,
        tokens: &Tokens,
        token: &str,
        fresh: [u8; 32],
        now_ms: u64,
    ) -> Option<String> {
        tokens.find(token, now_ms)?;
        Some(self.inner().open(By::Token(SecretHash::of(token)), fresh, now_ms))
    }

    /// What the session with this secret allows now, as if it were a token that ends with it.
    pub(crate) fn find(&self, tokens: &Tokens, secret: &str, now_ms: u64) -> Option<TokenRecord> {
        self.find_by_hash(tokens, &hash(secret), now_ms)
    }

    /// The same by the hash of its secret.
    pub(crate) fn find_by_hash(
        &self,
        tokens: &Tokens,
        hash: &SecretHash,
        now_ms: u64,
    ) -> Option<TokenRecord> {
        let session = *self.inner().sessions.get(hash)?;
        if now_ms >= session.expires_ms {
            return None;
        }
        let Session { by, created_ms, expires_ms } = session;
        match by {
            By::Operator => Some(TokenRecord {
                label: console_label(),
                scopes: [Scope::Admin].into(),
                created_ms,
                expires_ms: Some(expires_ms),
            }),
            By::Token(hash) => {
                let token = tokens.find_by_hash(&hash, now_ms)?;
                let ends_ms = token.expires_ms.map_or(expires_ms, |token_ms| token_ms.min(expires_ms));
                Some(TokenRecord { expires_ms: Some(ends_ms), ..token })
            }
        }
    }

    /// Ends a session; false when there is none.
    pub(crate) fn sign_out(&self, secret: &str) -> bool {
        self.inner().sessions.remove(&hash(secret)).is_some()
    }

    /// How many browsers are signed in, as far as it was looked at of late.
    pub(crate) fn len(&self) -> usize {
        self.inner().sessions.len()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Its maps are whole between any two of their calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn open(&mut self, by: By, fresh: [u8; 32], now_ms: u64) -> String {
        let text = secret::text(&fresh);
        self.sessions.retain(|_, session| now_ms < session.expires_ms);
        let of_its_own = |session: &Session| session.by == by;
        make_room(&mut self.sessions, SESSIONS_MAX, of_its_own, |session| session.expires_ms);
        if by != By::Operator {
            // The operator is signed out by nobody else.
            let of_tokens = |session: &Session| session.by != By::Operator;
            make_room(&mut self.sessions, SESSIONS_BY_TOKENS_MAX, of_tokens, |session| session.expires_ms);
        }
        let expires_ms = now_ms.saturating_add(SESSION_MS);
        self.sessions.insert(hash(&text), Session { by, created_ms: now_ms, expires_ms });
        text
    }
}

/// Of some, lets those go that end first, until there is room for one more of them.
fn make_room<V>(
    map: &mut BTreeMap<SecretHash, V>,
    count_max: usize,
    is_one: impl Fn(&V) -> bool,
    end: impl Fn(&V) -> u64,
) {
    loop {
        let some = || map.iter().filter(|(_, value)| is_one(value));
        if some().count() < count_max {
            return;
        }
        let Some(first) = some().min_by_key(|(_, value)| end(value)).map(|(hash, _)| *hash) else { return };
        map.remove(&first);
    }
}

fn hash(text: &str) -> SecretHash {
    SecretHash::of(text)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn tokens() -> (tempfile::TempDir, Tokens) {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&folder.path().join("tokens.db")).unwrap();
        (folder, tokens)
    }

    fn record(label: &str, expires_ms: Option<u64>) -> TokenRecord {
        let label = label.to_owned().try_into().unwrap();
        TokenRecord { label, scopes: [Scope::Read].into(), created_ms: 0, expires_ms }
    }

    #[test]
    fn a_one_time_secret_opens_one_session_within_ten_minutes() {
        let ((_folder, tokens), sessions) = (tokens(), Sessions::default());
        let (first, _) = sessions.invite([1; 32], 0);
        let session = sessions.redeem(&first, [2; 32], INVITATION_MS - 1).unwrap();
        assert!(sessions.find(&tokens, &session, INVITATION_MS).unwrap().allows(Scope::Admin));
        assert_eq!(sessions.redeem(&first, [3; 32], 1), None, "once");
        let (late, _) = sessions.invite([4; 32], 0);
        assert_eq!(sessions.redeem(&late, [5; 32], INVITATION_MS), None);
        assert_eq!(sessions.redeem("never", [6; 32], 0), None);
        assert_eq!(sessions.redeem(&session, [7; 32], 0), None, "a session's secret is no other one's");
        assert_eq!(sessions.find(&tokens, &first, 1), None);
    }

    #[test]
    fn a_session_ends_after_twelve_hours_or_when_it_is_signed_out() {
        let ((_folder, tokens), sessions) = (tokens(), Sessions::default());
        let open = |seed: u8| {
            let (invitation, _) = sessions.invite([seed; 32], 0);
            sessions.redeem(&invitation, [seed + 100; 32], 0).unwrap()
        };
        let (kept, left) = (open(1), open(2));
        assert!(sessions.sign_out(&left) && !sessions.sign_out(&left));
        assert_eq!(sessions.find(&tokens, &left, 1), None);
        assert!(sessions.find(&tokens, &kept, SESSION_MS - 1).is_some());
        assert_eq!(sessions.find(&tokens, &kept, SESSION_MS), None);
    }

    #[test]
    fn a_session_by_a_token_allows_what_that_allows_for_as_long_as_it_is_good() {
        let ((_folder, tokens), sessions) = (tokens(), Sessions::default());
        let (ends, stays) = (record("ends", Some(10)), record("stays", None));
        let (ends, stays) = (tokens.create(ends, [1; 32]).unwrap(), tokens.create(stays, [2; 32]).unwrap());
        let short = sessions.sign_in(&tokens, &ends, [3; 32], 0).unwrap();
        let long = sessions.sign_in(&tokens, &stays, [4; 32], 0).unwrap();
        assert_eq!(sessions.sign_in(&tokens, "sst_wrong", [5; 32], 0), None);
        let found = sessions.find(&tokens, &short, 9).unwrap();
        assert!(found.allows(Scope::Read) && !found.allows(Scope::Publish));
        assert_eq!((found.expires_ms, sessions.find(&tokens, &short, 10)), (Some(10), None));
        assert_eq!(sessions.find(&tokens, &long, 10).unwrap().expires_ms, Some(SESSION_MS));
        assert!(tokens.revoke("stays").unwrap());
        assert_eq!(sessions.find(&tokens, &long, 11), None);
    }

    #[test]
    fn sessions_and_invitations_are_bounded_and_the_oldest_goes() {
        let ((_folder, tokens), sessions) = (tokens(), Sessions::default());
        let seed = |at: u64| Sha256::digest(at.to_le_bytes()).into();
        let first = sessions.redeem(&sessions.invite(seed(0), 0).0, seed(1), 0).unwrap();
        let mut last = String::new();
        for at in 1..=SESSIONS_MAX as u64 {
            let invitation = sessions.invite(seed(2 * at), at).0;
            last = sessions.redeem(&invitation, seed(2 * at + 1), at).unwrap();
        }
        assert_eq!(sessions.find(&tokens, &first, 300), None);
        assert!(sessions.find(&tokens, &last, 300).is_some());
        let waiting: Vec<_> = (1_000..1_100).map(|at| (at, sessions.invite(seed(at), at).0)).collect();
        let opens = |(at, text): &&(u64, String)| sessions.redeem(text, seed(at + 1_000), 1_200).is_some();
        let good = waiting.iter().filter(opens).count();
        assert_eq!(good, INVITATIONS_MAX);
        assert_eq!(sessions.inner().sessions.len(), SESSIONS_MAX);
    }

    #[test]
    fn whoever_holds_a_token_signs_nobody_out_but_its_own_browsers() {
        let ((_folder, tokens), sessions) = (tokens(), Sessions::default());
        let seed = |at: u64| Sha256::digest(at.to_le_bytes()).into();
        let operator = sessions.redeem(&sessions.invite(seed(0), 0).0, seed(1), 0).unwrap();
        let mine = tokens.create(record("mine", None), [1; 32]).unwrap();
        let other = tokens.create(record("other", None), [2; 32]).unwrap();
        let first = sessions.sign_in(&tokens, &other, seed(2), 1).unwrap();
        for at in 0..2 * SESSIONS_MAX as u64 {
            sessions.sign_in(&tokens, &mine, seed(10 + at), 2).unwrap();
        }
        for secret in [&operator, &first] {
            assert!(sessions.find(&tokens, secret, 3).is_some());
        }
        assert_eq!(sessions.inner().sessions.len(), SESSIONS_MAX + 2);
    }
}
