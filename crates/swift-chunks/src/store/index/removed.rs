//! Rows of names that content had and has no more.

use rusqlite::{Connection, Row, params};

use super::objects::{STATE_COMPLETE, STATE_DOOMED};
use super::{Index, from_sql, to_sql};
use crate::id::{FileId, ManifestHash};
use crate::store::content::ContentRef;
use crate::store::error::StoreError;
use crate::store::names::ChangedBy;

/// A content, and a name that it had; none if it never had one.
#[derive(Clone, Debug)]
pub(in crate::store) struct RemovedRow {
    pub(in crate::store) name: Option<String>,
    pub(in crate::store) by: ChangedBy,
    pub(in crate::store) object: i64,
    pub(in crate::store) key: ContentRef,
    pub(in crate::store) is_complete: bool,
    pub(in crate::store) stored: u64,
    pub(in crate::store) trashed_ms: Option<u64>,
}

const COLUMNS: &str = "objects.id, file_id, manifest_hash, len, state, stored, trashed_ms";

impl RemovedRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (time_ms, trashed_ms): (i64, Option<i64>) = (row.get(1)?, row.get(10)?);
        Ok(Self {
            name: row.get(0)?,
            by: ChangedBy { member: row.get(2)?, client: row.get(3)?, time_ms: from_sql(time_ms) },
            object: row.get(4)?,
            key: ContentRef {
                file_id: FileId::from_bytes(row.get(5)?),
                manifest_hash: ManifestHash::from_bytes(row.get(6)?),
                len: from_sql(row.get(7)?),
            },
            is_complete: row.get::<_, i64>(8)? == STATE_COMPLETE,
            stored: from_sql(row.get(9)?),
            trashed_ms: trashed_ms.map(from_sql),
        })
    }
}

impl Index {
    pub(super) fn note_removed(
        connection: &Connection,
        name: &str,
        object: i64,
        by: &ChangedBy,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO removed(name, object, removed_ms, member, client) VALUES(?, ?, ?, ?, ?)",
            )?
            .execute(params![name, object, to_sql(by.time_ms), by.member, by.client])?;
        Ok(())
    }

    /// The name means the content again.
    pub(super) fn forget_removed(connection: &Connection, name: &str, object: i64) -> Result<(), StoreError> {
        connection
            .prepare_cached("DELETE FROM removed WHERE name = ? AND object = ?")?
            .execute(params![name, object])?;
        Ok(())
    }

    /// Names that were removed until a time from content that is live under another one. What is in the trash keeps its
    /// names for as long as it is there.
    pub(in crate::store) fn forget_removed_before(&mut self, cutoff_ms: u64) -> Result<(), StoreError> {
        let which =
            "removed_ms <= ? AND EXISTS(SELECT 1 FROM objects WHERE id = object AND trashed_ms IS NULL)";
        let exists = format!("SELECT EXISTS(SELECT 1 FROM removed WHERE {which})");
        let cutoff_ms = to_sql(cutoff_ms);
        if !self.read().prepare_cached(&exists)?.query_row([cutoff_ms], |row| row.get(0))? {
            return Ok(());
        }
        let transaction = self.begin()?;
        transaction.prepare_cached(&format!("DELETE FROM removed WHERE {which}"))?.execute([cutoff_ms])?;
        transaction.commit()
    }

    /// In the order of names, behind a name and an object: those of which something is here.
    pub(in crate::store) fn removed_after(
        &self,
        after: (&str, i64),
        limit: usize,
    ) -> Result<Vec<RemovedRow>, StoreError> {
        let sql = format!(
            "SELECT name, removed_ms, member, client, {COLUMNS} FROM removed
             JOIN objects ON objects.id = removed.object
             WHERE (name, object) > (?, ?) AND stored > 0 AND state <> ? ORDER BY name, object LIMIT ?"
        );
        let mut statement = self.read().prepare_cached(&sql)?;
        let params = params![after.0, after.1, STATE_DOOMED, to_sql(limit as u64)];
        Ok(statement.query_map(params, RemovedRow::read)?.collect::<Result<_, _>>()?)
    }

    /// What is in the trash and never had a name: uploads that the ledger refused.
    pub(in crate::store) fn nameless_after(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<RemovedRow>, StoreError> {
        let sql = format!(
            "SELECT NULL, trashed_ms, NULL, NULL, {COLUMNS} FROM objects INDEXED BY objects_trash
             WHERE trashed_ms IS NOT NULL AND id > ? AND stored > 0 AND state <> ?
             AND NOT EXISTS(SELECT 1 FROM removed WHERE object = objects.id) ORDER BY id LIMIT ?"
        );
        let mut statement = self.read().prepare_cached(&sql)?;
        let params = params![after, STATE_DOOMED, to_sql(limit as u64)];
        Ok(statement.query_map(params, RemovedRow::read)?.collect::<Result<_, _>>()?)
    }

    /// What a name meant, the latest first.
    pub(in crate::store) fn removed_under(&self, name: &str) -> Result<Vec<RemovedRow>, StoreError> {
        let sql = format!(
            "SELECT name, removed_ms, member, client, {COLUMNS} FROM removed
             JOIN objects ON objects.id = removed.object
             WHERE name = ? AND state <> ? ORDER BY removed_ms DESC, object DESC"
        );
        let mut statement = self.read().prepare_cached(&sql)?;
        Ok(statement.query_map(params![name, STATE_DOOMED], RemovedRow::read)?.collect::<Result<_, _>>()?)
    }
}
