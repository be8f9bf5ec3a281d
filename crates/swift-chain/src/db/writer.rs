//! Writing the ledger: one owner, one SQLite transaction per step.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{
    DbError, SCHEMA_2, SCHEMA_VERSION,
    founding::LedgerBuilder,
    history, listing,
    reader::{LedgerReader, check_tables},
    state::{SqlState, read_meta, write_meta},
    sums::{self, OUTBOX, WAL, teach},
};
use crate::{
    block::SealedBlock,
    consensus::WalEntry,
    encoding,
    evidence::Evidence,
    execution::{CertifiedBlock, Head},
    genesis::Genesis,
    hash::NetworkId,
    store::{LedgerStore, OutboxEntry},
    transaction::SignedTransaction,
    validators::ValidatorSet,
};

/// The ledger's only writer.
#[derive(Debug)]
pub struct LedgerDb {
    reader: LedgerReader,
}

impl LedgerDb {
    /// Creates the ledger of a network that begins with `genesis`. Durable when this returns; a crash before leaves a
    /// file that [`Self::open`] takes for none.
    ///
    /// A recovered network begins with an imported state, which takes a [`LedgerBuilder`].
    pub fn create(path: &Path, genesis: &Genesis) -> Result<Self, DbError> {
        LedgerBuilder::new(path, genesis)?.finish()
    }

    pub(super) fn over(connection: Connection) -> Result<Self, DbError> {
        Ok(Self { reader: LedgerReader::over(connection)? })
    }

    /// Opens a ledger; none when there is none yet.
    pub fn open(path: &Path) -> Result<Option<Self>, DbError> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = connect(path)?;
        let version = version(&connection)?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if version == 0 && tables == 0 {
            return Ok(None);
        }
        let found = check_tables(&connection, path)?;
        if found < SCHEMA_VERSION {
            upgrade(&connection, found).map_err(|error| DbError::not_upgraded(path, found, error))?;
        }
        let ledger = Self::over(connection)?;
        history::complete(ledger.reader())?;
        Ok(Some(ledger))
    }

    /// Everything that can be read, including what the open step has written.
    pub fn reader(&self) -> &LedgerReader {
        &self.reader
    }
}

impl LedgerStore for LedgerDb {
    type State<'a> = SqlState<'a>;

    fn network(&self) -> NetworkId {
        self.reader.network()
    }

    fn head(&self) -> Result<Head, DbError> {
        self.reader.head()
    }

    fn validators(&self) -> Result<ValidatorSet, DbError> {
        self.reader.validators()
    }

    fn validators_at(&self, height: u64) -> Result<ValidatorSet, DbError> {
        self.reader.validators_at(height)
    }

    fn block(&self, height: u64) -> Result<Option<SealedBlock>, DbError> {
        self.reader.block(height)
    }

    fn state(&self) -> SqlState<'_> {
        SqlState(self.reader.connection())
    }

    fn begin(&mut self) -> Result<(), DbError> {
        let connection = self.reader.connection();
        connection.execute_batch("BEGIN IMMEDIATE")?;
        // A newer program may have brought the file up to date since it was opened: what that keeps level is not known here.
        let found = version(connection)?;
        if found == SCHEMA_VERSION {
            return Ok(());
        }
        connection.execute_batch("ROLLBACK")?;
        Err(DbError::Newer { path: connection.path().unwrap_or("the ledger").into(), found })
    }

    fn commit(&mut self) -> Result<(), DbError> {
        Ok(self.reader.connection().execute_batch("COMMIT")?)
    }

    fn append(&mut self, block: &CertifiedBlock) -> Result<(), DbError> {
        let connection = self.reader.connection();
        let head = block.as_head();
        let next = &block.effect().next_validators;
        if self.reader.validators()? != *next {
            write_validators(connection, head.height + 1, next)?;
        }
        let sql = "INSERT INTO blocks VALUES (?1, ?2, ?3)";
        let body = block.sealed().to_bytes();
        connection.prepare_cached(sql)?.execute(params![head.height, head.hash.as_bytes(), body])?;
        history::note(connection, block.block())?;
        SqlState(connection).apply(&block.effect().changes)?;
        connection.prepare_cached("DELETE FROM wal")?.execute([])?;
        write_meta(connection, "head", &head)
    }

    fn enqueue(&mut self, signed: &SignedTransaction) -> Result<i64, DbError> {
        let connection = self.reader.connection();
        let sql = "INSERT INTO outbox (signed) VALUES (?1)";
        connection.prepare_cached(sql)?.execute([signed.to_bytes()])?;
        Ok(connection.last_insert_rowid())
    }

    fn requeue(&mut self, entry: &OutboxEntry) -> Result<(), DbError> {
        let sql = "UPDATE outbox SET signed = ?2 WHERE id = ?1";
        let mut statement = self.reader.connection().prepare_cached(sql)?;
        statement.execute(params![entry.id, entry.signed.to_bytes()])?;
        Ok(())
    }

    fn dequeue(&mut self, id: i64) -> Result<(), DbError> {
        let mut statement = self.reader.connection().prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
        statement.execute([id])?;
        Ok(())
    }

    fn outbox(&self) -> Result<Vec<OutboxEntry>, DbError> {
        let mut statement = self
            .reader
            .connection()
            .prepare(&format!("SELECT id, signed, {OUTBOX} FROM outbox ORDER BY id"))?;
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

    fn log(&mut self, entry: &WalEntry) -> Result<(), DbError> {
        let mut statement = self.reader.connection().prepare_cached("INSERT INTO wal (entry) VALUES (?1)")?;
        statement.execute([encoding::encode(entry)])?;
        Ok(())
    }

    fn wal(&self) -> Result<Vec<WalEntry>, DbError> {
        let mut statement =
            self.reader.connection().prepare(&format!("SELECT entry, {WAL} FROM wal ORDER BY id"))?;
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        rows.map(|row| {
            encoding::decode("entry of the write-ahead log", &row?, WalEntry::LEN_MAX)
                .map_err(|error| DbError::Damaged { what: "write-ahead log", error })
        })
        .collect()
    }

    fn signs_from(&self) -> Result<u64, DbError> {
        self.reader.signs_from()
    }

    fn hold_signing(&mut self, until: u64) -> Result<(), DbError> {
        self.write_hold(until)
    }

    fn keep_evidence(&mut self, evidence: &Evidence, found_ms: u64) -> Result<bool, DbError> {
        // Enough to convict anybody; who goes on lying must not fill the disk with it.
        let sql = "INSERT OR IGNORE INTO evidence SELECT ?1, ?2, ?3, ?4
            WHERE (SELECT count(*) FROM evidence) < 1000";
        let mut statement = self.reader.connection().prepare_cached(sql)?;
        let (id, proof) = (evidence.id(), evidence.to_bytes());
        Ok(statement.execute(params![id.as_bytes(), evidence.height(), found_ms, proof])? > 0)
    }
}

/// Brings the tables of older versions up to date. Networks of version 1 never had other validators than the founder.
fn upgrade(connection: &Connection, found: i32) -> Result<(), DbError> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another process, a backup for one, may have done it since.
    if version(connection)? != found {
        return Ok(());
    }
    if found < 2 {
        connection.execute_batch(SCHEMA_2)?;
    }
    if found < 3 {
        sums::add(connection)?;
    }
    if found < 4 {
        sums::add_to_blocks(connection)?;
        history::note_all(connection)?;
    }
    listing::add(connection)?;
    if found < 2 {
        write_validators(connection, 1, &read_meta(connection, "validators")?)?;
    }
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(transaction.commit()?)
}

fn version(connection: &Connection) -> Result<i32, DbError> {
    Ok(connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?)
}

/// Notes who certifies blocks from a height on.
pub(super) fn write_validators(
    connection: &Connection,
    from: u64,
    set: &ValidatorSet,
) -> Result<(), DbError> {
    let sql = "INSERT INTO validator_sets VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute(params![from, encoding::encode(set)])?;
    Ok(())
}

pub(super) fn connect(path: &Path) -> Result<Connection, DbError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    teach(&connection)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{APPLICATION_ID, SCHEMA},
        *,
    };
    use crate::{
        db::{FileOrder, FileSearch},
        genesis::GenesisBody,
        hash::Hash,
        identity::NodeKey,
        limits::PROTOCOL_VERSION,
        state::FileRecord,
        transaction::FileEntry,
    };

    fn genesis(key: &NodeKey) -> Genesis {
        let body = GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: [1; 16],
            time_ms: 1,
            founder: key.id(),
            address: "10.0.0.1:1".parse().unwrap(),
            params: Default::default(),
            origin: None,
        };
        Genesis::sign(key, body)
    }

    /// A ledger with a genesis block, and nothing that came with later versions.
    fn first_version(path: &Path, key: &NodeKey) -> Connection {
        let (old, genesis) = (connect(path).unwrap(), genesis(key));
        old.execute_batch(SCHEMA).unwrap();
        old.execute(
            "INSERT INTO blocks VALUES (0, ?1, ?2)",
            params![genesis.id().as_bytes(), genesis.to_bytes()],
        )
        .unwrap();
        let sole = encoding::encode(&ValidatorSet::sole(genesis.body().founder));
        old.execute("INSERT INTO meta VALUES ('validators', ?1)", [sole]).unwrap();
        let head = encoding::encode(&Head::of_genesis(&genesis));
        old.execute("INSERT INTO meta VALUES ('head', ?1)", [head]).unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old
    }

    #[test]
    fn a_ledger_of_the_first_version_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("ledger.db"), NodeKey::from_seed([1; 32]));
        let old = first_version(&path, &key);
        old.execute_batch("INSERT INTO outbox (signed) VALUES (x'00'); DELETE FROM outbox").unwrap();
        drop(old);
        // Also by who only reads.
        drop(LedgerReader::open(&path).unwrap());
        // Who wanted to at the same time finds it done.
        upgrade(&connect(&path).unwrap(), 1).unwrap();
        let ledger = LedgerDb::open(&path).unwrap().unwrap();
        let sole = ValidatorSet::sole(key.id());
        ledger.check_file().unwrap();
        assert_eq!(ledger.reader().validators_at(1).unwrap(), sole);
        assert_eq!(ledger.reader().validator_sets(9).unwrap(), [(1, sole)]);
    }

    /// An older program may run on it, which would go on writing and not know of what was added.
    #[test]
    fn a_copy_leaves_the_ledger_that_it_is_made_of_in_the_version_that_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("ledger.db"), folder.path().join("copy.db"));
        first_version(&path, &NodeKey::from_seed([1; 32]));
        LedgerReader::copy_file(&path, &copy).unwrap();
        assert_eq!(version(&connect(&path).unwrap()).unwrap(), 1);
        LedgerReader::open(&copy).unwrap().check_file().unwrap();
    }

    #[test]
    fn a_ledger_for_which_there_is_no_room_stays_as_it_is_and_is_brought_up_to_date_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        first_version(&path, &NodeKey::from_seed([1; 32]));
        let full = connect(&path).unwrap();
        full.execute_batch("CREATE TABLE t (b BLOB); INSERT INTO t VALUES (zeroblob(200000)); DROP TABLE t")
            .unwrap();
        full.execute_batch("VACUUM").unwrap();
        let pages: i64 = full.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        full.pragma_update(None, "max_page_count", pages).unwrap();
        let error = DbError::not_upgraded(&path, 1, upgrade(&full, 1).unwrap_err());
        assert!(!error.is_damage(), "{error}");
        let says = error.to_string();
        assert!(says.contains("full") && says.contains("as it was") && says.contains("make room"), "{says}");
        assert_eq!(version(&full).unwrap(), 1);
        drop(full);
        LedgerDb::open(&path).unwrap().unwrap().check_file().unwrap();
    }

    #[test]
    fn the_files_of_a_ledger_of_version_4_get_their_orders_and_one_that_rotted_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("ledger.db"), NodeKey::from_seed([1; 32]));
        let old = first_version(&path, &key);
        old.execute_batch(SCHEMA_2).unwrap();
        sums::add(&old).unwrap();
        sums::add_to_blocks(&old).unwrap();
        let publisher = key.id();
        let record = |name: &str, size, height| FileRecord {
            entry: FileEntry {
                name: name.parse().unwrap(),
                size,
                file_id: Hash::from_bytes([1; 32]),
                manifest_hash: Hash::default(),
            },
            publisher,
            height,
            time_ms: 1,
        };
        let files = [record("A", 5, 2), record("b", 7, 3), record("c", 6, 1)];
        for file in &files {
            let (key, id) = (file.entry.name.key(), file.entry.file_id.as_bytes());
            let row = params![key.as_str(), id, file.entry.size, encoding::encode(file)];
            old.execute("INSERT INTO files VALUES (?1, ?2, ?3, ?4)", row).unwrap();
        }
        old.pragma_update(None, "user_version", 4).unwrap();
        drop(old);
        let bytes = std::fs::read(&path).unwrap();
        let ledger = LedgerDb::open(&path).unwrap().unwrap();
        let listed = |order| {
            let search = FileSearch { order, limit: 9, publisher: Some(publisher), ..FileSearch::default() };
            ledger.reader().search_files(&search).unwrap().files
        };
        assert_eq!(listed(FileOrder::Name), files);
        let [a, b, c] = files;
        assert_eq!(listed(FileOrder::Size), [a.clone(), c.clone(), b.clone()]);
        assert_eq!(listed(FileOrder::Published), [c, a, b.clone()]);
        assert_eq!(
            ledger.reader().file_by_id(&b.entry.file_id).unwrap().unwrap().entry.file_id,
            b.entry.file_id
        );
        let checked: String =
            ledger.reader().connection().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(checked, "ok");
        drop(ledger);

        LedgerDb::remove(&path).unwrap();
        let row = encoding::encode(&b);
        let at = bytes.windows(row.len()).position(|bytes| bytes == row).unwrap();
        let mut rotten = bytes;
        rotten[at + row.len() - 1] ^= 1;
        std::fs::write(&path, rotten).unwrap();
        assert!(LedgerDb::open(&path).unwrap_err().is_damage());
    }
}
