//! Reading the ledger, also while it is being written.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::{
    APPLICATION_ID, DbError, SCHEMA_VERSION,
    state::{Counts, SqlState, decode, read_meta},
    sums::{BLOCK, EVIDENCE, FILE, MEMBER, VALIDATORS, teach},
    writer::LedgerDb,
};
use crate::{
    block::SealedBlock,
    evidence::Evidence,
    execution::Head,
    genesis::Genesis,
    hash::{BlockHash, Hash, NetworkId},
    identity::NodeId,
    name::NameKey,
    state::{AuthorRecord, FileRecord, Member, StateView},
    stream::{self, ChainPosition},
    validators::ValidatorSet,
};

/// Totals of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerCounts {
    /// Members.
    pub members: u64,
    /// Live files.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u128,
}

/// Which live files to list.
#[derive(Clone, Debug, Default)]
pub struct FileFilter {
    /// Only names whose folded form begins with this.
    pub prefix: Option<String>,
    /// Only names behind this one: where the page before ended.
    pub after: Option<NameKey>,
    /// At most so many.
    pub limit: u32,
}

/// One read connection. Cheap enough to open per task; not shared between threads at once.
#[derive(Debug)]
pub struct LedgerReader {
    connection: Connection,
    genesis: Genesis,
}

impl LedgerReader {
    /// Opens a ledger for reading only.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let connection = open_as_it_is(path)?;
        if check_tables(&connection, path)? < SCHEMA_VERSION {
            // Reading alone cannot bring it up to date.
            drop(LedgerDb::open(path)?);
        }
        Self::over(connection)
    }

    pub(super) fn over(connection: Connection) -> Result<Self, DbError> {
        connection.set_prepared_statement_cache_capacity(64);
        let sql = "SELECT body FROM blocks WHERE height = 0";
        let body: Option<Vec<u8>> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
        let genesis = Genesis::from_bytes(&body.ok_or(DbError::Missing("genesis block"))?)?;
        Ok(Self { connection, genesis })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The genesis block.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        self.genesis.id()
    }

    /// The state as the rules see it.
    pub fn state(&self) -> impl StateView + '_ {
        SqlState(&self.connection)
    }

    /// The last block.
    pub fn head(&self) -> Result<Head, DbError> {
        read_meta(&self.connection, "head")
    }

    /// Who certifies the next block.
    pub fn validators(&self) -> Result<ValidatorSet, DbError> {
        read_meta(&self.connection, "validators")
    }

    /// Who certifies the block at a height, which may be the next one at most.
    pub fn validators_at(&self, height: u64) -> Result<ValidatorSet, DbError> {
        let height = i64::try_from(height).unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT validators, {VALIDATORS} FROM validator_sets WHERE height <= ?1 ORDER BY height DESC LIMIT 1"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let set: Option<Vec<u8>> = statement.query_row([height], |row| row.get(0)).optional()?;
        decode("validators", &set.ok_or(DbError::Missing("validators"))?)
    }

    /// Every validator set up to a height and the first height that it certifies, in order. The block before that
    /// height made the change; the first set is the founder alone, from block 1 on.
    pub fn validator_sets(&self, up_to: u64) -> Result<Vec<(u64, ValidatorSet)>, DbError> {
        let up_to = i64::try_from(up_to).unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT height, validators, {VALIDATORS} FROM validator_sets WHERE height <= ?1 ORDER BY height"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([up_to], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        rows.map(|row| {
            row.map_err(DbError::from).and_then(|(height, set)| Ok((height, decode("validators", &set)?)))
        })
        .collect()
    }

    /// Totals.
    pub fn counts(&self) -> Result<LedgerCounts, DbError> {
        let counts: Counts = read_meta(&self.connection, "counts")?;
        Ok(LedgerCounts { members: counts.members, files: counts.files, bytes: counts.bytes })
    }

    /// The hash of the block at a height; of the genesis block it is the network id.
    pub fn block_hash(&self, height: u64) -> Result<Option<BlockHash>, DbError> {
        let Ok(height) = i64::try_from(height) else { return Ok(None) };
        let mut statement = self.connection.prepare_cached("SELECT hash FROM blocks WHERE height = ?1")?;
        let hash = statement.query_row([height], |row| row.get::<_, [u8; 32]>(0)).optional()?;
        Ok(hash.map(BlockHash::from_bytes))
    }

    /// A block and its certificate; none for the genesis block and above the head.
    pub fn block(&self, height: u64) -> Result<Option<SealedBlock>, DbError> {
        let Some(height) = i64::try_from(height).ok().filter(|height| *height > 0) else { return Ok(None) };
        let sql = format!("SELECT body, {BLOCK} FROM blocks WHERE height = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let body: Option<Vec<u8>> = statement.query_row([height], |row| row.get(0)).optional()?;
        body.map(|body| {
            let sealed = SealedBlock::from_bytes(&body);
            sealed.map_err(|error| DbError::Damaged { what: "block", error })
        })
        .transpose()
    }

    /// Frames of a chain stream from a position (or height) on, until `len_max` bytes are exceeded or the head is
    /// reached, and the position to go on from.
    pub fn frames(
        &self,
        from: impl Into<ChainPosition>,
        len_max: usize,
    ) -> Result<(Vec<u8>, ChainPosition), DbError> {
        let (mut frames, mut next) = self.beginning(from.into(), len_max)?;
        if let ChainPosition::Block { height } = next
            && (frames.is_empty() || frames.len() < len_max)
        {
            next = self.block_frames(height, len_max, &mut frames)?;
        }
        Ok((frames, next))
    }

    /// As [`Self::frames`], but no further than to block 1: the genesis block and the state that it imports.
    pub(crate) fn beginning(
        &self,
        from: ChainPosition,
        len_max: usize,
    ) -> Result<(Vec<u8>, ChainPosition), DbError> {
        let (mut frames, mut next) = (Vec::new(), from);
        if next == ChainPosition::Genesis {
            frames = stream::genesis_frame(&self.genesis.to_bytes());
            next = ChainPosition::Snapshot { frame: 0 };
        }
        while let ChainPosition::Snapshot { frame } = next
            && (frames.is_empty() || frames.len() < len_max)
        {
            next = match self.snapshot_part(frame)? {
                Some(body) => {
                    frames.extend_from_slice(&stream::snapshot_frame(&body));
                    ChainPosition::Snapshot { frame: frame + 1 }
                }
                None => ChainPosition::Block { height: 1 },
            };
        }
        Ok((frames, next))
    }

    fn block_frames(
        &self,
        from: u64,
        len_max: usize,
        frames: &mut Vec<u8>,
    ) -> Result<ChainPosition, DbError> {
        let mut next = from;
        let Ok(first) = i64::try_from(from) else { return Ok(next.into()) };
        let sql = format!("SELECT height, body, {BLOCK} FROM blocks WHERE height >= ?1 ORDER BY height");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([first])?;
        while let Some(row) = rows.next()? {
            let height: u64 = row.get(0)?;
            let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            frames.extend_from_slice(&stream::block_frame(body));
            next = height + 1;
            if frames.len() >= len_max {
                break;
            }
        }
        Ok(ChainPosition::Block { height: next })
    }

    /// Evidence against validators, the latest first, at most `limit`, and when this node found it (milliseconds since
    /// 1970).
    pub fn evidence(&self, limit: u32) -> Result<Vec<(u64, Evidence)>, DbError> {
        self.evidence_behind(None, limit)
    }

    /// The same, behind what has this height and id.
    pub fn evidence_behind(
        &self,
        place: Option<(u64, Hash)>,
        limit: u32,
    ) -> Result<Vec<(u64, Evidence)>, DbError> {
        let sql = format!(
            "SELECT found_ms, proof, {EVIDENCE} FROM evidence WHERE height < ?1 OR (height = ?1 AND id > ?2)
                 ORDER BY height DESC, id LIMIT ?3"
        );
        let height = place.map_or(i64::MAX, |(height, _)| i64::try_from(height).unwrap_or(i64::MAX));
        let id = place.map(|(_, id)| *id.as_bytes()).unwrap_or_default();
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement
            .query_map(params![height, id, limit], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        rows.map(|row| {
            let (found_ms, proof) = row?;
            let evidence = Evidence::from_bytes(&proof);
            Ok((found_ms, evidence.map_err(|error| DbError::Damaged { what: "evidence", error })?))
        })
        .collect()
    }

    /// Number of pieces of evidence.
    pub fn evidence_count(&self) -> Result<u64, DbError> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM evidence")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// A member's record.
    pub fn member(&self, node: &NodeId) -> Result<Option<Member>, DbError> {
        SqlState(&self.connection).find_member(node)
    }

    /// What a member has written so far.
    pub(crate) fn author(&self, node: &NodeId) -> Result<AuthorRecord, DbError> {
        SqlState(&self.connection).find_author(node)
    }

    /// The height at which a key was removed.
    pub fn removed_at(&self, node: &NodeId) -> Result<Option<u64>, DbError> {
        SqlState(&self.connection).find_removed(node)
    }

    /// All keys that were removed for good.
    pub fn removed(&self) -> Result<Vec<NodeId>, DbError> {
        let mut statement = self.connection.prepare_cached("SELECT node FROM removed")?;
        let rows = statement.query_map([], |row| row.get::<_, [u8; 32]>(0))?;
        rows.map(|row| Ok(NodeId::from_bytes(row?))).collect()
    }

    /// All members in the order of their keys.
    pub fn members(&self) -> Result<Vec<(NodeId, Member)>, DbError> {
        let sql = format!("SELECT node, record, {MEMBER} FROM members ORDER BY node");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows =
            statement.query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let mut members = Vec::new();
        for row in rows {
            let (node, record) = row?;
            members.push((NodeId::from_bytes(node), decode("member", &record)?));
        }
        Ok(members)
    }

    /// The live file under a key.
    pub fn file(&self, key: &NameKey) -> Result<Option<FileRecord>, DbError> {
        SqlState(&self.connection).find_file(key)
    }

    /// Some live file with this content.
    pub fn file_by_id(&self, file_id: &Hash) -> Result<Option<FileRecord>, DbError> {
        let sql = format!("SELECT record, {FILE} FROM files WHERE file_id = ?1 LIMIT 1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let record: Option<Vec<u8>> =
            statement.query_row([file_id.as_bytes()], |row| row.get(0)).optional()?;
        record.map(|record| decode("file", &record)).transpose()
    }

    /// Up to `limit` live files with this content. Anybody may name the same bytes under a manifest of their own, so
    /// whoever trusts one says which.
    pub fn files_by_id(&self, file_id: &Hash, limit: usize) -> Result<Vec<FileRecord>, DbError> {
        let sql = format!("SELECT record, {FILE} FROM files WHERE file_id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([file_id.as_bytes()], |row| row.get::<_, Vec<u8>>(0))?;
        rows.take(limit).map(|record| decode("file", &record?)).collect()
    }

    /// A page of live files in the order of their keys.
    pub fn files(&self, filter: &FileFilter) -> Result<Vec<FileRecord>, DbError> {
        let prefix = filter.prefix.as_deref().unwrap_or_default();
        // Every key with the prefix is below the prefix followed by the last code point there is.
        let end = format!("{prefix}{}", char::MAX);
        // One bound below: of two SQLite would look for the first, and pass by all that is before the other.
        let after = filter.after.as_ref().map(NameKey::as_str).filter(|after| *after >= prefix);
        let (from, at_least) = after.map_or((prefix, ">="), |after| (after, ">"));
        let sql = format!(
            "SELECT record, {FILE} FROM files WHERE key {at_least} ?1 AND key < ?2 ORDER BY key LIMIT ?3"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![from, end, filter.limit], |row| row.get::<_, Vec<u8>>(0))?;
        rows.map(|row| decode("file", &row?)).collect()
    }
}

/// Opens a file for reading, whatever its version.
pub(super) fn open_as_it_is(path: &Path) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    teach(&connection)?;
    Ok(connection)
}

/// Whether the file holds tables this crate knows, and of which version.
pub(super) fn check_tables(connection: &Connection, path: &Path) -> Result<i32, DbError> {
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let found: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if id != APPLICATION_ID || found == 0 {
        return Err(DbError::NotALedger { path: path.to_owned() });
    }
    if found > SCHEMA_VERSION {
        return Err(DbError::Newer { path: path.to_owned(), found });
    }
    Ok(found)
}
