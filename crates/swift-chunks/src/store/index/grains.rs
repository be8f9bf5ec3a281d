//! Rows of chunks that are not durable as a whole: which of their grains are, and their grain trees.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{DurableChunks, Index, to_sql};
use crate::chunk_set::BitmapPage;
use crate::layout::{ChunkIndex, ChunkLayout};
use crate::slice::Grains;
use crate::store::download::PartClaim;
use crate::store::error::StoreError;

/// What one commit claims, of bytes that are on the disk itself: neither such chunks nor such parts can be had otherwise.
pub(in crate::store) struct Claim<'a> {
    pub(in crate::store) held: &'a DurableChunks,
    /// Those pages of `held` that changed.
    pub(in crate::store) pages: Vec<BitmapPage>,
    pub(in crate::store) parts: &'a [PartClaim],
    /// Chunks that are whole now, and of which grains were claimed.
    pub(in crate::store) closed: &'a [ChunkIndex],
}

impl Claim<'_> {
    pub(super) fn write_parts(&self, connection: &Connection, id: i64) -> Result<(), StoreError> {
        let layout = self.held.layout();
        for &chunk in self.closed {
            delete(connection, id, chunk)?;
        }
        for PartClaim { chunk, grains, tree, .. } in self.parts {
            let row = params![id, chunk.get(), grains.bits().cast_signed(), bytes(layout, *chunk, *grains)];
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO grains(object, chunk, bits, bytes) VALUES(?, ?, ?, ?)",
                )?
                .execute(row)?;
            if let Some(tree) = tree {
                connection
                    .prepare_cached("INSERT OR REPLACE INTO trees(object, chunk, tree) VALUES(?, ?, ?)")?
                    .execute(params![id, chunk.get(), tree])?;
            }
        }
        Ok(())
    }
}

impl Index {
    /// The durable grains of a content's chunks, by the numbers of these.
    pub(in crate::store) fn grains_of(&self, id: i64) -> Result<Vec<(u64, Grains)>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT chunk, bits FROM grains WHERE object = ?")?;
        let rows = statement.query_map([id], |row| {
            let (chunk, bits): (u32, i64) = (row.get(0)?, row.get(1)?);
            Ok((chunk.into(), Grains::from_bits(bits.cast_unsigned())))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The grain tree of a chunk that is not durable as a whole, as it was encoded.
    pub(in crate::store) fn tree_of(
        &self,
        id: i64,
        chunk: ChunkIndex,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement =
            self.read().prepare_cached("SELECT tree FROM trees WHERE object = ? AND chunk = ?")?;
        Ok(statement.query_row(params![id, chunk.get()], |row| row.get(0)).optional()?)
    }

    /// Claims nothing of a chunk that is not durable as a whole any more.
    pub(in crate::store) fn forget_grains(
        connection: &Connection,
        id: i64,
        chunk: ChunkIndex,
    ) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "UPDATE objects SET stored = stored -
                     coalesce((SELECT bytes FROM grains WHERE object = ?1 AND chunk = ?2), 0) WHERE id = ?1",
            )?
            .execute(params![id, chunk.get()])?;
        delete(connection, id, chunk)
    }

    /// Claims nothing of any such chunk any more. `objects.stored` is left to the caller.
    pub(in crate::store) fn forget_all_grains(connection: &Connection, id: i64) -> Result<(), StoreError> {
        connection.prepare_cached("DELETE FROM grains WHERE object = ?")?.execute([id])?;
        connection.prepare_cached("DELETE FROM trees WHERE object = ?")?.execute([id])?;
        Ok(())
    }
}

fn delete(connection: &Connection, id: i64, chunk: ChunkIndex) -> Result<(), StoreError> {
    let row = params![id, chunk.get()];
    connection.prepare_cached("DELETE FROM grains WHERE object = ? AND chunk = ?")?.execute(row)?;
    connection.prepare_cached("DELETE FROM trees WHERE object = ? AND chunk = ?")?.execute(row)?;
    Ok(())
}

fn bytes(layout: ChunkLayout, chunk: ChunkIndex, grains: Grains) -> i64 {
    to_sql(grains.bytes(layout, chunk))
}
