//! What names meant and do not mean any more, and how it comes back.

use std::fmt;
use std::str::FromStr;

use super::content::ContentRef;
use super::error::StoreError;
use super::index::{Index, RemovedRow, STATE_COMPLETE, STATE_FALSE, STATE_SUSPECT};
use super::names::ChangedBy;
use super::upload::Hold;
use super::{Core, Store};
use crate::layout::ChunkLayout;

/// A content and a name that it had, or content in the trash that never had one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The name that meant it; none if none ever did.
    pub name: Option<String>,
    /// What it meant.
    pub content: ContentRef,
    /// Who took the name from it, and when.
    pub by: ChangedBy,
    /// When this is forgotten, and the content deleted if nothing uses it.
    pub expires_ms: u64,
    /// Whether all of the content is here.
    pub is_complete: bool,
    /// Bytes of it that are here.
    pub held_bytes: u64,
    /// Whether something else uses the content, so that it is not in the trash.
    pub is_used: bool,
    row: i64,
}

impl Removed {
    /// Where a list goes on behind this.
    pub fn cursor(&self) -> TrashCursor {
        TrashCursor { name: self.name.clone(), row: self.row }
    }
}

/// A place in the list of what was removed, which is ordered by names. Its text means something to the store only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashCursor {
    name: Option<String>,
    row: i64,
}

impl fmt::Display for TrashCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.row, self.name.as_deref().unwrap_or_default())
    }
}

/// A text that is no place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no place in the list: pass on what the list before said as next")]
pub struct NoSuchPlace;

impl FromStr for TrashCursor {
    type Err = NoSuchPlace;

    fn from_str(text: &str) -> Result<Self, NoSuchPlace> {
        let (row, name) = text.split_once('/').ok_or(NoSuchPlace)?;
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { name, row: row.parse().map_err(|_| NoSuchPlace)? })
    }
}

impl Store {
    /// Up to `limit` contents that are here, at least in part, and that names lost, in the order of the names; behind
    /// them what is in the trash and never had a name.
    pub fn trash(&self, after: Option<&TrashCursor>, limit: usize) -> Result<Vec<Removed>, StoreError> {
        let index = self.core.index()?;
        let mut rows = match after {
            Some(TrashCursor { name: None, .. }) => Vec::new(),
            Some(TrashCursor { name: Some(name), row }) => index.removed_after((name, *row), limit)?,
            None => index.removed_after(("", -1), limit)?,
        };
        if rows.len() < limit {
            let after = after.filter(|after| after.name.is_none()).map_or(-1, |after| after.row);
            rows.extend(index.nameless_after(after, limit - rows.len())?);
        }
        Ok(rows.into_iter().map(|row| self.core.removed(row)).collect())
    }

    /// What a name meant, the latest first, whether or not it is here.
    pub fn removed(&self, name: &str) -> Result<Vec<Removed>, StoreError> {
        let rows = self.core.index()?.removed_under(name)?;
        Ok(rows.into_iter().map(|row| self.core.removed(row)).collect())
    }

    /// Holds content that is whole here already, in the trash for example, as [`Store::adopt`] holds what is new.
    pub fn hold_again(&self, content: &ContentRef, hold: &Hold, now_ms: u64) -> Result<(), StoreError> {
        let (core, file_id) = (&self.core, content.file_id);
        core.note_time(now_ms);
        // What is being deleted is not held any more, and the other way round.
        let _folder = core.folder();
        let mut index = core.index()?;
        let row = Index::by_key(index.read(), content)?.ok_or(StoreError::NotFound(file_id))?;
        match row.state {
            STATE_COMPLETE if core.open_complete(&mut index, &row)?.is_some() => {}
            STATE_COMPLETE | STATE_SUSPECT => return Err(StoreError::Suspect(file_id)),
            STATE_FALSE => return Err(StoreError::ManifestFalse(file_id)),
            _ => {
                let missing = ChunkLayout::new(content.len)?.chunk_count() - row.held;
                return Err(StoreError::Incomplete { file_id, missing });
            }
        }
        let transaction = index.begin()?;
        Index::put_hold(&transaction, &hold.key, row.id, &hold.payload, now_ms)?;
        transaction.commit()
    }
}

impl Core {
    fn removed(&self, row: RemovedRow) -> Removed {
        let since_ms = row.trashed_ms.unwrap_or(row.by.time_ms);
        Removed {
            expires_ms: since_ms.saturating_add(self.trash_keep_ms()),
            held_bytes: row.stored.min(row.key.len),
            is_used: row.trashed_ms.is_none(),
            is_complete: row.is_complete,
            name: row.name,
            content: row.key,
            by: row.by,
            row: row.object,
        }
    }
}
