//! Content that is staged becomes the store's: renamed into place and recorded, many contents in one go.

use std::collections::HashSet;

use super::content::{ContentRef, Held};
use super::disk::{Existing, Move, Placed};
use super::error::StoreError;
use super::index::{Index, ObjectRow, STATE_COMPLETE};
use super::names::VisibleChanges;
use super::upload::{Hold, Staged};
use super::{Core, Store};

/// Content to be taken into the store.
pub struct Adoption {
    /// What it is.
    pub staged: Staged,
    /// Who holds it. Nobody holds what a live name asks for.
    pub hold: Option<Hold>,
}

impl Store {
    /// Takes content into the store: see [`Self::adopt_all`].
    pub fn adopt(&self, staged: Staged, hold: &Hold, now_ms: u64) -> Result<VisibleChanges, StoreError> {
        self.adopt_all(vec![Adoption { staged, hold: Some(hold.clone()) }], now_ms)
    }

    /// Takes contents into the store and records, in one commit, that they are complete and who holds them. All are in it
    /// when this returns, or after an error none is. However many they are, it costs one synchronisation of each
    /// directory and one commit.
    ///
    /// Adding what is there already, or in the trash, costs that commit only. Names that wait for the contents
    /// appear in the files folder; what happened there is in the answer.
    pub fn adopt_all(&self, adoptions: Vec<Adoption>, now_ms: u64) -> Result<VisibleChanges, StoreError> {
        let core = &self.core;
        core.note_time(now_ms);
        let mut folder = core.folder();
        core.take_in(&adoptions, now_ms)?;
        let keys: HashSet<ContentRef> = adoptions.iter().map(|one| one.staged.key()).collect();
        // The objects now account for the room.
        drop(adoptions);
        let mut waiting = Vec::new();
        for key in keys {
            waiting.extend(core.names_of(&key)?);
        }
        core.show(&mut folder, waiting, now_ms)
    }
}

/// A content on its way into the index.
struct Coming<'a> {
    adoption: &'a Adoption,
    key: ContentRef,
    row: ObjectRow,
    /// Whether its files are to be put into place: it is not here yet, and nothing before it brings the same.
    is_new: bool,
}

impl Core {
    fn take_in(&self, adoptions: &[Adoption], now_ms: u64) -> Result<(), StoreError> {
        let mut index = self.index()?;
        let mut new = HashSet::new();
        for key in adoptions.iter().map(|one| one.staged.key()) {
            let is_here = match Index::by_key(index.read(), &key)? {
                Some(row) if row.state == STATE_COMPLETE => self.open_complete(&mut index, &row)?.is_some(),
                _ => false,
            };
            if !is_here {
                new.insert(key);
            }
        }
        let committed = self.commit_adoptions(&mut index, adoptions, &mut new.clone(), now_ms);
        if committed.is_err() {
            for key in new {
                self.clear_unclaimed(&index, key.file_id, None)?;
            }
        }
        committed
    }

    fn commit_adoptions(
        &self,
        index: &mut Index,
        adoptions: &[Adoption],
        new: &mut HashSet<ContentRef>,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let transaction = index.begin()?;
        let mut coming = Vec::with_capacity(adoptions.len());
        for adoption in adoptions {
            let key = adoption.staged.key();
            let (row, is_new) = (Index::ensure(&transaction, &key)?, new.remove(&key));
            coming.push(Coming { adoption, key, row, is_new });
        }
        let brought: Vec<&Coming<'_>> = coming.iter().filter(|one| one.is_new).collect();
        let placed = self.place_staged(&brought)?;
        for (one, (object, manifest)) in brought.iter().zip(&placed) {
            Index::set_manifest(&transaction, one.row.id, manifest)?;
            Index::set_complete(&transaction, one.row.id, &one.key, object, now_ms)?;
        }
        for Coming { adoption, row, .. } in &coming {
            match &adoption.hold {
                Some(hold) => Index::put_hold(&transaction, &hold.key, row.id, &hold.payload, now_ms)?,
                None => Index::refresh_use(&transaction, row.id, now_ms)?,
            }
        }
        transaction.commit()?;
        for (one, (object, manifest)) in brought.into_iter().zip(placed) {
            self.disk.remove(&self.paths.marker(one.key.file_id, one.row.id))?;
            if let Some(content) = self.in_use(one.row.id) {
                let mut live = content.live_mut();
                live.data = Some(object.file());
                live.manifest = Some(manifest.file());
                live.held = Held::All;
                drop(live);
                content.progress.lock().forget_all();
            }
            // A download of the same content was overtaken.
            self.remove_part(&self.paths.part_of(&one.row))?;
            self.drop_false_parts(index, one.key.file_id)?;
        }
        Ok(())
    }

    /// Renames staged files into place. Should nobody record them, markers say at the next start what is to go: they are
    /// durable before the files are.
    fn place_staged(&self, brought: &[&Coming<'_>]) -> Result<Vec<(Placed, Placed)>, StoreError> {
        if brought.is_empty() {
            return Ok(Vec::new());
        }
        let mut paths = Vec::with_capacity(brought.len());
        for Coming { key, row, .. } in brought {
            self.disk.create(&self.paths.marker(key.file_id, row.id), Existing::Empty)?;
            paths.push((self.paths.object(key.file_id), self.paths.manifest_of(row)));
        }
        self.disk.sync_dir(&self.paths.uploads())?;
        let staged = brought.iter().map(|one| &one.adoption.staged).zip(&paths);
        let moves: Vec<Move<'_>> =
            staged.flat_map(|(staged, (object, manifest))| staged.moves(object, manifest)).collect();
        let mut placed = self.disk.place_all(&moves)?.into_iter();
        Ok(std::iter::from_fn(|| placed.next().zip(placed.next())).collect())
    }
}
