//! Puts contents into a store that nobody has open, as if they had been uploaded: files that are sparse, and the records
//! that an upload leaves.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, params};
use swift_chunks::Manifest;
use swift_p2p::driver::wall_clock_ms;

use crate::{Result, contents::TAIL_LEN, sums};

pub(crate) struct Index {
    connection: Connection,
    content: PathBuf,
}

impl Index {
    pub(crate) fn open(data_dir: &Path) -> Result<Self> {
        let content = data_dir.join("content");
        let connection = Connection::open(content.join("index.db"))?;
        sums::teach(&connection)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Self { connection, content })
    }

    /// A content that a name waits for is whole.
    pub(crate) fn complete(&mut self, manifest: &Manifest, tail: &[u8]) -> Result<()> {
        let (id, len) = (manifest.file_id(), manifest.layout().file_len());
        let row: i64 = self
            .connection
            .prepare_cached("SELECT id FROM objects WHERE file_id = ?")?
            .query_row([id.as_bytes()], |row| row.get(0))?;
        let object = File::create(self.content.join("objects").join(id.to_string()))?;
        object.write_all_at(tail, len - TAIL_LEN as u64)?;
        object.set_permissions(Permissions::from_mode(0o444))?;
        let metadata = object.metadata()?;
        let mtime_ns = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
        fs::write(self.content.join("manifests").join(format!("{id}-{row}")), manifest.encoded())?;
        let stored = len + manifest.encoded().len() as u64;
        self.connection
            .prepare_cached(
                "UPDATE objects SET state = 1, held = chunks, has_manifest = 1, mtime_ns = ?, reserved = ?, stored = ?,
                     verified_ms = ? WHERE id = ?",
            )?
            .execute(params![mtime_ns, stored, stored, wall_clock_ms(), row])?;
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO todo(name) SELECT name FROM names WHERE object = ?")?
            .execute([row])?;
        Ok(())
    }

    pub(crate) fn commit(self) -> Result<()> {
        Ok(self.connection.execute_batch("COMMIT")?)
    }
}
