//! Room on the disk: the quota, the floor, and what is promised but not written yet.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::content::ContentRef;
use super::error::StoreError;
use super::index::{Index, ObjectRow, STATE_PARTIAL};
use super::{Core, Store};
use crate::layout::ChunkLayout;
use crate::manifest::manifest_len;

/// Uploads of unknown length ask for room in steps of this many bytes.
const STEP_LEN: u64 = 64 * 1024 * 1024;

/// Bytes that running uploads have set aside; downloads are accounted for in the index.
#[derive(Debug, Default)]
pub(super) struct UploadSpace(Mutex<Promised>);

#[derive(Clone, Copy, Debug, Default)]
struct Promised {
    reserved: u64,
    unwritten: u64,
}

impl UploadSpace {
    /// A copy, so that nobody keeps the lock while asking for another.
    fn now(&self) -> Promised {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Promised> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much the store uses and could still take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that count against the quota: held, and promised to running transfers.
    pub used: u64,
    /// The quota, if there is one.
    pub quota: Option<u64>,
    /// Bytes, within `used`, of content in the trash.
    pub trashed: u64,
    /// Bytes, within `used`, that are promised to running transfers and not written yet.
    pub reserved: u64,
    /// Free bytes that are left on the disk.
    pub free_floor: u64,
    /// Bytes that are free on the disk now.
    pub free: u64,
    /// Bytes that a new transfer could still be promised.
    pub available: u64,
}

impl Store {
    /// Gives back the room that a download of this content has set aside and that nothing will come into, as nothing here
    /// keeps it any more. Says false while a download of it runs.
    pub fn give_back_room(&self, content: &ContentRef) -> Result<bool, StoreError> {
        let core = &self.core;
        // Nobody begins a download meanwhile.
        let _folder = core.folder();
        let mut index = core.index()?;
        let Some(row) = Index::by_key(index.read(), content)? else { return Ok(true) };
        if core.is_downloading(row.id) {
            return Ok(false);
        }
        core.trim_reserved(&mut index, &row)?;
        Ok(true)
    }
}

impl Core {
    /// Sets no more aside for a part that nothing keeps than what is there of it.
    pub(super) fn trim_reserved(&self, index: &mut Index, row: &ObjectRow) -> Result<(), StoreError> {
        if row.state != STATE_PARTIAL || row.wanted_height.is_some() {
            return Ok(());
        }
        let manifest = if row.has_manifest { manifest_len(ChunkLayout::new(row.key.len)?) } else { 0 };
        let taken = row.stored + manifest;
        if Index::reserved_of(index.read(), row.id)? > taken {
            let transaction = index.begin()?;
            Index::set_reserved(&transaction, row.id, taken)?;
            transaction.commit()?;
        }
        Ok(())
    }

    pub(super) fn usage(&self, index: &Index) -> Result<Usage, StoreError> {
        let ((reserved, stored), uploads) = (index.totals()?, self.uploads.now());
        Ok(Usage {
            used: reserved + uploads.reserved,
            reserved: reserved.saturating_sub(stored) + uploads.unwritten,
            free_floor: self.options.free_floor_bytes,
            free: free_bytes(self.paths.root())?,
            quota: self.options.quota_bytes,
            trashed: index.trashed_bytes()?,
            available: self.available(index)?,
        })
    }

    /// Whether content is coming in at this moment.
    pub(super) fn is_taking_in(&self) -> bool {
        self.uploads.now().reserved > 0
            || self
                .contents()
                .by_row
                .values()
                .filter_map(std::sync::Weak::upgrade)
                .any(|content| content.downloading.load(std::sync::atomic::Ordering::Acquire))
    }

    /// Fails unless `needed` more bytes fit.
    pub(super) fn check_space(&self, index: &Index, needed: u64) -> Result<(), StoreError> {
        let available = self.available(index)?;
        if needed > available { Err(StoreError::NoSpace { needed, available }) } else { Ok(()) }
    }

    fn available(&self, index: &Index) -> Result<u64, StoreError> {
        let (reserved, stored) = index.totals()?;
        let uploads = self.uploads.now();
        let below_quota = match self.options.quota_bytes {
            Some(quota) => quota.saturating_sub(reserved + uploads.reserved),
            None => u64::MAX,
        };
        let promised = reserved.saturating_sub(stored) + uploads.unwritten + self.options.free_floor_bytes;
        Ok(below_quota.min(free_bytes(self.paths.root())?.saturating_sub(promised)))
    }

    /// Fails when writing `len` bytes that were promised would now go below the floor, because somebody else
    /// filled the disk meanwhile.
    pub(super) fn check_floor(&self, len: u64) -> Result<(), StoreError> {
        let available = free_bytes(self.paths.root())?.saturating_sub(self.options.free_floor_bytes);
        if len > available { Err(StoreError::NoSpace { needed: len, available }) } else { Ok(()) }
    }
}

fn free_bytes(path: &Path) -> Result<u64, StoreError> {
    let disk = rustix::fs::statvfs(path)
        .map_err(|error| StoreError::io("ask for the free space of", path)(error.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Room set aside for one upload; given back when dropped.
pub(super) struct Reservation {
    core: Arc<Core>,
    reserved: u64,
    written: u64,
}

impl Reservation {
    pub(super) fn new(core: &Arc<Core>, bytes: u64) -> Result<Self, StoreError> {
        let mut reservation = Self { core: Arc::clone(core), reserved: 0, written: 0 };
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    /// Accounts for `bytes` that are about to be written.
    pub(super) fn write(&mut self, bytes: u64) -> Result<(), StoreError> {
        let written = self.written + bytes;
        if written > self.reserved {
            let lacking = written - self.reserved;
            // Near the limit the last bytes must still fit, so fall back to exactly what is needed.
            self.grow(lacking.max(STEP_LEN)).or_else(|_| self.grow(lacking))?;
        } else if written / STEP_LEN != self.written / STEP_LEN {
            self.core.check_floor(bytes)?;
        }
        self.written = written;
        self.core.uploads.lock().unwritten -= bytes;
        Ok(())
    }

    fn grow(&mut self, bytes: u64) -> Result<(), StoreError> {
        let index = self.core.index()?;
        self.core.check_space(&index, bytes)?;
        let mut promised = self.core.uploads.lock();
        promised.reserved += bytes;
        promised.unwritten += bytes;
        self.reserved += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut promised = self.core.uploads.lock();
        promised.reserved -= self.reserved;
        promised.unwritten -= self.reserved - self.written;
    }
}
