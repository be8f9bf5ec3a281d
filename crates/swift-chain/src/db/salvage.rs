//! Reading what is left of a damaged ledger. Nothing that comes from here is trusted: blocks are checked like those of
//! anybody else, and what a node had signed by its own signature.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Params, Row};

use crate::{
    address::Address, block::SealedBlock, encoding, evidence::Evidence, execution::Head, genesis::Genesis,
    hash::NetworkId, identity::NodeId, snapshot::SnapshotFrame, state::Member, store::OutboxEntry,
    transaction::SignedTransaction,
};

/// No more of it is kept of a wreck than of a ledger.
const EVIDENCE_MAX: usize = 1000;

/// A ledger that is damaged, or may be. It is only read; a page that gives back nothing hides no other.
#[derive(Debug)]
pub struct Wreck {
    connection: Connection,
}

impl Wreck {
    /// Opens what is at a path; none where SQLite finds no database.
    pub fn open(path: &Path) -> Option<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).ok()?;
        connection.busy_timeout(std::time::Duration::from_secs(10)).ok()?;
        let tables =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
        tables.is_ok_and(|tables| tables > 0).then_some(Self { connection })
    }

    /// The genesis block, if it is one.
    pub fn genesis(&self) -> Option<Genesis> {
        let body: Vec<u8> = self.one("SELECT body FROM blocks WHERE height = 0", [], |row| row.get(0))?;
        Genesis::from_bytes(&body).ok()
    }

    /// A part of the state that the network began with.
    pub fn snapshot_frame(&self, frame: u32) -> Option<SnapshotFrame> {
        let sql = "SELECT body FROM snapshot WHERE frame = ?1";
        let body: Vec<u8> = self.one(sql, [frame], |row| row.get(0))?;
        SnapshotFrame::from_bytes(&body).ok()
    }

    /// A block and its certificate, if there is one. Only its form is checked.
    pub fn block(&self, height: u64) -> Option<SealedBlock> {
        let height = i64::try_from(height).ok().filter(|height| *height > 0)?;
        let body: Vec<u8> =
            self.one("SELECT body FROM blocks WHERE height = ?1", [height], |row| row.get(0))?;
        SealedBlock::from_bytes(&body).ok()
    }

    /// How far the ledger goes by its own word, as far as that can be read; it may be wrong.
    pub fn height(&self) -> Option<u64> {
        let head: Option<Vec<u8>> =
            self.one("SELECT value FROM meta WHERE key = 'head'", [], |row| row.get(0));
        let head = head.and_then(|head| encoding::decode::<Head>("head", &head, 4096).ok());
        head.map(|head| head.height)
    }

    /// This node's own transactions that wait, as far as they can be read.
    pub fn outbox(&self, network: &NetworkId, author: &NodeId) -> Readable<OutboxEntry> {
        let rows = self
            .rows("outbox", "id", "id, signed", |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
        rows.keep(|(id, bytes)| {
            let signed = SignedTransaction::from_bytes(&bytes).ok()?;
            let is_own = signed.transaction.author == *author && signed.clone().check(network).is_ok();
            is_own.then_some(OutboxEntry { id, signed })
        })
    }

    /// Where members are dialled, as far as that can be read. Nothing proves it.
    pub fn members(&self) -> Vec<(NodeId, Address)> {
        let rows = self.rows("members", "node", "node, record", |row| {
            Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?))
        });
        let members = rows.keep(|(node, record)| {
            let member: Member = encoding::decode("member", &record, 4096).ok()?;
            Some((NodeId::from_bytes(node), member.address))
        });
        members.rows
    }

    /// Evidence against validators that still proves something, and when it was found.
    pub fn evidence(&self, network: &NetworkId) -> Vec<(u64, Evidence)> {
        let rows = self.rows("evidence", "id", "found_ms, proof", |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?))
        });
        let proven = rows.keep(|(found_ms, proof)| {
            let evidence = Evidence::from_bytes(&proof).ok()?;
            evidence.verify(network).is_ok().then_some((found_ms, evidence))
        });
        proven.rows.into_iter().take(EVIDENCE_MAX).collect()
    }

    fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Option<T> {
        self.connection.query_row(sql, parameters, read).optional().ok().flatten()
    }

    /// Rows from the first up to where reading fails, and then from the last down to there.
    fn rows<T>(
        &self,
        table: &str,
        key: &str,
        columns: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Readable<T> {
        let mut found = Vec::new();
        let sql = |order: &str| format!("SELECT {columns} FROM {table} ORDER BY {key} {order}");
        if self.read_rows(&sql("ASC"), &read, &mut found) {
            return Readable { rows: found, is_all: true };
        }
        let mut from_the_end = Vec::new();
        self.read_rows(&sql("DESC"), &read, &mut from_the_end);
        found.extend(from_the_end.into_iter().rev());
        Readable { rows: found, is_all: false }
    }

    /// Whether it came to the end.
    fn read_rows<T>(
        &self,
        sql: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        into: &mut Vec<T>,
    ) -> bool {
        let Ok(mut statement) = self.connection.prepare(sql) else { return false };
        let Ok(mut rows) = statement.query([]) else { return false };
        let mut is_all = true;
        loop {
            match rows.next() {
                Ok(Some(row)) => match read(row) {
                    Ok(value) => into.push(value),
                    Err(_) => is_all = false,
                },
                Ok(None) => return is_all,
                Err(_) => return false,
            }
        }
    }
}

/// What could be read of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable<T> {
    /// The rows that are what they should be.
    pub rows: Vec<T>,
    /// Whether there were no others.
    pub is_all: bool,
}

impl<T> Default for Readable<T> {
    /// Nothing could be read.
    fn default() -> Self {
        Self { rows: Vec::new(), is_all: false }
    }
}

impl<T> Readable<T> {
    fn keep<U>(self, accept: impl Fn(T) -> Option<U>) -> Readable<U> {
        let len = self.rows.len();
        let rows: Vec<U> = self.rows.into_iter().filter_map(accept).collect();
        Readable { is_all: self.is_all && rows.len() == len, rows }
    }
}
