//! Rows that carry a sum over all that is in them: SQLite does not notice when a bit of a value changes by itself.
//!
//! The sum is a stored generated column: it is written with the row, and never set by hand. No statement changes a part of
//! a row. Blocks have one too: their hashes say nothing of their certificates.

use rusqlite::{
    Connection, Error, ffi,
    functions::{Context, FunctionFlags},
    types::ValueRef,
};

use super::{DbError, reader::LedgerReader};
use crate::{block::Block, hash::sha256};

/// A table, its columns with their definitions, and what comes behind them.
pub(super) struct Table {
    name: &'static str,
    columns: &'static [(&'static str, &'static str)],
    options: &'static str,
}

/// The tables that have sums since version 3, but for that of the files.
const TABLES: [Table; 9] = [
    Table {
        name: "meta",
        columns: &[("key", "TEXT PRIMARY KEY"), ("value", "BLOB NOT NULL")],
        options: "WITHOUT ROWID, STRICT",
    },
    Table {
        name: "members",
        columns: &[("node", "BLOB PRIMARY KEY"), ("record", "BLOB NOT NULL")],
        options: "WITHOUT ROWID, STRICT",
    },
    Table {
        name: "removed",
        columns: &[("node", "BLOB PRIMARY KEY"), ("height", "INTEGER NOT NULL")],
        options: "WITHOUT ROWID, STRICT",
    },
    Table {
        name: "authors",
        columns: &[("node", "BLOB PRIMARY KEY"), ("record", "BLOB NOT NULL")],
        options: "WITHOUT ROWID, STRICT",
    },
    Table {
        name: "invitations",
        columns: &[("nonce", "BLOB PRIMARY KEY")],
        options: "WITHOUT ROWID, STRICT",
    },
    Table {
        name: "outbox",
        columns: &[("id", "INTEGER PRIMARY KEY AUTOINCREMENT"), ("signed", "BLOB NOT NULL")],
        options: "STRICT",
    },
    Table {
        name: "validator_sets",
        columns: &[("height", "INTEGER PRIMARY KEY"), ("validators", "BLOB NOT NULL")],
        options: "STRICT",
    },
    Table {
        name: "wal",
        columns: &[("id", "INTEGER PRIMARY KEY"), ("entry", "BLOB NOT NULL")],
        options: "STRICT",
    },
    Table {
        name: "evidence",
        columns: &[
            ("id", "BLOB PRIMARY KEY"),
            ("height", "INTEGER NOT NULL"),
            ("found_ms", "INTEGER NOT NULL"),
            ("proof", "BLOB NOT NULL"),
        ],
        options: "WITHOUT ROWID, STRICT",
    },
];

/// The table of the files in versions 3 and 4.
const FILES_BEFORE: Table = Table {
    name: "files",
    columns: &[
        ("key", "TEXT PRIMARY KEY"),
        ("file_id", "BLOB NOT NULL"),
        ("size", "INTEGER NOT NULL"),
        ("record", "BLOB NOT NULL"),
    ],
    options: "WITHOUT ROWID, STRICT",
};

/// The table of the files since version 5.
pub(super) const FILES: Table = Table {
    name: "files",
    columns: &[
        ("key", "TEXT PRIMARY KEY"),
        ("file_id", "BLOB NOT NULL"),
        ("size", "INTEGER NOT NULL"),
        ("publisher", "BLOB NOT NULL"),
        ("height", "INTEGER NOT NULL"),
        ("record", "BLOB NOT NULL"),
    ],
    options: "WITHOUT ROWID, STRICT",
};

/// The tables that have sums since version 4.
const BODIES: [Table; 2] = [
    Table {
        name: "blocks",
        columns: &[("height", "INTEGER PRIMARY KEY"), ("hash", "BLOB NOT NULL"), ("body", "BLOB NOT NULL")],
        options: "STRICT",
    },
    Table {
        name: "snapshot",
        columns: &[("frame", "INTEGER PRIMARY KEY"), ("body", "BLOB NOT NULL")],
        options: "STRICT",
    },
];

/// The table that version 4 added.
const HISTORY: Table =
    Table { name: "history", columns: &[("entry", "BLOB PRIMARY KEY")], options: "WITHOUT ROWID, STRICT" };

/// Asked for beside what is read of a row: comes to an error at one that is not what its sum says.
pub(super) const META: &str = "intact(sum, 'meta', key, value)";
/// See [`META`].
pub(super) const MEMBER: &str = "intact(sum, 'members', node, record)";
/// See [`META`].
pub(super) const AUTHOR: &str = "intact(sum, 'authors', node, record)";
/// See [`META`].
pub(super) const FILE: &str = "intact(sum, 'files', key, file_id, size, publisher, height, record)";
/// See [`META`]; of a file in versions 3 and 4.
pub(super) const FILE_BEFORE: &str = "intact(sum, 'files', key, file_id, size, record)";
/// See [`META`].
pub(super) const OUTBOX: &str = "intact(sum, 'outbox', id, signed)";
/// See [`META`].
pub(super) const VALIDATORS: &str = "intact(sum, 'validator_sets', height, validators)";
/// See [`META`].
pub(super) const WAL: &str = "intact(sum, 'wal', id, entry)";
/// See [`META`].
pub(super) const EVIDENCE: &str = "intact(sum, 'evidence', id, height, found_ms, proof)";
/// See [`META`].
pub(super) const BLOCK: &str = "intact(sum, 'blocks', height, hash, body)";
/// See [`META`].
pub(super) const SNAPSHOT: &str = "intact(sum, 'snapshot', frame, body)";
/// See [`META`].
pub(super) const ENTRY: &str = "intact(sum, 'history', entry)";

impl Table {
    fn column_names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(column, _)| *column).collect();
        names.join(", ")
    }

    pub(super) fn create(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (name, columns, options) = (self.name, self.column_names(), self.options);
        let defined: Vec<String> =
            self.columns.iter().map(|(column, kind)| format!("{column} {kind}")).collect();
        connection.execute_batch(&format!(
            "CREATE TABLE {name} ({}, sum INTEGER NOT NULL GENERATED ALWAYS AS (row_sum('{name}', {columns})) STORED)
                 {options}",
            defined.join(", ")
        ))
    }

    /// Makes the table anew, with sums. What it was goes under another name.
    fn refit(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (name, columns) = (self.name, self.column_names());
        connection.execute_batch(&format!("ALTER TABLE {name} RENAME TO {name}_old"))?;
        self.create(connection)?;
        connection.execute_batch(&format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {name}_old"))
    }
}

/// Makes the tables of version 2 to those of version 3: each row gets its sum.
pub(super) fn add(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DROP INDEX files_by_id")?;
    let tables = || TABLES.iter().chain([&FILES_BEFORE]);
    for table in tables() {
        table.refit(connection)?;
    }
    // No number of a queued transaction is used twice.
    connection.execute_batch(
        "DELETE FROM sqlite_sequence WHERE name = 'outbox';
         INSERT INTO sqlite_sequence (name, seq) SELECT 'outbox', seq FROM sqlite_sequence WHERE name = 'outbox_old';",
    )?;
    for table in tables() {
        connection.execute_batch(&format!("DROP TABLE {}_old", table.name))?;
    }
    connection.execute_batch("CREATE INDEX files_by_id ON files (file_id)")
}

/// Makes the tables of version 3 to those of version 4: blocks and what a network began with get their sums, and there is
/// an index of what concerns whom, which is still empty.
pub(super) fn add_to_blocks(connection: &Connection) -> rusqlite::Result<()> {
    for table in &BODIES {
        table.refit(connection)?;
        connection.execute_batch(&format!("DROP TABLE {}_old", table.name))?;
    }
    HISTORY.create(connection)
}

/// Lets SQL work sums out.
pub(super) fn teach(connection: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_sum", -1, flags, |context| Ok(sum(context, 0)))?;
    connection.create_scalar_function("intact", -1, flags, |context| {
        if context.get_raw(0) == ValueRef::Integer(sum(context, 1)) {
            return Ok(true);
        }
        let table = context.get_raw(1).as_str().unwrap_or_default();
        let reason = format!("a row of {table} is not what was written");
        Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(reason)))
    })
}

/// The first 8 bytes of SHA-256 over the values from a position on, each with its kind and its length.
fn sum(context: &Context<'_>, from: usize) -> i64 {
    let mut bytes = Vec::with_capacity(256);
    for at in from..context.len() {
        match context.get_raw(at) {
            ValueRef::Null => bytes.push(0),
            ValueRef::Integer(number) => {
                bytes.push(1);
                bytes.extend(number.to_le_bytes());
            }
            ValueRef::Real(number) => {
                bytes.push(2);
                bytes.extend(number.to_le_bytes());
            }
            ValueRef::Text(text) => push(&mut bytes, 3, text),
            ValueRef::Blob(blob) => push(&mut bytes, 4, blob),
        }
    }
    let hash = sha256(&[&bytes]);
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_le_bytes(first)
}

fn push(bytes: &mut Vec<u8>, kind: u8, content: &[u8]) {
    bytes.push(kind);
    bytes.extend((content.len() as u64).to_le_bytes());
    bytes.extend(content);
}

impl LedgerReader {
    /// Looks through the whole file for damage: pages that do not fit together, indexes that do not say what their tables
    /// say, rows that are not what their sums say, blocks that are not what their hashes say. Takes as long as reading it
    /// does. Signatures are not checked: what was stored had been, and the sums say that it still is what was stored.
    pub fn check_file(&self) -> Result<(), DbError> {
        let connection = self.connection();
        let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(DbError::Pages(found));
        }
        for table in TABLES.iter().chain(&BODIES).chain([&HISTORY, &FILES]) {
            let (name, columns) = (table.name, table.column_names());
            let sql = format!("SELECT count(*) FROM {name} WHERE intact(sum, '{name}', {columns})");
            connection.query_row(&sql, [], |_| Ok(()))?;
        }
        let head = self.head()?;
        let mut previous = self.genesis().id().into();
        for height in 1..=head.height {
            let block = self.block(height)?.ok_or(DbError::Missing("block"))?.block;
            let hash = block.header.hash();
            let is_it = block.header.height == height
                && block.header.previous == previous
                && block.header.transactions_root == Block::transactions_root(&block.transactions)
                && self.block_hash(height)? == Some(hash);
            if !is_it {
                return Err(DbError::Pages(format!("block {height} is not what its hash says")));
            }
            previous = hash;
        }
        if previous != head.hash {
            return Err(DbError::Pages("the last block is not the head".into()));
        }
        Ok(())
    }
}
