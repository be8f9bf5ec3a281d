//! How soon content is wanted, kept with what is here of it.

use super::Store;
use super::error::StoreError;
use super::index::Index;
use crate::id::FileId;

impl Store {
    /// Keeps how soon a content is wanted, a number that means something to the caller, or forgets it. Durable when it
    /// returns; forgotten by itself when the content is complete.
    pub fn set_priority(&self, file_id: FileId, priority: Option<i64>) -> Result<(), StoreError> {
        let mut index = self.core.index()?;
        let transaction = index.begin()?;
        Index::put_priority(&transaction, file_id, priority)?;
        transaction.commit()
    }

    /// Every content that somebody said this of, and what.
    pub fn priorities(&self) -> Result<Vec<(FileId, i64)>, StoreError> {
        self.core.index()?.priorities()
    }
}
