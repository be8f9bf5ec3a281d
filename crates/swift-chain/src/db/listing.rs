//! Live files in three orders, page by page, also those alone that a text or a publisher picks out.
//!
//! Each order has an index that also has what picks out, so that a file that is not asked for costs no look at its record.
//! A page begins behind a place in its order, not behind so many files: it stays where it is while files come and go.

use rusqlite::{Connection, Params, Row, params};

use super::{
    DbError,
    reader::LedgerReader,
    state::{Counts, SqlState, decode, read_meta},
    sums::{self, FILE_BEFORE},
};
use crate::{identity::NodeId, name::NameKey, state::FileRecord};

/// Names that are looked at for one page, and to count what is asked for, at most.
const LOOKED_AT_MAX: u32 = 200_000;

/// By what live files are ordered. Those that are alike in it follow their folded names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileOrder {
    /// Their folded names.
    #[default]
    Name,
    /// Their sizes.
    Size,
    /// When they were published: the height of the block.
    Published,
}

/// Which end of an order comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The least.
    #[default]
    Ascending,
    /// The greatest.
    Descending,
}

/// Where a file stands in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlace {
    /// Its size or height; 0 in the order of names.
    pub rank: u64,
    /// Its folded name.
    pub key: String,
}

/// Which live files are looked for.
#[derive(Clone, Debug, Default)]
pub struct FileSearch {
    /// How they are ordered.
    pub order: FileOrder,
    /// From which end.
    pub direction: Direction,
    /// Only names whose folded form begins with this; see [`NameKey::fold_prefix`].
    pub prefix: Option<String>,
    /// Only names whose folded form has this somewhere.
    pub text: Option<String>,
    /// Only what this node published.
    pub publisher: Option<NodeId>,
    /// Only what comes behind this place: where the page before ended.
    pub after: Option<FilePlace>,
    /// At most so many.
    pub limit: usize,
}

/// Some of the files that were looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePage {
    /// In their order.
    pub files: Vec<FileRecord>,
    /// What to go on behind, if more may be there. A page that was long to look for has fewer than were asked for.
    pub next: Option<FilePlace>,
    /// How many there are on all pages; none where too many names would have to be looked at to say so.
    pub total: Option<u64>,
}

impl FileSearch {
    fn takes(&self, key: &str, publisher: &[u8]) -> bool {
        self.publisher.is_none_or(|node| node.as_bytes() == publisher)
            && self.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
            && self.text.as_deref().is_none_or(|text| key.contains(text))
    }

    /// Every key that begins with the prefix is not below the first and below the second.
    fn bounds(&self) -> (&str, String) {
        let prefix = self.prefix.as_deref().unwrap_or_default();
        // The last code point there is.
        (prefix, format!("{prefix}{}", char::MAX))
    }
}

/// What an index says of a file.
struct Entry<'r> {
    rank: u64,
    key: &'r str,
    publisher: &'r [u8],
}

impl<'r> Entry<'r> {
    fn of(row: &'r Row<'_>) -> rusqlite::Result<Self> {
        let (key, publisher) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_blob()?);
        Ok(Self { rank: row.get(0)?, key, publisher })
    }
}

impl LedgerReader {
    /// A page of live files.
    pub fn search_files(&self, search: &FileSearch) -> Result<FilePage, DbError> {
        let mut page = match search.order {
            FileOrder::Name => self.by_name(search)?,
            FileOrder::Size => self.by_rank(search, "size", "files_by_size")?,
            FileOrder::Published => self.by_rank(search, "height", "files_by_height")?,
        };
        page.total = self.total(search)?;
        Ok(page)
    }

    fn by_name(&self, search: &FileSearch) -> Result<FilePage, DbError> {
        let (mut from, mut end) = search.bounds();
        let mut at_least = ">=";
        let way = match (search.direction, &search.after) {
            (Direction::Ascending, Some(after)) if after.key.as_str() >= from => {
                (from, at_least) = (&after.key, ">");
                "ASC"
            }
            (Direction::Descending, Some(after)) if after.key < end => {
                end.clone_from(&after.key);
                "DESC"
            }
            (Direction::Ascending, _) => "ASC",
            (Direction::Descending, _) => "DESC",
        };
        let sql = format!(
            "SELECT 0, key, publisher FROM files INDEXED BY files_by_name
                 WHERE key {at_least} ?1 AND key < ?2 ORDER BY key {way}"
        );
        self.fill(search, &sql, [from, end.as_str()])
    }

    fn by_rank(&self, search: &FileSearch, rank: &str, index: &str) -> Result<FilePage, DbError> {
        let (behind, way, beginning) = match search.direction {
            Direction::Ascending => (">", "ASC", -1),
            Direction::Descending => ("<", "DESC", i64::MAX),
        };
        let (at, key) = match &search.after {
            Some(after) => (i64::try_from(after.rank).unwrap_or(i64::MAX), after.key.as_str()),
            None => (beginning, ""),
        };
        let sql = format!(
            "SELECT {rank}, key, publisher FROM files INDEXED BY {index}
                 WHERE ({rank}, key) {behind} (?1, ?2) ORDER BY {rank} {way}, key {way}"
        );
        self.fill(search, &sql, params![at, key])
    }

    /// Goes along an index until the page is full. While that is read the records are as they were when it began.
    fn fill(&self, search: &FileSearch, sql: &str, bounds: impl Params) -> Result<FilePage, DbError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(bounds)?;
        let (mut page, mut looked_at, mut last) = (FilePage::default(), 0, None);
        while let Some(row) = rows.next()? {
            if looked_at >= LOOKED_AT_MAX {
                page.next = last;
                break;
            }
            looked_at += 1;
            let entry = Entry::of(row)?;
            let is_wanted = search.takes(entry.key, entry.publisher);
            if is_wanted && page.files.len() >= search.limit {
                page.next = last;
                break;
            }
            if is_wanted {
                let file = SqlState(connection).find_file(&NameKey::from_stored(entry.key.to_owned()))?;
                page.files.push(file.ok_or(DbError::Missing("file"))?);
            }
            if is_wanted || looked_at == LOOKED_AT_MAX {
                last = Some(FilePlace { rank: entry.rank, key: entry.key.to_owned() });
            }
        }
        Ok(page)
    }

    fn total(&self, search: &FileSearch) -> Result<Option<u64>, DbError> {
        if search.text.is_none() && search.prefix.as_ref().is_none_or(String::is_empty) {
            return match &search.publisher {
                Some(node) => Ok(Some(SqlState(self.connection()).find_author(node)?.live_files)),
                None => Ok(Some(read_meta::<Counts>(self.connection(), "counts")?.files)),
            };
        }
        let (from, end) = search.bounds();
        let sql = "SELECT 0, key, publisher FROM files INDEXED BY files_by_name
                       WHERE key >= ?1 AND key < ?2 LIMIT ?3";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query(params![from, end, LOOKED_AT_MAX + 1])?;
        let (mut looked_at, mut found) = (0, 0);
        while let Some(row) = rows.next()? {
            let entry = Entry::of(row)?;
            looked_at += 1;
            found += u64::from(search.takes(entry.key, entry.publisher));
        }
        Ok((looked_at <= LOOKED_AT_MAX).then_some(found))
    }
}

/// Makes the tables of version 4 to those of version 5: who published a file and when has columns of its own, and each order its
/// index.
pub(super) fn add(connection: &Connection) -> Result<(), DbError> {
    connection.execute_batch("DROP INDEX files_by_id; ALTER TABLE files RENAME TO files_old")?;
    sums::FILES.create(connection)?;
    let sql = format!("SELECT record, {FILE_BEFORE} FROM files_old ORDER BY key");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let record: FileRecord = decode("file", row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
        SqlState(connection).insert_file(&record.entry.name.key(), &record)?;
    }
    drop(rows);
    drop(statement);
    connection.execute_batch(
        "DROP TABLE files_old;
         CREATE INDEX files_by_id ON files (file_id);
         CREATE INDEX files_by_name ON files (key, publisher);
         CREATE INDEX files_by_size ON files (size, key, publisher);
         CREATE INDEX files_by_height ON files (height, key, publisher);",
    )?;
    Ok(())
}
