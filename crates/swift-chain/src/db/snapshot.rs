//! The state as a network founded anew would import it, and the one that this network did import.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension;

use super::{
    DbError,
    reader::LedgerReader,
    state::decode,
    sums::{FILE, SNAPSHOT},
};
use crate::{
    identity::NodeId,
    snapshot::{
        Commitment, SnapshotFrame, SnapshotWriter, imported_author, imported_file, imported_member,
        imported_removal,
    },
    state::{AuthorRecord, Change, FileRecord},
};

impl LedgerReader {
    /// Gives the state as it is now to `take`, in frames as a network that is founded anew from it imports them, and
    /// what its genesis block then says of them. Holds one frame and the authors at a time.
    pub fn snapshot<E: From<DbError>>(
        &self,
        mut take: impl FnMut(SnapshotFrame) -> Result<(), E>,
    ) -> Result<Commitment, E> {
        let mut writer = SnapshotWriter::default();
        let mut push = |change: Change| writer.push(change).map_or(Ok(()), &mut take);
        for (node, member) in self.members()? {
            push(imported_member(node, member))?;
        }
        let mut removed = self.removed()?;
        removed.sort_unstable();
        for node in removed {
            push(imported_removal(node))?;
        }
        let mut authors = BTreeMap::<NodeId, AuthorRecord>::new();
        self.each_file(|file| {
            authors.entry(file.publisher).or_default().count(&file);
            Ok::<_, DbError>(())
        })?;
        for change in authors.into_iter().filter_map(|(node, record)| imported_author(node, record)) {
            push(change)?;
        }
        self.each_file(|file| push(imported_file(file)))?;
        let (last, commitment) = writer.finish();
        last.map_or(Ok(()), take)?;
        Ok(commitment)
    }

    /// A part of the state that this network began with; none of a network that began with nothing.
    pub(super) fn snapshot_part(&self, frame: u32) -> Result<Option<Vec<u8>>, DbError> {
        let sql = format!("SELECT body, {SNAPSHOT} FROM snapshot WHERE frame = ?1");
        let mut statement = self.connection().prepare_cached(&sql)?;
        Ok(statement.query_row([frame], |row| row.get(0)).optional()?)
    }

    /// All live files in the order of their keys.
    fn each_file<E: From<DbError>>(&self, mut see: impl FnMut(FileRecord) -> Result<(), E>) -> Result<(), E> {
        let sql = format!("SELECT record, {FILE} FROM files ORDER BY key");
        let mut statement = self.connection().prepare_cached(&sql).map_err(DbError::from)?;
        let mut rows = statement.query([]).map_err(DbError::from)?;
        while let Some(row) = rows.next().map_err(DbError::from)? {
            let record = row.get_ref(0).map_err(DbError::from)?;
            let record = record.as_blob().map_err(|error| DbError::from(rusqlite::Error::from(error)))?;
            see(decode("file", record)?)?;
        }
        Ok(())
    }
}
