//! Rows of verifications: when what was looked at, passes over everything, and what had rotted.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::objects::{ObjectRow, STATE_COMPLETE, STATE_FALSE};
use super::{Index, from_sql, to_sql};
use crate::id::FileId;
use crate::store::Whole;
use crate::store::error::StoreError;
use crate::store::passes::{Rot, ScrubDue, ScrubPass};
use crate::store::scrub::VerifyReport;

/// What a verification came to, as it is kept.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Verified {
    object: i64,
    bytes: u64,
    bad_chunks: usize,
    is_bad: bool,
    is_whole: bool,
}

impl Verified {
    pub(in crate::store) fn new(row: &ObjectRow, report: &VerifyReport) -> Self {
        Self {
            object: row.id,
            bytes: row.stored,
            bad_chunks: report.bad.len(),
            is_bad: report.is_bad(),
            is_whole: report.is_whole,
        }
    }
}

const DUE: &str = "stored > 0 AND verified_ms < ? AND state < ?";
const PASS: &str = "started_ms, before_ms, contents, bytes, bad, ended_ms";

const ROT: &str = "SELECT file_id, found_ms, rot.chunks, state,
        coalesce((SELECT name FROM names WHERE object = id ORDER BY name LIMIT 1),
            (SELECT name FROM removed WHERE object = id ORDER BY name LIMIT 1))
    FROM rot JOIN objects ON id = rot.object";

fn read_rot(row: &Row<'_>) -> rusqlite::Result<Rot> {
    Ok(Rot {
        file_id: FileId::from_bytes(row.get(0)?),
        found_ms: from_sql(row.get(1)?),
        bad_chunks: from_sql(row.get(2)?),
        is_repaired: row.get::<_, i64>(3)? == STATE_COMPLETE,
        name: row.get(4)?,
    })
}

fn read_pass(row: &Row<'_>) -> rusqlite::Result<ScrubPass> {
    let number = |at| row.get(at).map(from_sql);
    Ok(ScrubPass {
        started_ms: number(0)?,
        before_ms: number(1)?,
        contents: number(2)?,
        bytes: number(3)?,
        bad: number(4)?,
        ended_ms: row.get::<_, Option<i64>>(5)?.map(from_sql),
    })
}

impl Index {
    /// Keeps what verifications came to. What the pass under way was to look at counts for it.
    pub(in crate::store) fn note_verified(
        &mut self,
        verified: &[Verified],
        now_ms: u64,
    ) -> Result<(), StoreError> {
        if verified.is_empty() {
            return Ok(());
        }
        let transaction = self.begin()?;
        for &Verified { object, bytes, bad_chunks, is_bad, is_whole } in verified {
            if is_bad {
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO rot(object, found_ms, chunks) SELECT id, ?2, ?3 FROM objects WHERE id = ?1",
                    )?
                    .execute(params![object, to_sql(now_ms), to_sql(bad_chunks as u64)])?;
            }
            // What was found is counted now: it may not be looked at again as the same content.
            transaction
                .prepare_cached(
                    "UPDATE scrubs SET contents = contents + ?2, bytes = bytes + ?3, bad = bad + ?4
                     WHERE ended_ms IS NULL
                         AND before_ms > (SELECT verified_ms FROM objects WHERE id = ?1)",
                )?
                .execute(params![object, is_whole, if is_whole { to_sql(bytes) } else { 0 }, is_bad])?;
            if is_whole {
                transaction
                    .prepare_cached("UPDATE objects SET verified_ms = max(verified_ms, ?) WHERE id = ?")?
                    .execute(params![to_sql(now_ms), object])?;
            }
        }
        transaction.commit()
    }

    /// What was not verified since a time, what was longest ago first.
    pub(in crate::store) fn scrub_due(
        &self,
        before_ms: u64,
        after: (u64, i64),
        limit: usize,
    ) -> Result<Vec<ScrubDue>, StoreError> {
        let sql = format!(
            "SELECT id, file_id, stored, verified_ms FROM objects WHERE {DUE} AND (verified_ms, id) > (?, ?)
             ORDER BY verified_ms, id LIMIT ?"
        );
        let mut statement = self.read().prepare_cached(&sql)?;
        let params = params![to_sql(before_ms), STATE_FALSE, to_sql(after.0), after.1, to_sql(limit as u64)];
        let due = statement.query_map(params, |row| {
            Ok(ScrubDue {
                row: row.get(0)?,
                file_id: FileId::from_bytes(row.get(1)?),
                bytes: from_sql(row.get(2)?),
                verified_ms: from_sql(row.get(3)?),
            })
        })?;
        Ok(due.collect::<Result<_, _>>()?)
    }

    pub(in crate::store) fn scrub_left(&self, before_ms: u64) -> Result<Whole, StoreError> {
        let sql = format!("SELECT count(*), coalesce(sum(stored), 0) FROM objects WHERE {DUE}");
        let mut statement = self.read().prepare_cached(&sql)?;
        let left = statement.query_row(params![to_sql(before_ms), STATE_FALSE], |row| {
            Ok(Whole { files: from_sql(row.get(0)?), bytes: from_sql(row.get(1)?) })
        })?;
        Ok(left)
    }

    pub(in crate::store) fn verified_ms(&self, object: i64) -> Result<u64, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT verified_ms FROM objects WHERE id = ?")?;
        Ok(statement.query_row([object], |row| row.get(0)).optional()?.map_or(0, from_sql))
    }

    pub(in crate::store) fn scrub_running(connection: &Connection) -> Result<Option<ScrubPass>, StoreError> {
        let sql = format!("SELECT {PASS} FROM scrubs WHERE ended_ms IS NULL");
        Ok(connection.prepare_cached(&sql)?.query_row([], read_pass).optional()?)
    }

    pub(in crate::store) fn scrub_last(&self) -> Result<Option<ScrubPass>, StoreError> {
        let sql =
            format!("SELECT {PASS} FROM scrubs WHERE ended_ms IS NOT NULL ORDER BY ended_ms DESC LIMIT 1");
        Ok(self.read().prepare_cached(&sql)?.query_row([], read_pass).optional()?)
    }

    /// Begins a pass over what was not verified since a time. One that is under way goes on, up to that time.
    pub(in crate::store) fn begin_scrub(
        &mut self,
        before_ms: u64,
        now_ms: u64,
    ) -> Result<ScrubPass, StoreError> {
        let transaction = self.begin()?;
        if Self::scrub_running(&transaction)?.is_none() {
            // What was repaired since is no news any more.
            let repaired = "DELETE FROM rot WHERE object IN (SELECT id FROM objects WHERE state = ?)";
            transaction.prepare_cached(repaired)?.execute([STATE_COMPLETE])?;
            transaction
                .prepare_cached(
                    "INSERT INTO scrubs(started_ms, before_ms, contents, bytes, bad)
                     SELECT max(?, coalesce(max(started_ms) + 1, 0)), 0, 0, 0, 0 FROM scrubs",
                )?
                .execute([to_sql(now_ms)])?;
        }
        transaction
            .prepare_cached("UPDATE scrubs SET before_ms = max(before_ms, ?) WHERE ended_ms IS NULL")?
            .execute([to_sql(before_ms)])?;
        let pass = Self::scrub_running(&transaction)?;
        transaction.commit()?;
        Ok(pass.unwrap_or_default())
    }

    /// Ends the pass under way; those before it are forgotten.
    pub(in crate::store) fn end_scrub(&mut self, now_ms: u64) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        transaction.prepare_cached("DELETE FROM scrubs WHERE ended_ms IS NOT NULL")?.execute([])?;
        transaction
            .prepare_cached("UPDATE scrubs SET ended_ms = max(started_ms, ?)")?
            .execute([to_sql(now_ms)])?;
        transaction.commit()
    }

    /// What was found rotten: those first that are not whole again.
    pub(in crate::store) fn rot(&self, limit: usize) -> Result<Vec<Rot>, StoreError> {
        let sql = format!("{ROT} ORDER BY state = ?, found_ms, id LIMIT ?");
        let mut statement = self.read().prepare_cached(&sql)?;
        let rot = statement.query_map(params![STATE_COMPLETE, to_sql(limit as u64)], read_rot)?;
        Ok(rot.collect::<Result<_, _>>()?)
    }

    pub(in crate::store) fn rot_of(&self, file_id: FileId) -> Result<Option<Rot>, StoreError> {
        let sql = format!("{ROT} WHERE file_id = ? ORDER BY found_ms DESC LIMIT 1");
        Ok(self.read().prepare_cached(&sql)?.query_row([file_id.as_bytes()], read_rot).optional()?)
    }

    /// How many contents were found rotten and are not whole again.
    pub(in crate::store) fn unrepaired(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM rot JOIN objects ON id = rot.object WHERE state <> ?";
        Ok(self.read().prepare_cached(sql)?.query_row([STATE_COMPLETE], |row| row.get(0)).map(from_sql)?)
    }
}
