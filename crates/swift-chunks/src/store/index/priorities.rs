//! Rows of priorities: one for each content that is wanted sooner or later than others.

use rusqlite::{Connection, params};

use super::Index;
use crate::id::FileId;
use crate::store::error::StoreError;

impl Index {
    pub(in crate::store) fn put_priority(
        connection: &Connection,
        file_id: FileId,
        priority: Option<i64>,
    ) -> Result<(), StoreError> {
        match priority {
            Some(priority) => connection
                .prepare_cached("INSERT OR REPLACE INTO priorities(file_id, priority) VALUES(?, ?)")?
                .execute(params![file_id.as_bytes(), priority])?,
            None => connection
                .prepare_cached("DELETE FROM priorities WHERE file_id = ?")?
                .execute([file_id.as_bytes()])?,
        };
        Ok(())
    }

    pub(in crate::store) fn priorities(&self) -> Result<Vec<(FileId, i64)>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT file_id, priority FROM priorities")?;
        let rows = statement.query_map([], |row| Ok((FileId::from_bytes(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
