//! Rows of what is kept: the rule, the pins, and how each name was judged.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Index, to_sql};
use crate::id::FileId;
use crate::store::error::StoreError;

/// A live name and how it was judged.
#[derive(Clone, Debug)]
pub(in crate::store) struct Judged {
    pub(in crate::store) name: String,
    pub(in crate::store) object: i64,
    pub(in crate::store) is_kept: bool,
    pub(in crate::store) is_pinned: bool,
}

impl Index {
    /// The stored rule; none before one was set.
    pub(in crate::store) fn keep(&self) -> Result<Option<String>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT rule FROM keep")?;
        Ok(statement.query_row([], |row| row.get(0)).optional()?)
    }

    pub(in crate::store) fn set_keep(connection: &Connection, rule: &str) -> Result<(), StoreError> {
        connection.prepare_cached("DELETE FROM keep")?.execute([])?;
        connection.prepare_cached("INSERT INTO keep(rule) VALUES(?)")?.execute([rule])?;
        Ok(())
    }

    pub(in crate::store) fn kept_after(
        connection: &Connection,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Judged>, StoreError> {
        let mut statement = connection.prepare_cached(
            "SELECT name, object, kept, EXISTS(SELECT 1 FROM pins WHERE pins.name = names.name) FROM names
             WHERE name > ? ORDER BY name LIMIT ?",
        )?;
        let rows = statement.query_map(params![after, to_sql(limit as u64)], |row| {
            Ok(Judged {
                name: row.get(0)?,
                object: row.get(1)?,
                is_kept: row.get(2)?,
                is_pinned: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(in crate::store) fn set_kept(
        connection: &Connection,
        name: &str,
        is_kept: bool,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached("UPDATE names SET kept = ? WHERE name = ?")?
            .execute(params![is_kept, name])?;
        Ok(())
    }

    /// What a live name means.
    pub(in crate::store) fn named(
        connection: &Connection,
        name: &str,
    ) -> Result<Option<(i64, FileId)>, StoreError> {
        let mut statement = connection.prepare_cached(
            "SELECT objects.id, file_id FROM names JOIN objects ON objects.id = names.object WHERE name = ?",
        )?;
        let named = statement.query_row([name], |row| Ok((row.get(0)?, FileId::from_bytes(row.get(1)?))));
        Ok(named.optional()?)
    }

    /// False if the name was pinned before.
    pub(in crate::store) fn put_pin(connection: &Connection, name: &str) -> Result<bool, StoreError> {
        let added =
            connection.prepare_cached("INSERT OR IGNORE INTO pins(name) VALUES(?)")?.execute([name])?;
        Ok(added > 0)
    }

    /// False if the name was not pinned.
    pub(in crate::store) fn remove_pin(connection: &Connection, name: &str) -> Result<bool, StoreError> {
        Ok(connection.prepare_cached("DELETE FROM pins WHERE name = ?")?.execute([name])? > 0)
    }

    pub(in crate::store) fn is_pinned(connection: &Connection, name: &str) -> Result<bool, StoreError> {
        let mut statement = connection.prepare_cached("SELECT EXISTS(SELECT 1 FROM pins WHERE name = ?)")?;
        Ok(statement.query_row([name], |row| row.get(0))?)
    }

    pub(in crate::store) fn pins_after(&self, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let mut statement =
            self.read().prepare_cached("SELECT name FROM pins WHERE name > ? ORDER BY name LIMIT ?")?;
        let names = statement.query_map(params![after, to_sql(limit as u64)], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Whether a kept name means this file.
    pub(in crate::store) fn is_wanted(&self, file_id: FileId) -> Result<bool, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT EXISTS(SELECT 1 FROM objects WHERE file_id = ? AND wanted_height IS NOT NULL)",
        )?;
        Ok(statement.query_row([file_id.as_bytes()], |row| row.get(0))?)
    }
}
