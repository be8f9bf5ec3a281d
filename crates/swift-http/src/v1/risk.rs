//! Files of which there is no second copy, as far as is known.

use serde::Serialize;
use swift_chain::{FileFilter, FileName, FileRecord};
use swift_chunks::{FileId, ObjectState, StoreError};
use tokio::task;

use super::files::others_with;
use crate::{problem::Problem, services::Services};

/// Live files that are looked at, in the order of their names.
const LOOKED_AT_MAX: usize = 10_000;
const PAGE_LEN: u32 = 1000;
/// Files that are listed.
const LISTED_MAX: usize = 20;

/// Files with one copy, or none, on nodes that can be reached.
#[derive(Serialize)]
pub(super) struct AtRisk {
    count: usize,
    /// Live files that were looked at; the network may have more.
    looked_at: usize,
    files: Vec<Lone>,
}

#[derive(Serialize)]
struct Lone {
    name: FileName,
    size: u64,
    copies: usize,
}

impl AtRisk {
    /// Looks at what is known; everybody is asked about what seems to be at risk.
    pub(super) async fn find(services: &Services) -> Result<Self, Problem> {
        let records = live(services).await?;
        let looked_at = records.len();
        let here = held_here(services, &records).await?;
        let mut lone: Vec<(FileRecord, bool)> = records.into_iter().zip(here).collect();
        let known = others_with(services, ids(&lone), false).await?;
        let mut known = known.into_iter();
        lone.retain(|(_, is_here)| known.next().unwrap_or(0) + usize::from(*is_here) <= 1);
        let others = others_with(services, ids(&lone), true).await?;
        let mut files: Vec<Lone> = lone
            .into_iter()
            .zip(others)
            .map(|((record, is_here), others)| Lone {
                name: record.entry.name,
                size: record.entry.size,
                copies: others + usize::from(is_here),
            })
            .filter(|file| file.copies <= 1)
            .collect();
        let count = files.len();
        // Those of which there is none first; the largest are the most to lose.
        files.sort_by_key(|file| (file.copies, std::cmp::Reverse(file.size)));
        files.truncate(LISTED_MAX);
        Ok(Self { count, looked_at, files })
    }
}

fn id(record: &FileRecord) -> FileId {
    FileId::from_bytes(*record.entry.file_id.as_bytes())
}

fn ids(files: &[(FileRecord, bool)]) -> Vec<FileId> {
    files.iter().map(|(record, _)| id(record)).collect()
}

async fn live(services: &Services) -> Result<Vec<FileRecord>, Problem> {
    let listed = services.ledger.read(|reader| {
        let (mut all, mut page) = (Vec::new(), FileFilter { limit: PAGE_LEN, ..FileFilter::default() });
        while all.len() < LOOKED_AT_MAX {
            let files = reader.files(&page)?;
            let Some(last) = files.last() else { break };
            page.after = Some(last.entry.name.key());
            all.extend(files);
        }
        Ok(all)
    });
    Ok(listed.await?)
}

/// Whether each file is whole here.
async fn held_here(services: &Services, records: &[FileRecord]) -> Result<Vec<bool>, Problem> {
    let (store, files) = (services.store.clone(), records.iter().map(id).collect::<Vec<_>>());
    let looked = task::spawn_blocking(move || {
        let is_here =
            |file| Ok(store.object(file)?.is_some_and(|object| object.state == ObjectState::Complete));
        files.into_iter().map(is_here).collect::<Result<Vec<_>, StoreError>>()
    });
    Ok(looked.await.map_err(|error| Problem::internal(&error))??)
}
