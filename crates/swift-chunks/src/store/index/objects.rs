//! Rows of content: state, durable chunks, space.

use rusqlite::{Connection, Row, params};

use super::{Claim, DurableChunks, Index, from_sql, to_sql};
use crate::chunk_set::{BitmapPage, ChunkSet};
use crate::id::{FileId, ManifestHash};
use crate::layout::ChunkLayout;
use crate::manifest::manifest_len;
use crate::store::content::ContentRef;
use crate::store::disk::Placed;
use crate::store::error::StoreError;

/// Chunks may be missing; `pages` says which are durable.
pub(in crate::store) const STATE_PARTIAL: i64 = 0;
/// Every byte is there, in `objects/`.
pub(in crate::store) const STATE_COMPLETE: i64 = 1;
/// Was complete, then its file was changed from outside.
pub(in crate::store) const STATE_SUSPECT: i64 = 2;
/// Its manifest is proven false.
pub(in crate::store) const STATE_FALSE: i64 = 3;
/// Being deleted: only between two commits of one cleanup.
pub(super) const STATE_DOOMED: i64 = 4;

/// What is read of a row. Comes to an error at one that is not what its sum says.
const COLUMNS: &str =
    "objects.id, file_id, manifest_hash, len, state, held, has_manifest, mtime_ns, wanted_height, trashed_ms, stored,
     intact(objects.sum, 'objects', objects.id, file_id, manifest_hash, len, state, chunks, held, has_manifest, mtime_ns,
         reserved, stored, wanted_height, trashed_ms, verified_ms)";

#[derive(Clone, Debug)]
pub(in crate::store) struct ObjectRow {
    pub(in crate::store) id: i64,
    pub(in crate::store) key: ContentRef,
    pub(in crate::store) state: i64,
    pub(in crate::store) held: u32,
    pub(in crate::store) has_manifest: bool,
    pub(in crate::store) mtime_ns: i64,
    pub(in crate::store) wanted_height: Option<u64>,
    pub(in crate::store) trashed_ms: Option<u64>,
    pub(in crate::store) stored: u64,
}

impl ObjectRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (len, wanted, trashed): (i64, Option<i64>, Option<i64>) = (row.get(3)?, row.get(8)?, row.get(9)?);
        let stored: i64 = row.get(10)?;
        Ok(Self {
            id: row.get(0)?,
            key: ContentRef {
                file_id: FileId::from_bytes(row.get(1)?),
                manifest_hash: ManifestHash::from_bytes(row.get(2)?),
                len: from_sql(len),
            },
            state: row.get(4)?,
            held: row.get(5)?,
            has_manifest: row.get(6)?,
            mtime_ns: row.get(7)?,
            wanted_height: wanted.map(from_sql),
            trashed_ms: trashed.map(from_sql),
            stored: from_sql(stored),
        })
    }

    /// Bytes of content that are on disk; of a complete object `stored` has its manifest's besides.
    pub(in crate::store) fn durable_bytes(&self) -> u64 {
        self.stored.min(self.key.len)
    }
}

pub(super) fn query(
    connection: &Connection,
    rest: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<ObjectRow>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM objects {rest}"))?;
    Ok(statement.query_map(params, ObjectRow::read)?.collect::<Result<_, _>>()?)
}

impl Index {
    pub(in crate::store) fn by_key(
        connection: &Connection,
        key: &ContentRef,
    ) -> Result<Option<ObjectRow>, StoreError> {
        let params =
            params![key.file_id.as_bytes(), key.manifest_hash.as_bytes(), to_sql(key.len), STATE_DOOMED];
        let rest = "WHERE file_id = ? AND manifest_hash = ? AND len = ? AND state <> ?";
        Ok(query(connection, rest, params)?.pop())
    }

    pub(in crate::store) fn by_id(connection: &Connection, id: i64) -> Result<Option<ObjectRow>, StoreError> {
        Ok(query(connection, "WHERE id = ? AND state <> ?", params![id, STATE_DOOMED])?.pop())
    }

    /// The best row there is for a file: complete, else suspect, else what holds most.
    pub(in crate::store) fn best(&self, file_id: FileId) -> Result<Option<ObjectRow>, StoreError> {
        let rest = "WHERE file_id = ? AND state <> ?
            ORDER BY state = 1 DESC, state = 2 DESC, state = 0 DESC, held DESC, id LIMIT 1";
        Ok(query(self.read(), rest, params![file_id.as_bytes(), STATE_DOOMED])?.pop())
    }

    /// Finds or makes the row of a content. A file that is complete here under one manifest has no other:
    /// a second one is false from the start.
    pub(in crate::store) fn ensure(
        connection: &Connection,
        key: &ContentRef,
    ) -> Result<ObjectRow, StoreError> {
        if let Some(row) = Self::by_key(connection, key)? {
            return Ok(row);
        }
        let layout = ChunkLayout::new(key.len)?;
        // A deletion that failed half way left the row; it starts anew, and its files are overwritten.
        connection
            .prepare_cached(
                "UPDATE objects SET state = 0, held = 0, has_manifest = 0, reserved = 0, stored = 0
                 WHERE file_id = ? AND manifest_hash = ? AND len = ?",
            )?
            .execute(params![key.file_id.as_bytes(), key.manifest_hash.as_bytes(), to_sql(key.len)])?;
        if let Some(row) = Self::by_key(connection, key)? {
            connection.prepare_cached("DELETE FROM pages WHERE object = ?")?.execute([row.id])?;
            Self::forget_all_grains(connection, row.id)?;
            return Ok(row);
        }
        let contradicted: bool = connection
            .prepare_cached("SELECT EXISTS(SELECT 1 FROM objects WHERE file_id = ? AND state = 1)")?
            .query_row([key.file_id.as_bytes()], |row| row.get(0))?;
        let state = if contradicted { STATE_FALSE } else { STATE_PARTIAL };
        connection
            .prepare_cached(
                "INSERT INTO objects(file_id, manifest_hash, len, state, chunks) VALUES(?, ?, ?, ?, ?)",
            )?
            .execute(params![
                key.file_id.as_bytes(),
                key.manifest_hash.as_bytes(),
                to_sql(key.len),
                state,
                layout.chunk_count()
            ])?;
        Self::by_key(connection, key)?.ok_or(StoreError::NotFound(key.file_id))
    }

    /// Every byte of the content was verified and is durable in `objects/`. Its manifest was claimed before, or is in the same commit.
    pub(in crate::store) fn set_complete(
        connection: &Connection,
        id: i64,
        key: &ContentRef,
        object: &Placed,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let layout = ChunkLayout::new(key.len)?;
        let bytes = to_sql(key.len + manifest_len(layout));
        connection
            .prepare_cached(
                "UPDATE objects SET state = 1, held = chunks, mtime_ns = ?, reserved = ?, stored = ?,
                     verified_ms = ? WHERE id = ?",
            )?
            .execute(params![object.mtime_ns(), bytes, bytes, to_sql(now_ms), id])?;
        connection.prepare_cached("DELETE FROM pages WHERE object = ?")?.execute([id])?;
        Self::forget_all_grains(connection, id)?;
        Self::put_priority(connection, key.file_id, None)?;
        connection
            .prepare_cached(
                "UPDATE objects SET state = ?, held = 0, reserved = 0, stored = 0
                 WHERE file_id = ? AND id <> ? AND state IN (0, 1, 2)",
            )?
            .execute(params![STATE_FALSE, key.file_id.as_bytes(), id])?;
        Self::queue_names_of(connection, id)
    }

    /// Only some chunks count from now on, and what is claimed of grains of others; the manifest if it did and still
    /// does.
    pub(in crate::store) fn set_partial(
        connection: &Connection,
        id: i64,
        held: &DurableChunks,
        has_manifest: bool,
    ) -> Result<(), StoreError> {
        connection.prepare_cached("DELETE FROM pages WHERE object = ?")?.execute([id])?;
        write_pages(connection, id, held.pages())?;
        connection
            .prepare_cached(
                "UPDATE objects SET state = 0, held = ?2, has_manifest = has_manifest AND ?3, stored = ?4 +
                     (SELECT coalesce(sum(bytes), 0) FROM grains WHERE object = ?1) WHERE id = ?1",
            )?
            .execute(params![id, held.len(), has_manifest, to_sql(held.byte_len())])?;
        Self::queue_names_of(connection, id)
    }

    pub(in crate::store) fn set_state(
        connection: &Connection,
        id: i64,
        state: i64,
    ) -> Result<(), StoreError> {
        connection.prepare_cached("UPDATE objects SET state = ? WHERE id = ?")?.execute([state, id])?;
        Ok(())
    }

    /// The manifest is durable in `manifests/`.
    pub(in crate::store) fn set_manifest(
        connection: &Connection,
        id: i64,
        _placed: &Placed,
    ) -> Result<(), StoreError> {
        connection.prepare_cached("UPDATE objects SET has_manifest = 1 WHERE id = ?")?.execute([id])?;
        Ok(())
    }

    pub(in crate::store) fn drop_manifest(connection: &Connection, id: i64) -> Result<(), StoreError> {
        connection.prepare_cached("UPDATE objects SET has_manifest = 0 WHERE id = ?")?.execute([id])?;
        Ok(())
    }

    /// Sets aside the bytes of a content that will be downloaded.
    pub(in crate::store) fn set_reserved(
        connection: &Connection,
        id: i64,
        bytes: u64,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached("UPDATE objects SET reserved = ? WHERE id = ?")?
            .execute(params![to_sql(bytes), id])?;
        Ok(())
    }

    pub(in crate::store) fn reserved_of(connection: &Connection, id: i64) -> Result<u64, StoreError> {
        let mut statement = connection.prepare_cached("SELECT reserved FROM objects WHERE id = ?")?;
        Ok(from_sql(statement.query_row([id], |row| row.get(0))?))
    }

    /// Claims what is on disk already. Answers false, and changes nothing, if the content is not partial any more.
    pub(in crate::store) fn record_held(&mut self, id: i64, claim: Claim<'_>) -> Result<bool, StoreError> {
        let transaction = self.begin()?;
        claim.write_parts(&transaction, id)?;
        let manifest = manifest_len(claim.held.layout());
        let is_partial = transaction
            .prepare_cached(
                // Of what is only read no more is set aside than what has come.
                "UPDATE objects SET held = ?2, (stored, reserved) = (SELECT now, max(reserved, now + ?4) FROM (
                     SELECT ?3 + coalesce(sum(bytes), 0) AS now FROM grains WHERE object = ?1))
                 WHERE id = ?1 AND state = 0",
            )?
            .execute(params![id, claim.held.len(), to_sql(claim.held.byte_len()), to_sql(manifest)])?
            == 1;
        if is_partial {
            write_pages(&transaction, id, claim.pages.into_iter())?;
            transaction.commit()?;
        }
        Ok(is_partial)
    }

    /// The durable chunks of a partial content.
    pub(in crate::store) fn held_of(
        &self,
        id: i64,
        layout: ChunkLayout,
    ) -> Result<DurableChunks, StoreError> {
        let mut held = ChunkSet::empty(layout);
        let mut statement = self.read().prepare_cached("SELECT page, bits FROM pages WHERE object = ?")?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            held.load_page(row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default());
        }
        Ok(DurableChunks::recorded(held))
    }

    /// Bytes reserved in all, and how many of them are written.
    pub(in crate::store) fn totals(&self) -> Result<(u64, u64), StoreError> {
        let mut statement = self.read().prepare_cached("SELECT reserved, stored FROM totals")?;
        Ok(statement.query_row([], |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))))?)
    }

    /// What was proven false by the completion of this file under its true manifest, or before.
    pub(in crate::store) fn false_rows(&self, file_id: FileId) -> Result<Vec<ObjectRow>, StoreError> {
        query(self.read(), "WHERE file_id = ? AND state = 3", [file_id.as_bytes()])
    }

    pub(in crate::store) fn wanted(
        &self,
        after: (i64, i64),
        limit: usize,
    ) -> Result<Vec<ObjectRow>, StoreError> {
        let rest = "WHERE state = 0 AND wanted_height IS NOT NULL AND (wanted_height, id) > (?, ?)
            ORDER BY wanted_height, id LIMIT ?";
        query(self.read(), rest, params![after.0, after.1, to_sql(limit as u64)])
    }

    pub(in crate::store) fn partial_rows(&self, file_id: FileId) -> Result<Vec<ObjectRow>, StoreError> {
        query(self.read(), "WHERE file_id = ? AND state = 0", [file_id.as_bytes()])
    }

    pub(in crate::store) fn suspects(&self, limit: usize) -> Result<Vec<ObjectRow>, StoreError> {
        query(self.read(), "WHERE state = 2 ORDER BY id LIMIT ?", [to_sql(limit as u64)])
    }

    pub(in crate::store) fn objects_after(
        &self,
        after: Option<FileId>,
        limit: usize,
    ) -> Result<Vec<ObjectRow>, StoreError> {
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let rest = "WHERE file_id > ? AND state <> ? ORDER BY file_id, id LIMIT ?";
        query(self.read(), rest, params![after, STATE_DOOMED, to_sql(limit as u64)])
    }

    /// Partial rows that lack nothing: the crash came between the last bitmap and the rename.
    pub(in crate::store) fn finished_but_unnamed(&self) -> Result<Vec<ObjectRow>, StoreError> {
        query(self.read(), "WHERE state = 0 AND held = chunks AND has_manifest = 1", [])
    }
}

fn write_pages(
    connection: &Connection,
    id: i64,
    pages: impl Iterator<Item = BitmapPage>,
) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO pages(object, page, bits) VALUES(?, ?, ?)")?;
    for update in pages {
        statement.execute(params![id, update.page, update.bits])?;
    }
    Ok(())
}
