//! Rows of promises, and of content that nothing keeps.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::objects::{ObjectRow, query};
use super::{Index, from_sql, to_sql};
use crate::id::FileId;
use crate::store::error::StoreError;
use crate::store::evict::{GivenPromise, HeldPromise};

/// Written so that the index `objects_surplus` serves it.
const SURPLUS: &str = "wanted_height IS NULL AND trashed_ms IS NULL AND stored > 0 AND state IN (0, 1)
    AND EXISTS(SELECT 1 FROM names WHERE names.object = objects.id)
    AND NOT EXISTS(SELECT 1 FROM holds WHERE holds.object = objects.id)";

impl Index {
    pub(in crate::store) fn surplus(&self, after: i64, limit: usize) -> Result<Vec<ObjectRow>, StoreError> {
        let rest = format!("WHERE {SURPLUS} AND id > ? ORDER BY id LIMIT ?");
        query(self.read(), &rest, params![after, to_sql(limit as u64)])
    }

    pub(in crate::store) fn is_surplus(&self, id: i64) -> Result<bool, StoreError> {
        Ok(!query(self.read(), &format!("WHERE {SURPLUS} AND id = ?"), [id])?.is_empty())
    }

    /// Whether the rule or a pin covers one of a content's live names; nothing if it has none.
    pub(in crate::store) fn has_kept_name(
        connection: &Connection,
        object: i64,
    ) -> Result<Option<bool>, StoreError> {
        let mut statement = connection.prepare_cached("SELECT max(kept) FROM names WHERE object = ?")?;
        Ok(statement.query_row([object], |row| row.get(0))?)
    }

    /// Nothing of a content is here any more.
    pub(in crate::store) fn set_evicted(connection: &Connection, id: i64) -> Result<(), StoreError> {
        connection.prepare_cached("DELETE FROM pages WHERE object = ?")?.execute([id])?;
        Self::forget_all_grains(connection, id)?;
        connection
            .prepare_cached(
                "UPDATE objects SET state = 0, held = 0, has_manifest = 0, mtime_ns = 0, reserved = 0, stored = 0
                 WHERE id = ?",
            )?
            .execute([id])?;
        Self::queue_names_of(connection, id)
    }

    pub(in crate::store) fn put_given(
        connection: &Connection,
        object: i64,
        to: &[u8],
        until_ms: u64,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "INSERT INTO promised(object, asker, until_ms) VALUES(?1, ?2, ?3)
                 ON CONFLICT(object, asker) DO UPDATE SET until_ms = max(until_ms, ?3)",
            )?
            .execute(params![object, to, to_sql(until_ms)])?;
        Ok(())
    }

    pub(in crate::store) fn put_held(
        connection: &Connection,
        promise: &HeldPromise,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached("INSERT OR REPLACE INTO promises(file_id, until_ms, statement) VALUES(?, ?, ?)")?
            .execute(params![promise.file_id.as_bytes(), to_sql(promise.until_ms), promise.statement])?;
        Ok(())
    }

    pub(in crate::store) fn has_promises_before(
        &self,
        given_ms: u64,
        held_ms: u64,
    ) -> Result<bool, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT 1 WHERE EXISTS(SELECT 1 FROM promised WHERE until_ms <= ?)
             OR EXISTS(SELECT 1 FROM promises WHERE until_ms <= ?)",
        )?;
        Ok(statement.query_row(params![to_sql(given_ms), to_sql(held_ms)], |_| Ok(())).optional()?.is_some())
    }

    /// Takes out promises that are over. Answers their contents.
    pub(in crate::store) fn take_given_before(
        connection: &Connection,
        now_ms: u64,
    ) -> Result<Vec<i64>, StoreError> {
        let mut statement =
            connection.prepare_cached("SELECT DISTINCT object FROM promised WHERE until_ms <= ?")?;
        let objects = statement.query_map([to_sql(now_ms)], |row| row.get(0))?.collect::<Result<_, _>>()?;
        connection.prepare_cached("DELETE FROM promised WHERE until_ms <= ?")?.execute([to_sql(now_ms)])?;
        Ok(objects)
    }

    pub(in crate::store) fn forget_held_before(
        connection: &Connection,
        before_ms: u64,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached("DELETE FROM promises WHERE until_ms <= ?")?
            .execute([to_sql(before_ms)])?;
        Ok(())
    }

    pub(in crate::store) fn promises_given(&self, limit: usize) -> Result<Vec<GivenPromise>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT file_id, asker, until_ms FROM promised JOIN objects ON objects.id = promised.object
             ORDER BY until_ms DESC, file_id LIMIT ?",
        )?;
        let rows = statement.query_map([to_sql(limit as u64)], |row| {
            let (file_id, to, until_ms) =
                (FileId::from_bytes(row.get(0)?), row.get(1)?, from_sql(row.get(2)?));
            Ok(GivenPromise { file_id, to, until_ms })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(in crate::store) fn promises_held(&self, limit: usize) -> Result<Vec<HeldPromise>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT file_id, until_ms, statement FROM promises ORDER BY until_ms DESC, file_id LIMIT ?",
        )?;
        let rows = statement.query_map([to_sql(limit as u64)], |row| {
            let (file_id, until_ms) = (FileId::from_bytes(row.get(0)?), from_sql(row.get(1)?));
            Ok(HeldPromise { file_id, until_ms, statement: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
