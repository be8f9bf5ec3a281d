//! Copies of the index, and what one of them may still say when the content did not come with it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::disk::Disk;
use super::error::{OpenError, StoreError};
use super::index::{Index, teach};
use super::paths::INDEX_FILE;

/// Copies the index of a content directory as it is at this moment into a new file, also while a store uses it. False if
/// there is none. Not synchronised.
pub fn copy_index(content_dir: &Path, to: &Path) -> Result<bool, StoreError> {
    let index = content_dir.join(INDEX_FILE);
    if !index.exists() {
        return Ok(false);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(index, flags)?;
    teach(&connection)?;
    let not_text = || StoreError::io("write a database to", to)(std::io::ErrorKind::InvalidFilename.into());
    connection.execute("VACUUM INTO ?1", [to.to_str().ok_or_else(not_text)?])?;
    Ok(true)
}

/// Makes a copied index claim nothing but names: the content did not come with it, so it is to be fetched again. Uploads
/// that were under way are forgotten with what they had brought; how many is the answer.
pub fn forget_content(index: &Path) -> Result<u64, OpenError> {
    let mut index = Index::open(index, &Disk::default())?;
    Ok(index.forget_content()?)
}
