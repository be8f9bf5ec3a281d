//! Tokens: what a client shows to be let in. Only their hashes are stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use swift_chain::{Label, is_unseen};
use tracing::warn;

use crate::secret;

const PREFIX: &str = "sst_";
const SECRET_LEN: usize = 32;
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tokens (
    label TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, scopes TEXT NOT NULL,
    created_ms INTEGER NOT NULL, expires_ms INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS retired_labels (label TEXT PRIMARY KEY) STRICT;
";
/// For whom the node signs what is done in a session of its operator. No token has this label, or one that reads like it.
const CONSOLE_LABEL: &str = "dashboard";

/// The SHA-256 of a secret of 256 random bits: nobody gets from it to the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SecretHash([u8; 32]);

impl SecretHash {
    /// Of a secret as it is shown.
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

/// See [`CONSOLE_LABEL`].
pub(crate) fn console_label() -> Label {
    let Ok(label) = CONSOLE_LABEL.to_owned().try_into() else { unreachable!("a constant that is a label") };
    label
}

/// Whether people would take it for the operator's.
fn reads_like_console(label: &str) -> bool {
    let seen: String = label.chars().filter(|char| !is_unseen(*char)).collect();
    seen.trim().eq_ignore_ascii_case(CONSOLE_LABEL)
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything that only reads.
    Read,
    /// Adding files, and replacing what this token published on this node.
    Publish,
    /// Removing what this token published on this node.
    Remove,
    /// Everything.
    Admin,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Remove => "remove",
            Self::Admin => "admin",
        })
    }
}

/// A token as it is stored and listed: everything but the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenRecord {
    /// Its name, which blocks carry for what was done with it.
    pub label: Label,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it ends, if ever.
    pub expires_ms: Option<u64>,
}

impl TokenRecord {
    /// Whether it allows something; `admin` allows everything.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Whether its time is over.
    pub fn has_expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|expires_ms| now_ms >= expires_ms)
    }
}

/// Why tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The database failed.
    #[error("token database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row that this program wrote does not read back.
    #[error("the token database is damaged at the token {0:?}")]
    Damaged(String),
    /// The label names another token.
    #[error("there is a token with the label {0:?} already; choose another label")]
    LabelTaken(String),
    /// The label named another token, and what that published stands in the ledger under it.
    #[error(
        "the label {0:?} was that of a token that is revoked, which stands in the ledger as who published its files; \
         choose another label, for example {0}-2"
    )]
    LabelRetired(String),
    /// The label is that of the node's own dashboard.
    #[error("the label {0:?} is kept for what is done in the dashboard; choose another one")]
    LabelReserved(String),
    /// There is something in the label that nobody sees.
    #[error("the label {0:?} has characters that nobody sees, or a space at an end; choose another one")]
    LabelUnseen(String),
}

/// All tokens of one node: in memory to be asked at every request, on disk to last.
#[derive(Debug)]
pub struct Tokens {
    /// Whoever changes something has it all the while, also while the disk synchronises.
    connection: Mutex<Connection>,
    /// Looked into at every request, and held for no longer than that takes.
    by_hash: Mutex<BTreeMap<SecretHash, TokenRecord>>,
}

impl Tokens {
    /// Opens the database, or makes one.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        let by_hash = load(&connection)?;
        let tokens = Self { connection: Mutex::new(connection), by_hash: Mutex::new(by_hash) };
        // An older program let it be made.
        for token in tokens.list().into_iter().filter(|token| reads_like_console(token.label.as_str())) {
            tokens.revoke(token.label.as_str())?;
            warn!(label = ?token.label, "a token is revoked: its label is kept for what is done in the dashboard");
        }
        Ok(tokens)
    }

    /// Copies the tokens as they are at this moment into a new file, also while a node uses them. False if there are none
    /// yet. Not synchronised.
    pub fn copy(path: &Path, to: &Path) -> Result<bool, TokenError> {
        if !path.exists() {
            return Ok(false);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        let to = to.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(to.to_owned()))?;
        connection.execute("VACUUM INTO ?1", [to])?;
        Ok(true)
    }

    /// Makes a token of 32 bytes from the caller's random source. Its text is in the answer and nowhere else.
    ///
    /// A label is used once: the ledger tells what was published for it, and a second token of that name would own it.
    pub fn create(&self, record: TokenRecord, secret: [u8; SECRET_LEN]) -> Result<String, TokenError> {
        let label = record.label.as_str();
        if reads_like_console(label) {
            return Err(TokenError::LabelReserved(label.to_owned()));
        }
        if label.trim() != label || label.chars().any(is_unseen) {
            return Err(TokenError::LabelUnseen(label.to_owned()));
        }
        let connection = self.connection();
        let retired = "SELECT EXISTS (SELECT 1 FROM retired_labels WHERE label = ?1)";
        if connection.query_row(retired, [label], |row| row.get(0))? {
            return Err(TokenError::LabelRetired(label.to_owned()));
        }
        self.insert(&connection, record, secret)
    }

    /// Puts a token in the place of the one with its label, if there is or was one: for the token that may do
    /// everything anyway.
    pub fn replace(&self, record: TokenRecord, secret: [u8; SECRET_LEN]) -> Result<String, TokenError> {
        self.revoke(record.label.as_str())?;
        self.insert(&self.connection(), record, secret)
    }

    fn insert(
        &self,
        connection: &Connection,
        record: TokenRecord,
        secret: [u8; SECRET_LEN],
    ) -> Result<String, TokenError> {
        let text = format!("{PREFIX}{}", secret::text(&secret));
        let hash = SecretHash::of(&text);
        if self.by_hash().values().any(|token| token.label == record.label) {
            return Err(TokenError::LabelTaken(record.label.as_str().to_owned()));
        }
        let scopes: Vec<_> = record.scopes.iter().map(Scope::to_string).collect();
        connection.execute(
            "INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5)",
            params![record.label.as_str(), hash.0, scopes.join(" "), record.created_ms, record.expires_ms],
        )?;
        self.by_hash().insert(hash, record);
        Ok(text)
    }

    /// The token with this text, unless it has expired or was revoked.
    ///
    /// Looked up by hash: what a guesser learns from the time it takes is about hashes, which he cannot choose.
    pub fn find(&self, text: &str, now_ms: u64) -> Option<TokenRecord> {
        self.find_by_hash(&SecretHash::of(text), now_ms)
    }

    /// The same by the hash of its text.
    pub(crate) fn find_by_hash(&self, hash: &SecretHash, now_ms: u64) -> Option<TokenRecord> {
        let found = self.by_hash().get(hash).cloned()?;
        (!found.has_expired(now_ms)).then_some(found)
    }

    /// All tokens in the order of their labels.
    pub fn list(&self) -> Vec<TokenRecord> {
        let mut tokens: Vec<_> = self.by_hash().values().cloned().collect();
        tokens.sort_by(|a, b| a.label.as_str().cmp(b.label.as_str()));
        tokens
    }

    /// Ends a token, and its label with it; false when there is none with this label.
    pub fn revoke(&self, label: &str) -> Result<bool, TokenError> {
        let mut connection = self.connection();
        let found = connection.transaction()?;
        let gone = found.execute("DELETE FROM tokens WHERE label = ?1", [label])?;
        if gone > 0 {
            found.execute("INSERT OR IGNORE INTO retired_labels VALUES (?1)", [label])?;
        }
        found.commit()?;
        self.by_hash().retain(|_, token| token.label.as_str() != label);
        Ok(gone > 0)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // What was begun and not finished is taken back by SQLite.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_hash(&self) -> MutexGuard<'_, BTreeMap<SecretHash, TokenRecord>> {
        // It is changed by one insertion or removal, so a panic elsewhere leaves it whole.
        self.by_hash.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(connection: &Connection) -> Result<BTreeMap<SecretHash, TokenRecord>, TokenError> {
    let mut statement =
        connection.prepare("SELECT hash, label, scopes, created_ms, expires_ms FROM tokens")?;
    let mut rows = statement.query([])?;
    let mut tokens = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (label, scopes): (String, String) = (row.get(1)?, row.get(2)?);
        let record = TokenRecord {
            scopes: parse_scopes(&scopes).ok_or_else(|| TokenError::Damaged(label.clone()))?,
            label: Label::try_from(label.clone()).map_err(|_| TokenError::Damaged(label))?,
            created_ms: row.get(3)?,
            expires_ms: row.get(4)?,
        };
        tokens.insert(SecretHash(row.get(0)?), record);
    }
    Ok(tokens)
}

fn parse_scopes(text: &str) -> Option<BTreeSet<Scope>> {
    text.split_whitespace()
        .map(|word| {
            [Scope::Read, Scope::Publish, Scope::Remove, Scope::Admin]
                .into_iter()
                .find(|scope| scope.to_string() == word)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: &str, scopes: &[Scope], expires_ms: Option<u64>) -> TokenRecord {
        let label = Label::try_from(label.to_owned()).unwrap();
        TokenRecord { label, scopes: scopes.iter().copied().collect(), created_ms: 1, expires_ms }
    }

    #[test]
    fn a_token_is_found_by_its_text_until_it_is_revoked_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.db");
        let tokens = Tokens::open(&path).unwrap();
        let text = tokens.create(record("ci", &[Scope::Read, Scope::Publish], None), [7; 32]).unwrap();
        drop(tokens);
        let tokens = Tokens::open(&path).unwrap();
        let found = tokens.find(&text, 5).unwrap();
        assert!(found.allows(Scope::Publish) && !found.allows(Scope::Remove));
        assert_eq!(tokens.find("sst_other", 5), None);
        assert!(tokens.revoke("ci").unwrap());
        assert!(!tokens.revoke("ci").unwrap());
        assert_eq!(tokens.find(&text, 5), None);
        assert_eq!(Tokens::open(&path).unwrap().list(), []);
    }

    #[test]
    fn an_expired_token_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&folder.path().join("tokens.db")).unwrap();
        let text = tokens.create(record("short", &[Scope::Admin], Some(100)), [1; 32]).unwrap();
        assert!(tokens.find(&text, 99).is_some());
        assert_eq!(tokens.find(&text, 100), None);
    }

    /// The ledger says for which label a file was published. Whoever got that label anew owned the file.
    #[test]
    fn a_label_is_used_once_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.db");
        let tokens = Tokens::open(&path).unwrap();
        tokens.create(record("ci", &[Scope::Publish], None), [1; 32]).unwrap();
        assert!(tokens.revoke("ci").unwrap());
        drop(tokens);
        let tokens = Tokens::open(&path).unwrap();
        let again = tokens.create(record("ci", &[Scope::Publish], None), [2; 32]);
        assert!(matches!(again, Err(TokenError::LabelRetired(_))));
        let console = tokens.create(record("dashboard", &[Scope::Publish], None), [3; 32]);
        assert!(matches!(console, Err(TokenError::LabelReserved(_))));
        // The token of the first start may do everything anyway.
        let admin = |seed| tokens.replace(record("admin", &[Scope::Admin], None), [seed; 32]).unwrap();
        let (first, second) = (admin(4), admin(5));
        assert!(tokens.find(&first, 1).is_none() && tokens.find(&second, 1).is_some());
    }

    /// What is done with it would stand in the ledger as the operator's deed.
    #[test]
    fn no_token_reads_like_the_operator_not_even_one_that_an_older_program_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.db");
        let tokens = Tokens::open(&path).unwrap();
        for label in ["dashboard", "Dashboard", " dashboard", "dash\u{200b}board", "\u{2066}DASHBOARD"] {
            let made = tokens.create(record(label, &[Scope::Publish], None), [1; 32]);
            assert!(matches!(made, Err(TokenError::LabelReserved(_))), "{label:?}");
        }
        for label in ["ci\u{200b}", "\u{202e}ic", "ci "] {
            let made = tokens.create(record(label, &[Scope::Publish], None), [2; 32]);
            assert!(matches!(made, Err(TokenError::LabelUnseen(_))), "{label:?}");
        }
        let old = tokens.insert(&tokens.connection(), record("dashboard", &[Scope::Publish], None), [3; 32]);
        let (old, kept) =
            (old.unwrap(), tokens.create(record("dash", &[Scope::Read], None), [4; 32]).unwrap());
        assert!(tokens.find(&old, 1).is_some());
        drop(tokens);
        let tokens = Tokens::open(&path).unwrap();
        assert!(tokens.find(&old, 1).is_none() && tokens.find(&kept, 1).is_some());
    }

    #[test]
    fn a_label_names_one_token_and_the_secret_is_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.db");
        let tokens = Tokens::open(&path).unwrap();
        let text = tokens.create(record("a", &[Scope::Read], None), [1; 32]).unwrap();
        let again = tokens.create(record("a", &[Scope::Read], None), [2; 32]);
        assert!(matches!(again, Err(TokenError::LabelTaken(_))));
        drop(tokens);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()));
        }
    }
}
