//! Writing the ledger: one owner, one SQLite transaction per step.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{
    APPLICATION_ID, DbError, SCHEMA, SCHEMA_VERSION,
    reader::{LedgerReader, check_tables},
    state::{Counts, SqlState, write_meta},
};
use crate::{
    execution::{CertifiedBlock, Head},
    genesis::Genesis,
    state::{Change, StateView},
    transaction::SignedTransaction,
};

/// The ledger's only writer.
#[derive(Debug)]
pub struct LedgerDb {
    reader: LedgerReader,
}

/// A transaction of this node that waits for its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Given by the queue, rising.
    pub id: i64,
    /// As it was last signed.
    pub signed: SignedTransaction,
}

impl LedgerDb {
    /// Creates the ledger of a network that begins with `genesis`. Durable when this returns; a crash before leaves a
    /// file that [`Self::open`] takes for none.
    pub fn create(path: &Path, genesis: &Genesis) -> Result<Self, DbError> {
        let connection = connect(path)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        connection.execute_batch(SCHEMA)?;
        connection.execute(
            "INSERT INTO blocks VALUES (0, ?1, ?2)",
            params![genesis.id().as_bytes(), genesis.to_bytes()],
        )?;
        write_meta(&connection, "counts", &Counts::default())?;
        SqlState(&connection).apply(&Change::of_genesis(genesis))?;
        write_meta(&connection, "head", &Head::of_genesis(genesis))?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        connection.execute_batch("COMMIT")?;
        Ok(Self { reader: LedgerReader::over(connection)? })
    }

    /// Opens a ledger; none when there is none yet.
    pub fn open(path: &Path) -> Result<Option<Self>, DbError> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = connect(path)?;
        let version: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if version == 0 && tables == 0 {
            return Ok(None);
        }
        check_tables(&connection, path)?;
        Ok(Some(Self { reader: LedgerReader::over(connection)? }))
    }

    /// Everything that can be read, including what the open step has written.
    pub fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// The state, including what the open step has written.
    pub fn state(&self) -> impl StateView + '_ {
        SqlState(self.reader.connection())
    }

    /// Begins a step. Nothing of it is stored before [`Self::commit`].
    pub fn begin(&self) -> Result<(), DbError> {
        Ok(self.reader.connection().execute_batch("BEGIN IMMEDIATE")?)
    }

    /// Ends a step: everything it wrote is durable, together.
    pub fn commit(&self) -> Result<(), DbError> {
        Ok(self.reader.connection().execute_batch("COMMIT")?)
    }

    /// Appends a final block and applies its changes.
    pub fn append(&self, block: &CertifiedBlock) -> Result<(), DbError> {
        let connection = self.reader.connection();
        let head = block.as_head();
        let sql = "INSERT INTO blocks VALUES (?1, ?2, ?3)";
        let body = block.sealed().to_bytes();
        connection.prepare_cached(sql)?.execute(params![head.height, head.hash.as_bytes(), body])?;
        SqlState(connection).apply(&block.effect().changes)?;
        write_meta(connection, "head", &head)
    }

    /// Puts a transaction of this node into its queue.
    pub fn enqueue(&self, signed: &SignedTransaction) -> Result<i64, DbError> {
        let connection = self.reader.connection();
        let sql = "INSERT INTO outbox (signed) VALUES (?1)";
        connection.prepare_cached(sql)?.execute([signed.to_bytes()])?;
        Ok(connection.last_insert_rowid())
    }

    /// Replaces a queued transaction that was signed anew.
    pub fn requeue(&self, entry: &OutboxEntry) -> Result<(), DbError> {
        let sql = "UPDATE outbox SET signed = ?2 WHERE id = ?1";
        let mut statement = self.reader.connection().prepare_cached(sql)?;
        statement.execute(params![entry.id, entry.signed.to_bytes()])?;
        Ok(())
    }

    /// Takes a transaction out of the queue: it is final, or never will be.
    pub fn dequeue(&self, id: i64) -> Result<(), DbError> {
        let mut statement = self.reader.connection().prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
        statement.execute([id])?;
        Ok(())
    }

    /// The whole queue, oldest first.
    pub fn outbox(&self) -> Result<Vec<OutboxEntry>, DbError> {
        let mut statement = self.reader.connection().prepare("SELECT id, signed FROM outbox ORDER BY id")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let mut entries = Vec::new();
        for row in rows {
            let (id, bytes) = row?;
            let signed = SignedTransaction::from_bytes(&bytes);
            let signed = signed.map_err(|error| DbError::Damaged { what: "queued transaction", error })?;
            entries.push(OutboxEntry { id, signed });
        }
        Ok(entries)
    }
}

fn connect(path: &Path) -> Result<Connection, DbError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(connection)
}
