//! Which files the machine is told of: what blocks name, what the store wants, and what somebody asks for.

use std::collections::{BTreeSet, HashSet};

use swift_chunks::{ChunkSet, FileId};

use super::{
    files::{Entry, Receiving, Stage, WANTED_MAX},
    incoming::Incoming,
    library::{Found, Live},
    owner::Owner,
};
use crate::swarm::{Input, Want};

impl Owner {
    /// Looks at the next blocks, or at more of what the store wants, one look at a time.
    pub(super) fn look_further(&mut self) {
        if self.is_looking {
            return;
        }
        if self.is_more_wanted {
            let receiving = self.files.receiving_len();
            if receiving <= WANTED_MAX / 2 {
                let known = self.files.iter().filter(|(_, entry)| entry.receiving().is_some());
                let known: HashSet<FileId> = known.map(|(&file, _)| file).collect();
                self.is_looking = true;
                let room = WANTED_MAX - receiving;
                return self.library.refill(known, room, &self.work, &self.events);
            }
        }
        if self.target > self.followed {
            self.is_looking = true;
            self.library.follow(self.followed + 1, self.target, &self.work, &self.events);
        }
    }

    /// Asks the store again what it wants.
    pub(super) fn look_for_others(&mut self) {
        self.is_more_wanted = true;
        self.look_further();
    }

    pub(super) fn take_all(&mut self, found: Vec<Found>) {
        let mut receiving = self.files.receiving_len();
        for Found { file, live } in found {
            match live {
                None => {
                    self.forget(file);
                    self.forget_priority(file);
                }
                Some(live) if live.is_complete || receiving < WANTED_MAX => {
                    receiving += usize::from(!live.is_complete);
                    self.take(file, live);
                }
                Some(_) => self.is_more_wanted = true,
            }
        }
    }

    /// A file that a live name means, as it was a moment ago.
    pub(super) fn take(&mut self, file: FileId, live: Live) {
        let Live { publisher, content, held, is_complete } = live;
        let known = self.files.get(&file).map(|entry| (entry.content == content, &entry.stage));
        match known {
            Some((true, Stage::Receiving(_))) if !is_complete => return,
            Some((true, Stage::Stored)) if is_complete => return,
            Some((true, Stage::Abandoned)) => return,
            Some((true, Stage::Stored)) => return self.lose(file, &held),
            // Published here under another name meanwhile.
            Some((true, Stage::Receiving(_))) => return self.note_stored(file),
            // The same bytes under another manifest.
            Some((false, _)) => self.forget(file),
            None => {}
        }
        let (layout, holders) = (held.layout(), BTreeSet::new());
        if is_complete {
            self.files.insert(file, Entry { publisher, content, layout, stage: Stage::Stored, holders });
            self.tell(Input::FileAdded { file, publisher, held, want: Want::Wanted });
            return self.evict(file);
        }
        let incoming = Incoming::new(self.library.store.clone(), content, layout, self.trees.clone());
        let mut receiving = Box::new(Receiving::new(incoming));
        receiving.is_finish_due = held.is_full();
        self.files
            .insert(file, Entry { publisher, content, layout, stage: Stage::Receiving(receiving), holders });
        if held.is_full() {
            // Nothing to fetch: it is empty, or a stop came between its last chunk and its name.
            self.drive_disk(file);
        } else {
            self.tell(Input::FileAdded { file, publisher, held, want: Want::Wanted });
            self.tell_urgency(file);
        }
    }

    /// Whether nothing of a file has come under the manifest it is fetched with.
    pub(super) fn has_only_doubt(&self, file: &FileId) -> bool {
        let receiving = self.files.get(file).and_then(Entry::receiving);
        let download = receiving.and_then(|receiving| receiving.incoming.download());
        receiving.is_some() && !download.is_some_and(|download| download.has_manifest())
    }

    /// Chunks of a complete file turned out to be damaged.
    pub(super) fn lose(&mut self, file: FileId, held: &ChunkSet) {
        let Some(entry) = self.files.get_mut(&file) else { return };
        let incoming =
            Incoming::new(self.library.store.clone(), entry.content, entry.layout, self.trees.clone());
        entry.stage = Stage::Receiving(Box::new(Receiving::new(incoming)));
        let chunks = held.missing().collect();
        self.tell(Input::Lost { file, chunks });
    }

    /// Drops everything about a file.
    pub(super) fn forget(&mut self, file: FileId) {
        if self.files.get(&file).is_some() {
            self.tell(Input::FileRemoved { file });
            self.files.remove(&file);
            self.received.forget(file);
            self.show_problem();
        }
    }

    /// Keeps the number of complete files that are known within its bound.
    pub(super) fn evict(&mut self, stored: FileId) {
        if let Some(oldest) = self.files.note_stored(stored) {
            self.forget(oldest);
        }
    }
}
