//! Making the ledger of a network: one SQLite transaction, also when the network begins with an imported state.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, params};

use super::{
    APPLICATION_ID, DbError, SCHEMA, SCHEMA_2, SCHEMA_VERSION, listing,
    state::{Counts, SqlState, write_meta},
    sums,
    writer::{LedgerDb, connect, write_validators},
};
use crate::{
    execution::Head,
    genesis::Genesis,
    snapshot::{SnapshotCheck, SnapshotFrame},
    state::Change,
    validators::ValidatorSet,
};

/// The ledger of a network that is being made. Nothing of it is there before [`Self::finish`]; when this is dropped, or
/// the machine stops, [`LedgerDb::open`] finds no ledger. Memory stays bounded, however much state is imported.
#[derive(Debug)]
pub struct LedgerBuilder {
    connection: Connection,
    check: SnapshotCheck,
    frames: u32,
}

impl LedgerBuilder {
    /// Begins with a genesis block, in a file that holds nothing.
    pub fn new(path: &Path, genesis: &Genesis) -> Result<Self, DbError> {
        let connection = connect(path)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(SCHEMA_2)?;
        sums::add(&connection)?;
        sums::add_to_blocks(&connection)?;
        listing::add(&connection)?;
        connection.execute(
            "INSERT INTO blocks VALUES (0, ?1, ?2)",
            params![genesis.id().as_bytes(), genesis.to_bytes()],
        )?;
        write_meta(&connection, "counts", &Counts::default())?;
        SqlState(&connection).apply(&Change::of_genesis(genesis))?;
        write_meta(&connection, "head", &Head::of_genesis(genesis))?;
        write_validators(&connection, 1, &ValidatorSet::sole(genesis.body().founder))?;
        Ok(Self { connection, check: SnapshotCheck::new(genesis), frames: 0 })
    }

    /// Takes the next part of the imported state. After an error there is nothing to go on with.
    pub fn push(&mut self, frame: &SnapshotFrame) -> Result<(), DbError> {
        self.check.push(frame)?;
        let mut statement = self.connection.prepare_cached("INSERT INTO snapshot VALUES (?1, ?2)")?;
        statement.execute(params![self.frames, frame.to_bytes()])?;
        self.frames += 1;
        SqlState(&self.connection).apply(frame.changes())
    }

    /// Whether all of the imported state has come; at once, where the network begins with nothing.
    pub fn is_whole(&self) -> bool {
        self.check.is_whole()
    }

    /// Ends: if the imported state is the one that the genesis block names, the ledger is durable when this returns.
    pub fn finish(self) -> Result<LedgerDb, DbError> {
        self.check.finish()?;
        let connection = self.connection;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        connection.execute_batch("COMMIT")?;
        LedgerDb::over(connection)
    }
}

impl LedgerDb {
    /// Removes a ledger that is not open, and what may be left of one: SQLite would play the log of an older ledger into
    /// whatever comes to its place. An error names the file that is still there.
    pub fn remove(path: &Path) -> Result<(), (PathBuf, io::Error)> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            let path = PathBuf::from(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err((path, error)),
                _ => {}
            }
        }
        Ok(())
    }
}
