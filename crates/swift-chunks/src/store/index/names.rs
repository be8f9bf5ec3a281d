//! Rows of names: what the ledger says is live, and what stands in the files folder.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Index, from_sql, to_sql};
use crate::id::{FileId, ManifestHash};
use crate::store::content::ContentRef;
use crate::store::error::StoreError;
use crate::store::index::STATE_COMPLETE;
use crate::store::names::{ChangedBy, NameInfo};

/// Read beside what is wanted of a name's row: comes to an error at one that is not what its sum says.
const INTACT: &str = "intact(names.sum, 'names', names.name, names.object, height, kept)";

/// The complete content that a name should show.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Due {
    pub(in crate::store) object: i64,
    pub(in crate::store) file_id: FileId,
    pub(in crate::store) len: u64,
    pub(in crate::store) mtime_ns: i64,
}

/// A file this store put (or was about to put) under a name.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct OldVisible {
    pub(in crate::store) object: i64,
    pub(in crate::store) len: u64,
    pub(in crate::store) mtime_ns: i64,
}

/// Everything the index knows about what should stand under a name.
#[derive(Debug)]
pub(in crate::store) struct NamePlan {
    /// The live name's content, complete or not.
    pub(in crate::store) object: Option<i64>,
    pub(in crate::store) due: Option<Due>,
    pub(in crate::store) ours: Vec<OldVisible>,
}

impl Index {
    /// Points a name at a content; answers the content it pointed at before.
    pub(in crate::store) fn put_name(
        connection: &Connection,
        name: &str,
        object: i64,
        height: u64,
        is_kept: bool,
        by: &ChangedBy,
    ) -> Result<Option<i64>, StoreError> {
        let old = Self::name_object(connection, name)?;
        Self::forget_removed(connection, name, object)?;
        if let Some(old) = old.filter(|&old| old != object) {
            Self::note_removed(connection, name, old, by)?;
        }
        connection
            .prepare_cached("INSERT OR REPLACE INTO names(name, object, height, kept) VALUES(?, ?, ?, ?)")?
            .execute(params![name, object, to_sql(height), is_kept])?;
        Self::queue_name(connection, name)?;
        Ok(old)
    }

    /// Takes a name away; answers the content it pointed at.
    pub(in crate::store) fn remove_name(
        connection: &Connection,
        name: &str,
        by: &ChangedBy,
    ) -> Result<Option<i64>, StoreError> {
        let old = Self::name_object(connection, name)?;
        if let Some(old) = old {
            Self::note_removed(connection, name, old, by)?;
        }
        connection.prepare_cached("DELETE FROM names WHERE name = ?")?.execute([name])?;
        // A pin goes with its name: what comes under that name later is another file.
        Self::remove_pin(connection, name)?;
        Self::queue_name(connection, name)?;
        Ok(old)
    }

    pub(in crate::store) fn applied_height(&self) -> Result<Option<u64>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT applied_height FROM totals")?;
        let height: Option<i64> = statement.query_row([], |row| row.get(0))?;
        Ok(height.map(from_sql))
    }

    pub(in crate::store) fn set_applied_height(
        connection: &Connection,
        height: u64,
    ) -> Result<(), StoreError> {
        connection.prepare_cached("UPDATE totals SET applied_height = ?")?.execute([to_sql(height)])?;
        Ok(())
    }

    pub(in crate::store) fn forget_height(&mut self) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        transaction.execute("UPDATE totals SET applied_height = NULL", [])?;
        transaction.commit()
    }

    pub(in crate::store) fn set_name_height(
        connection: &Connection,
        name: &str,
        height: u64,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached("UPDATE names SET height = ? WHERE name = ?")?
            .execute(params![to_sql(height), name])?;
        Ok(())
    }

    /// Notes that the file under a name must be looked at.
    pub(in crate::store) fn queue_name(connection: &Connection, name: &str) -> Result<(), StoreError> {
        connection.prepare_cached("INSERT OR IGNORE INTO todo(name) VALUES(?)")?.execute([name])?;
        Ok(())
    }

    pub(super) fn queue_names_of(connection: &Connection, object: i64) -> Result<(), StoreError> {
        connection
            .prepare_cached("INSERT OR IGNORE INTO todo(name) SELECT name FROM names WHERE object = ?")?
            .execute([object])?;
        Ok(())
    }

    pub(in crate::store) fn names_of(&self, object: i64) -> Result<Vec<String>, StoreError> {
        let sql = format!("SELECT name, {INTACT} FROM names WHERE object = ?");
        let mut statement = self.read().prepare_cached(&sql)?;
        let names = statement.query_map([object], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    pub(in crate::store) fn queued_names(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut statement =
            self.read().prepare_cached("SELECT name FROM todo WHERE name > ? ORDER BY name LIMIT ?")?;
        let names = statement.query_map(params![after, to_sql(limit as u64)], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    pub(in crate::store) fn name_plan(&self, name: &str) -> Result<NamePlan, StoreError> {
        let live = self
            .read()
            .prepare_cached(&format!(
                "SELECT objects.id, file_id, len, mtime_ns, state, {INTACT} FROM names
                 JOIN objects ON objects.id = names.object WHERE name = ?"
            ))?
            .query_row([name], |row| {
                let (object, len, state): (i64, i64, i64) = (row.get(0)?, row.get(2)?, row.get(4)?);
                let due = Due {
                    object,
                    file_id: FileId::from_bytes(row.get(1)?),
                    len: from_sql(len),
                    mtime_ns: row.get(3)?,
                };
                Ok((object, (state == STATE_COMPLETE).then_some(due)))
            })
            .optional()?;
        let mut statement =
            self.read().prepare_cached("SELECT object, len, mtime_ns FROM visible WHERE name = ?")?;
        let ours = statement.query_map([name], |row| {
            Ok(OldVisible { object: row.get(0)?, len: from_sql(row.get(1)?), mtime_ns: row.get(2)? })
        })?;
        Ok(NamePlan {
            object: live.map(|(object, _)| object),
            due: live.and_then(|(_, due)| due),
            ours: ours.collect::<Result<_, _>>()?,
        })
    }

    /// Notes, before it happens, that files will stand under names.
    pub(in crate::store) fn intend_visible<'a>(
        &mut self,
        names: impl Iterator<Item = (&'a str, &'a Due)>,
    ) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        for (name, due) in names {
            transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO visible(name, object, len, mtime_ns) VALUES(?, ?, ?, ?)",
                )?
                .execute(params![name, due.object, to_sql(due.len), due.mtime_ns])?;
        }
        transaction.commit()
    }

    /// An object's file got a new time: so did the files that share it.
    pub(in crate::store) fn note_new_time(
        connection: &Connection,
        object: i64,
        mtime_ns: i64,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO visible(name, object, len, mtime_ns)
                 SELECT DISTINCT name, object, len, ?2 FROM visible WHERE object = ?1",
            )?
            .execute(params![object, mtime_ns])?;
        Ok(())
    }

    /// Notes that names are settled, each with the one file that stands there, if any.
    pub(in crate::store) fn settle_names(
        &mut self,
        settled: &[(String, Option<OldVisible>)],
    ) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        for (name, stands) in settled {
            let (object, mtime_ns) = stands.map_or((-1, 0), |ours| (ours.object, ours.mtime_ns));
            transaction
                .prepare_cached("DELETE FROM visible WHERE name = ? AND NOT (object = ? AND mtime_ns = ?)")?
                .execute(params![name, object, mtime_ns])?;
            transaction.prepare_cached("DELETE FROM todo WHERE name = ?")?.execute([name])?;
        }
        transaction.commit()
    }

    pub(in crate::store) fn names_after(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<NameInfo>, StoreError> {
        let mut statement = self.read().prepare_cached(&format!(
            "SELECT name, file_id, manifest_hash, len, height, state, kept, {INTACT} FROM names
             JOIN objects ON objects.id = names.object WHERE name > ? ORDER BY name LIMIT ?"
        ))?;
        let names = statement.query_map(params![after, to_sql(limit as u64)], |row| {
            Ok(NameInfo {
                name: row.get(0)?,
                content: ContentRef {
                    file_id: FileId::from_bytes(row.get(1)?),
                    manifest_hash: ManifestHash::from_bytes(row.get(2)?),
                    len: from_sql(row.get(3)?),
                },
                height: from_sql(row.get(4)?),
                is_complete: row.get::<_, i64>(5)? == STATE_COMPLETE,
                is_kept: row.get(6)?,
            })
        })?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    pub(in crate::store) fn name_object(
        connection: &Connection,
        name: &str,
    ) -> Result<Option<i64>, StoreError> {
        let sql = format!("SELECT object, {INTACT} FROM names WHERE name = ?");
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }
}
