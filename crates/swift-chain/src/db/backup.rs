//! Copies of a ledger, and what a node must know that was put back from one.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::{
    DbError,
    reader::{LedgerReader, check_tables, open_as_it_is},
    state::{decode, write_meta},
    sums::META,
    writer::LedgerDb,
};

/// The first height at which a node may sign whose ledger came from a backup or was made anew; absent in every other.
const HOLD: &str = "vote_hold";

fn copy(connection: &Connection, path: &Path) -> Result<(), DbError> {
    let path = path.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    connection.execute("VACUUM INTO ?1", [path])?;
    Ok(())
}

impl LedgerReader {
    /// Copies the ledger as it is at this moment into a new file, also while a node writes it. Not synchronised.
    pub fn copy_to(&self, path: &Path) -> Result<(), DbError> {
        copy(self.connection(), path)
    }

    /// The same of a file, which stays as it is, also if an older program made it: that may be running on it.
    pub fn copy_file(from: &Path, to: &Path) -> Result<(), DbError> {
        let connection = open_as_it_is(from)?;
        check_tables(&connection, from)?;
        copy(&connection, to)
    }

    /// Whether this ledger came from a backup or was made anew, and the node may still have signed what it does not know of: it must not
    /// vote, propose or make blocks.
    pub fn is_restored(&self) -> Result<bool, DbError> {
        Ok(self.signs_from()? > 0)
    }

    /// See [`LedgerStore::signs_from`](crate::LedgerStore::signs_from).
    pub fn signs_from(&self) -> Result<u64, DbError> {
        let mut statement =
            self.connection().prepare_cached(&format!("SELECT value, {META} FROM meta WHERE key = ?1"))?;
        let height: Option<Vec<u8>> = statement.query_row([HOLD], |row| row.get(0)).optional()?;
        height.map_or(Ok(0), |height| decode(HOLD, &height))
    }
}

impl LedgerDb {
    /// Notes that this ledger came from a backup, or was made anew; see [`LedgerReader::is_restored`]. Durable when this returns, or with
    /// the open step.
    pub fn mark_restored(&self) -> Result<(), DbError> {
        self.write_hold(u64::MAX)
    }

    /// Takes that back: the operator answers for it that nobody has what this node may have signed.
    pub fn clear_restored(&self) -> Result<(), DbError> {
        self.write_hold(0)
    }

    /// Looks through the whole file for damage.
    pub fn check_file(&self) -> Result<(), DbError> {
        self.reader().check_file()
    }

    pub(super) fn write_hold(&self, until: u64) -> Result<(), DbError> {
        if until > 0 {
            return write_meta(self.reader().connection(), HOLD, &until);
        }
        self.reader().connection().execute("DELETE FROM meta WHERE key = ?1", [HOLD])?;
        Ok(())
    }
}
