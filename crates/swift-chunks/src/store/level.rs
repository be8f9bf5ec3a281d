//! Bringing the names level with a ledger as a whole, where no blocks lead from what the store knows to what holds now.

use super::Store;
use super::content::ContentRef;
use super::error::StoreError;
use super::folder::SafeName;
use super::index::Index;
use super::names::{ChangedBy, VisibleChanges};

/// A name as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveName {
    /// A relative path.
    pub name: String,
    /// What it means.
    pub content: ContentRef,
    /// The height at which it came to mean that.
    pub height: u64,
}

impl Store {
    /// Forgets up to which height blocks were applied: their heights mean something else from now on. Names and content
    /// stay as they are. Then come [`Store::level`], as often as need be, and [`Store::set_level`].
    pub fn forget_height(&self) -> Result<(), StoreError> {
        self.core.index()?.forget_height()
    }

    /// Takes some names over and takes others away, in one commit, and brings the files folder in line. A name that
    /// means what it meant already keeps its file, and content that is here stays here.
    pub fn level(
        &self,
        live: &[LiveName],
        gone: &[String],
        now_ms: u64,
    ) -> Result<VisibleChanges, StoreError> {
        for name in live.iter().map(|live| &live.name).chain(gone) {
            SafeName::parse(name)?;
        }
        self.core.note_time(now_ms);
        let mut folder = self.core.folder();
        let mut changed = gone.to_vec();
        {
            let mut index = self.core.index()?;
            let rule = self.core.keep_rule();
            let by = ChangedBy { time_ms: now_ms, ..ChangedBy::default() };
            let transaction = index.begin()?;
            let mut touched = Vec::new();
            for name in gone {
                touched.extend(Index::remove_name(&transaction, name, &by)?);
            }
            for LiveName { name, content, height } in live {
                let row = Index::ensure(&transaction, content)?;
                touched.push(row.id);
                if Index::name_object(&transaction, name)? == Some(row.id) {
                    Index::set_name_height(&transaction, name, *height)?;
                } else {
                    let is_kept = rule.covers(name) || Index::is_pinned(&transaction, name)?;
                    touched.extend(Index::put_name(&transaction, name, row.id, *height, is_kept, &by)?);
                    changed.push(name.clone());
                }
            }
            for id in touched {
                Index::refresh_use(&transaction, id, now_ms)?;
            }
            transaction.commit()?;
        }
        self.core.show(&mut folder, changed, now_ms)
    }

    /// The names are those of the ledger at this height; blocks go on behind it.
    pub fn set_level(&self, height: u64) -> Result<(), StoreError> {
        let mut index = self.core.index()?;
        let transaction = index.begin()?;
        Index::set_applied_height(&transaction, height)?;
        transaction.commit()
    }
}
