//! Whether anything uses a content, and how rows of unused content come to their end.

use rusqlite::{Connection, params};

use super::objects::{ObjectRow, STATE_DOOMED, query};
use super::{Index, to_sql};
use crate::store::error::StoreError;

impl Index {
    /// After its names or holds changed: what wants the content, and whether it belongs in the trash.
    pub(in crate::store) fn refresh_use(
        connection: &Connection,
        id: i64,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "UPDATE objects SET wanted_height = (SELECT min(height) FROM names WHERE object = ?1
                     AND (kept = 1 OR EXISTS(SELECT 1 FROM promised WHERE object = ?1))),
                 trashed_ms = CASE WHEN EXISTS(SELECT 1 FROM names WHERE object = ?1)
                     OR EXISTS(SELECT 1 FROM holds WHERE object = ?1) THEN NULL
                     ELSE coalesce(trashed_ms, ?2) END
                 WHERE id = ?1",
            )?
            .execute(params![id, to_sql(now_ms)])?;
        Ok(())
    }

    pub(in crate::store) fn trash_before(
        &self,
        cutoff_ms: u64,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ObjectRow>, StoreError> {
        let rest = "WHERE trashed_ms IS NOT NULL AND trashed_ms <= ? AND state <> ? AND id > ?
            ORDER BY id LIMIT ?";
        query(self.read(), rest, params![to_sql(cutoff_ms), STATE_DOOMED, after, to_sql(limit as u64)])
    }

    pub(in crate::store) fn doom(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        for &id in ids {
            Self::set_state(&transaction, id, STATE_DOOMED)?;
        }
        transaction.commit()
    }

    pub(in crate::store) fn doomed(&self) -> Result<Vec<ObjectRow>, StoreError> {
        query(self.read(), "WHERE state = 4", [])
    }

    pub(in crate::store) fn forget(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        for &id in ids {
            transaction.prepare_cached("DELETE FROM pages WHERE object = ?")?.execute([id])?;
            Self::forget_all_grains(&transaction, id)?;
            transaction.prepare_cached("DELETE FROM promised WHERE object = ?")?.execute([id])?;
            transaction.prepare_cached("DELETE FROM removed WHERE object = ?")?.execute([id])?;
            transaction.prepare_cached("DELETE FROM rot WHERE object = ?")?.execute([id])?;
            transaction.prepare_cached("DELETE FROM objects WHERE id = ?")?.execute([id])?;
        }
        transaction.commit()
    }

    /// Nothing is on disk: what names need is lacking, what only holds or the trash had is forgotten. Answers how many
    /// holds there were.
    pub(in crate::store) fn forget_content(&mut self) -> Result<u64, StoreError> {
        let transaction = self.begin()?;
        let holds = transaction.execute("DELETE FROM holds", [])?;
        transaction.execute_batch(
            "DELETE FROM pages; DELETE FROM grains; DELETE FROM trees; DELETE FROM visible; DELETE FROM todo; DELETE FROM promised;
             DELETE FROM removed; DELETE FROM rot; DELETE FROM scrubs;
             DELETE FROM objects WHERE id NOT IN (SELECT object FROM names);
             UPDATE objects SET state = 0 WHERE state IN (1, 2, 4);
             UPDATE objects SET held = 0, has_manifest = 0, mtime_ns = 0, reserved = 0, stored = 0,
                 verified_ms = 0, wanted_height = (SELECT min(height) FROM names WHERE object = objects.id AND kept = 1);",
        )?;
        transaction.commit()?;
        Ok(holds as u64)
    }

    pub(in crate::store) fn trashed_bytes(&self) -> Result<u64, StoreError> {
        let mut statement =
            self.read().prepare_cached("SELECT total(stored) FROM objects WHERE trashed_ms IS NOT NULL")?;
        let total: f64 = statement.query_row([], |row| row.get(0))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of byte counts")]
        Ok(total as u64)
    }
}
