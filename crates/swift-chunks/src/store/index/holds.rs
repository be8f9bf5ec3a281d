//! Rows of holds: what keeps a content that no name needs.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Index;
use crate::id::FileId;
use crate::store::error::StoreError;
use crate::store::upload::Hold;

impl Index {
    pub(in crate::store) fn put_hold(
        connection: &Connection,
        key: &[u8],
        object: i64,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let old = Self::hold_object(connection, key)?;
        connection
            .prepare_cached("INSERT OR REPLACE INTO holds(key, object, payload) VALUES(?, ?, ?)")?
            .execute(params![key, object, payload])?;
        if let Some(old) = old.filter(|&old| old != object) {
            Self::refresh_use(connection, old, now_ms)?;
        }
        Self::refresh_use(connection, object, now_ms)
    }

    pub(in crate::store) fn release_holds(
        &mut self,
        keys: &[&[u8]],
        now_ms: u64,
    ) -> Result<usize, StoreError> {
        let transaction = self.begin()?;
        let mut released = 0;
        for key in keys {
            let Some(object) = Self::hold_object(&transaction, key)? else { continue };
            transaction.prepare_cached("DELETE FROM holds WHERE key = ?")?.execute([key])?;
            Self::refresh_use(&transaction, object, now_ms)?;
            released += 1;
        }
        if released > 0 {
            transaction.commit()?;
        }
        Ok(released)
    }

    pub(in crate::store) fn holds(&self) -> Result<Vec<(FileId, Hold)>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT objects.file_id, key, payload FROM holds JOIN objects ON objects.id = object ORDER BY key",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((FileId::from_bytes(row.get(0)?), Hold { key: row.get(1)?, payload: row.get(2)? }))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn hold_object(connection: &Connection, key: &[u8]) -> Result<Option<i64>, StoreError> {
        let mut statement = connection.prepare_cached("SELECT object FROM holds WHERE key = ?")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }
}
