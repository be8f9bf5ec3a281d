//! Writing the ledger: one owner, one SQLite transaction per step.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{
    APPLICATION_ID, DbError, SCHEMA, SCHEMA_2, SCHEMA_VERSION,
    reader::{LedgerReader, check_tables},
    state::{Counts, SqlState, read_meta, write_meta},
};
use crate::{
    encoding,
    execution::{CertifiedBlock, Head},
    genesis::Genesis,
    state::{Change, StateView},
    transaction::SignedTransaction,
    validators::ValidatorSet,
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
        connection.execute_batch(SCHEMA_2)?;
        connection.execute(
            "INSERT INTO blocks VALUES (0, ?1, ?2)",
            params![genesis.id().as_bytes(), genesis.to_bytes()],
        )?;
        write_meta(&connection, "counts", &Counts::default())?;
        SqlState(&connection).apply(&Change::of_genesis(genesis))?;
        write_meta(&connection, "head", &Head::of_genesis(genesis))?;
        write_validators(&connection, 1, &ValidatorSet::sole(genesis.body().founder))?;
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
        if check_tables(&connection, path)? < SCHEMA_VERSION {
            upgrade(&connection)?;
        }
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
        let next = &block.effect().next_validators;
        if self.reader.validators()? != *next {
            write_validators(connection, head.height + 1, next)?;
        }
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

/// Brings the tables of version 1 up to date. Its networks never had other validators than the founder.
fn upgrade(connection: &Connection) -> Result<(), DbError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute_batch(SCHEMA_2)?;
    write_validators(connection, 1, &read_meta(connection, "validators")?)?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(connection.execute_batch("COMMIT")?)
}

/// Notes who certifies blocks from a height on.
fn write_validators(connection: &Connection, from: u64, set: &ValidatorSet) -> Result<(), DbError> {
    let sql = "INSERT INTO validator_sets VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute(params![from, encoding::encode(set)])?;
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, DbError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{genesis::GenesisBody, identity::NodeKey, limits::PROTOCOL_VERSION};

    #[test]
    fn a_ledger_of_the_first_version_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let key = NodeKey::from_seed([1; 32]);
        let body = GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: [1; 16],
            time_ms: 1,
            founder: key.id(),
            address: "10.0.0.1:1".parse().unwrap(),
            params: Default::default(),
        };
        drop(LedgerDb::create(&path, &Genesis::sign(&key, body)).unwrap());
        let old = connect(&path).unwrap();
        old.execute_batch("DROP TABLE validator_sets; DROP TABLE wal; DROP TABLE evidence").unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        let ledger = LedgerDb::open(&path).unwrap().unwrap();
        let sole = ValidatorSet::sole(key.id());
        assert_eq!(ledger.reader().validators_at(1).unwrap(), sole);
        assert_eq!(ledger.reader().validator_sets(9).unwrap(), [(1, sole)]);
    }
}
