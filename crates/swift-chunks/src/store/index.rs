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
mod schema;
mod scrub;
mod sums;
mod trash;

pub(super) use durable::DurableChunks;
pub(super) use grains::Claim;
pub(super) use names::{Due, NamePlan, OldVisible};
pub(super) use objects::{ObjectRow, STATE_COMPLETE, STATE_FALSE, STATE_PARTIAL, STATE_SUSPECT};
pub(super) use removed::RemovedRow;
pub(super) use scrub::Verified;
pub(super) use sums::teach;

use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

use super::Whole;
use super::disk::Disk;
use super::error::{OpenError, StoreError};
use schema::FORMAT;

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

    /// Looks at all of an index again that is in use, by a connection of its own: what this one has read it keeps in
    /// memory. What is damaged.
    pub(super) fn find_damage(path: &Path) -> Result<Option<String>, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let found = Connection::open_with_flags(path, flags).and_then(|connection| {
            teach(&connection)?;
            schema::find_damage(&connection)
        });
        match found.map_err(StoreError::from) {
            Err(StoreError::IndexDamaged(error)) => Ok(Some(error.to_string())),
            found => found,
        }
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
    teach(connection).map_err(sql)?;
    if found < FORMAT {
        let reason: String =
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(sql)?;
        if reason != "ok" {
            return Err(OpenError::IndexDamaged { path: path.to_path_buf(), reason });
        }
        let transaction = connection.transaction().map_err(sql)?;
        schema::make(&transaction, found).map_err(sql)?;
        transaction.pragma_update(None, "user_version", FORMAT).map_err(sql)?;
        transaction.commit().map_err(sql)?;
    }
    // Whatever is damaged is told now, with what to do, and not by whatever meets it later.
    if let Some(reason) = schema::find_damage(connection).map_err(sql)? {
        return Err(OpenError::IndexDamaged { path: path.to_path_buf(), reason });
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
