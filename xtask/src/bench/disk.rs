//! What one disk sync costs.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How much a sync has to bring to the disk, about as much as a small commit.
const WRITTEN: usize = 4096;
const SYNCS: usize = 400;
/// The file does not grow for ever, as a log that is written again from its beginning.
const PLACES: u64 = 64;

/// Median time of writing 4 KiB and `fdatasync`, in a file below `folder`.
pub(super) fn sync_cost(folder: &Path) -> Result<Duration> {
    let path = folder.join("sync-cost");
    let mut file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let page = [7; WRITTEN];
    let mut took = Vec::with_capacity(SYNCS);
    for number in 0..SYNCS as u64 {
        let begun = Instant::now();
        file.seek(SeekFrom::Start(number % PLACES * WRITTEN as u64))?;
        file.write_all(&page)?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    drop(file);
    std::fs::remove_file(&path)?;
    took.sort_unstable();
    Ok(took[SYNCS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_takes_time_and_leaves_nothing_behind() -> Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(sync_cost(folder.path())? > Duration::ZERO);
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
        Ok(())
    }
}
