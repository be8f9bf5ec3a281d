//! Each row carries a sum over all that is in it: SQLite does not notice when a bit of a value changes by itself.
//!
//! The sum is a stored generated column: it is written with the row, whoever writes it, and never set by hand. All rows are
//! compared with theirs when the index is opened and when a scrub ends, those of contents and names whenever they are read,
//! and every row before it is changed: a change would make a sound sum of a rotten row.

use rusqlite::{Connection, Error, ffi, functions::Context, functions::FunctionFlags, types::ValueRef};

/// A table: its name, its columns as SQL defines them, and what comes behind them.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Name and definition.
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// Constraints over several columns, with a comma before each.
    pub(super) constraints: &'static str,
    pub(super) options: &'static str,
}

impl Table {
    /// What makes it, and has its rows looked at before they are changed.
    pub(super) fn schema(&self) -> String {
        let Self { name, columns, constraints, options } = self;
        let defined: Vec<String> = columns.iter().map(|(column, kind)| format!("{column} {kind}")).collect();
        let names = self.column_names();
        let old: Vec<String> = columns.iter().map(|(column, _)| format!("OLD.{column}")).collect();
        format!(
            "CREATE TABLE {name}({}, sum INTEGER NOT NULL GENERATED ALWAYS AS (row_sum('{name}', {names})) STORED\
             {constraints}){options};
             CREATE TRIGGER {name}_rot BEFORE UPDATE ON {name} BEGIN
                 SELECT intact(OLD.sum, '{name}', {});
             END;",
            defined.join(", "),
            old.join(", ")
        )
    }

    pub(super) fn column_names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(column, _)| *column).collect();
        names.join(", ")
    }

    /// Reads every row, and fails at one that is not what its sum says.
    pub(super) fn look_through(&self) -> String {
        let Self { name, .. } = self;
        format!("SELECT count(*) FROM {name} WHERE intact(sum, '{name}', {})", self.column_names())
    }
}

/// Lets SQL work sums out. A connection that writes, or copies the index, must know how.
pub(in crate::store) fn teach(connection: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_sum", -1, flags, |context| Ok(sum(context, 0)))?;
    connection.create_scalar_function("intact", -1, flags, |context| {
        if context.get_raw(0) == ValueRef::Integer(sum(context, 1)) {
            return Ok(true);
        }
        let table = context.get_raw(1).as_str().unwrap_or_default();
        let reason = format!("a row of {table} is not what was written");
        // With words SQLite takes the code for that of any error.
        Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(reason)))
    })
}

/// The first 8 bytes of BLAKE3 over the values from a position on, each with its kind and its length.
fn sum(context: &Context<'_>, from: usize) -> i64 {
    let mut hasher = blake3::Hasher::new();
    for at in from..context.len() {
        match context.get_raw(at) {
            ValueRef::Null => _ = hasher.update(&[0]),
            ValueRef::Integer(number) => _ = hasher.update(&[1]).update(&number.to_le_bytes()),
            ValueRef::Real(number) => _ = hasher.update(&[2]).update(&number.to_le_bytes()),
            ValueRef::Text(bytes) => {
                _ = hasher.update(&[3]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
            }
            ValueRef::Blob(bytes) => {
                _ = hasher.update(&[4]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
            }
        }
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    i64::from_le_bytes(first)
}
