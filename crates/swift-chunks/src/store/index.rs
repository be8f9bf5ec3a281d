//! The SQLite index: which content, names and holds there are, and which chunks are durable.
//!
//! Everything here is one statement or one transaction; what must happen on disk before or after is decided
//! by the callers.

mod durable;
mod grains;
mod holds;
mod keep;
mod names;
mod objects;
mod priorities;
mod promises;
mod removed;
mod scrub;
mod trash;

pub(super) use durable::DurableChunks;
pub(super) use grains::Claim;
pub(super) use names::{Due, NamePlan, OldVisible};
pub(super) use objects::{ObjectRow, STATE_COMPLETE, STATE_FALSE, STATE_PARTIAL, STATE_SUSPECT};
pub(super) use removed::RemovedRow;
pub(super) use scrub::Verified;

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, config::DbConfig};

use super::Whole;
use super::disk::Disk;
use super::error::{OpenError, StoreError};

/// The format of the index file, kept in `user_version`.
const FORMAT: i64 = 4;

/// Format 1; [`SCHEMA_2`], [`SCHEMA_3`] and [`SCHEMA_4`] go on from it.
///
/// `objects` has a row per content that a name, a hold or a download ever asked for. `pages` holds the bitmap
/// of durable chunks of partial objects, 32,768 chunks a row. `visible` says what this store put into the
/// files folder, `todo` which names there must be looked at again. `totals` is kept by triggers, so that the
/// space in use is known without a walk.
const SCHEMA: &str = "
CREATE TABLE objects(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id BLOB NOT NULL,
    manifest_hash BLOB NOT NULL,
    len INTEGER NOT NULL,
    state INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    has_manifest INTEGER NOT NULL DEFAULT 0,
    mtime_ns INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    wanted_height INTEGER,
    trashed_ms INTEGER,
    UNIQUE(file_id, manifest_hash, len)
);
CREATE INDEX objects_wanted ON objects(wanted_height, id) WHERE state = 0 AND wanted_height IS NOT NULL;
CREATE INDEX objects_trash ON objects(trashed_ms, id) WHERE trashed_ms IS NOT NULL;
CREATE INDEX objects_full ON objects(id) WHERE state = 0 AND held = chunks AND has_manifest = 1;
CREATE INDEX objects_suspect ON objects(id) WHERE state = 2;
CREATE INDEX objects_doomed ON objects(id) WHERE state = 4;
CREATE TABLE pages(
    object INTEGER NOT NULL,
    page INTEGER NOT NULL,
    bits BLOB NOT NULL,
    PRIMARY KEY(object, page)
) WITHOUT ROWID;
CREATE TABLE names(name TEXT PRIMARY KEY, object INTEGER NOT NULL, height INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX names_by_object ON names(object, height);
CREATE TABLE holds(key BLOB PRIMARY KEY, object INTEGER NOT NULL, payload BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX holds_by_object ON holds(object);
CREATE TABLE visible(
    name TEXT NOT NULL,
    object INTEGER NOT NULL,
    len INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    PRIMARY KEY(name, object, mtime_ns)
) WITHOUT ROWID;
CREATE TABLE todo(name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE totals(reserved INTEGER NOT NULL, stored INTEGER NOT NULL, applied_height INTEGER);
INSERT INTO totals VALUES(0, 0, NULL);
CREATE TRIGGER objects_added AFTER INSERT ON objects BEGIN
    UPDATE totals SET reserved = reserved + NEW.reserved, stored = stored + NEW.stored;
END;
CREATE TRIGGER objects_changed AFTER UPDATE OF reserved, stored ON objects BEGIN
    UPDATE totals SET reserved = reserved + NEW.reserved - OLD.reserved, stored = stored + NEW.stored - OLD.stored;
END;
CREATE TRIGGER objects_gone AFTER DELETE ON objects BEGIN
    UPDATE totals SET reserved = reserved - OLD.reserved, stored = stored - OLD.stored;
END;
";

/// What format 2 has besides. `names.kept` says whether the rule or a pin covers a name: only content of such names is
/// wanted. `keep` has one row once a rule was set. `promised` says which contents this node keeps for others, and until
/// when, `promises` which others keep what this node let go of.
const SCHEMA_2: &str = "
ALTER TABLE names ADD COLUMN kept INTEGER NOT NULL DEFAULT 1;
CREATE TABLE keep(rule TEXT NOT NULL);
CREATE TABLE pins(name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE promised(
    object INTEGER NOT NULL,
    asker BLOB NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY(object, asker)
) WITHOUT ROWID;
CREATE INDEX promised_until ON promised(until_ms);
CREATE TABLE promises(file_id BLOB PRIMARY KEY, until_ms INTEGER NOT NULL, statement BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX promises_until ON promises(until_ms);
CREATE INDEX objects_whole ON objects(len) WHERE state = 1 AND trashed_ms IS NULL;
CREATE INDEX objects_surplus ON objects(id) WHERE wanted_height IS NULL AND trashed_ms IS NULL AND stored > 0;
";

/// What format 3 has besides. `grains` says which grains are durable of a partial object's chunks that are not durable as
/// a whole, `trees` has the grain trees of these chunks. `bytes` is what `bits` amount to, for `objects.stored`.
const SCHEMA_3: &str = "
CREATE TABLE grains(
    object INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    bits INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY(object, chunk)
) WITHOUT ROWID;
CREATE TABLE trees(
    object INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    tree BLOB NOT NULL,
    PRIMARY KEY(object, chunk)
);
";

/// What format 4 has besides. `removed` says which names meant a content and do not any more, since when, and who said so.
/// `objects.verified_ms` is when all that is held was last known to be sound, `scrubs` has the pass under way and the last
/// one, `rot` what was found to be unsound since the last one began.
const SCHEMA_4: &str = "
CREATE TABLE removed(
    name TEXT NOT NULL,
    object INTEGER NOT NULL,
    removed_ms INTEGER NOT NULL,
    member TEXT,
    client TEXT,
    PRIMARY KEY(name, object)
) WITHOUT ROWID;
CREATE INDEX removed_by_object ON removed(object);
CREATE INDEX removed_since ON removed(removed_ms);
ALTER TABLE objects ADD COLUMN verified_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX objects_verified ON objects(verified_ms, id, stored, state) WHERE stored > 0;
CREATE TABLE scrubs(
    started_ms INTEGER PRIMARY KEY,
    before_ms INTEGER NOT NULL,
    contents INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    ended_ms INTEGER
);
CREATE TABLE rot(object INTEGER PRIMARY KEY, found_ms INTEGER NOT NULL, chunks INTEGER NOT NULL);
";

pub(super) struct Index {
    connection: Connection,
    disk: Disk,
    /// What was counted last, and how many changes there had been.
    whole: Option<(u64, Whole)>,
}

impl Index {
    pub(super) fn open(path: &Path, disk: &Disk) -> Result<Self, OpenError> {
        let mut connection = Connection::open(path).map_err(|error| OpenError::of_index(path, &error))?;
        let mut prepared = Ok(());
        disk.commit(|| {
            prepared = prepare(&mut connection, path);
            Ok(())
        })?;
        prepared?;
        Ok(Self { connection, disk: disk.clone(), whole: None })
    }

    /// A transaction that takes the write lock at once and rolls back unless committed.
    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        let inner = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(Transaction { inner, disk: &self.disk })
    }

    /// Complete contents that nothing has trashed. Only this connection writes, so its changes say whether to count.
    pub(super) fn whole(&mut self) -> Result<Whole, StoreError> {
        let changes = self.connection.total_changes();
        if let Some((_, whole)) = self.whole.filter(|(counted, _)| *counted == changes) {
            return Ok(whole);
        }
        let sql =
            "SELECT count(*), coalesce(sum(len), 0) FROM objects WHERE state = 1 AND trashed_ms IS NULL";
        let counted = self
            .connection
            .prepare_cached(sql)?
            .query_row([], |row| Ok(Whole { files: from_sql(row.get(0)?), bytes: from_sql(row.get(1)?) }))?;
        self.whole = Some((changes, counted));
        Ok(counted)
    }

    /// The connection, for single reads.
    pub(super) fn read(&self) -> &Connection {
        &self.connection
    }
}

/// Several changes of the index that become durable together, or not at all.
pub(super) struct Transaction<'a> {
    inner: rusqlite::Transaction<'a>,
    disk: &'a Disk,
}

impl Transaction<'_> {
    /// Durable when this returns.
    pub(super) fn commit(self) -> Result<(), StoreError> {
        self.disk.commit(|| self.inner.commit())
    }
}

impl std::ops::Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.inner
    }
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let sql = |error: rusqlite::Error| OpenError::of_index(path, &error);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
    if found > FORMAT {
        return Err(OpenError::NewerFormat { path: path.to_path_buf(), found, known: FORMAT });
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
    // FULL makes every commit durable before it is acknowledged, not only consistent.
    connection.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
    // Plans follow from the statement alone: else many are made anew at every use, because a value might allow a
    // better one. There are no statistics that could tell.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sql)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Looks at every page: a damaged one is told now, with what to do, and not by whatever meets it later.
    let reason: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sql)?;
    if reason != "ok" {
        return Err(OpenError::IndexDamaged { path: path.to_path_buf(), reason });
    }
    connection.execute_batch(priorities::TABLE).map_err(sql)?;
    if found < FORMAT {
        let transaction = connection.transaction().map_err(sql)?;
        for (format, schema) in [(1, SCHEMA), (2, SCHEMA_2), (3, SCHEMA_3), (4, SCHEMA_4)] {
            if found < format {
                transaction.execute_batch(schema).map_err(sql)?;
            }
        }
        transaction.pragma_update(None, "user_version", FORMAT).map_err(sql)?;
        transaction.commit().map_err(sql)?;
    }
    Ok(())
}

/// SQLite's integers are signed. Lengths, counts and times are far below 2^63; beyond it they stop there.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// See [`to_sql`]; the index never holds a negative number.
pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
