//! Which files the machine is told of: what blocks name, what the store wants, and what somebody asks for.

use std::collections::HashSet;

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
                let is_kept = |entry: &Entry| entry.receiving().is_some_and(|receiving| receiving.is_kept);
                let known = self.files.iter().filter(|(_, entry)| is_kept(entry));
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

    /// Looks up again what is known, or one file, because what is kept has changed.
    pub(super) fn look_again(&mut self, file: Option<FileId>) {
        let known = || self.files.iter().map(|(&file, _)| file).collect();
        self.library.look_again(file.map_or_else(known, |file| vec![file]), &self.work, &self.events);
        if file.is_none() {
            self.look_for_others();
        }
    }

    /// Takes in what blocks name. Of what is not kept, and not here, nothing need be known before somebody asks.
    pub(super) fn take_new(&mut self, mut found: Vec<Found>) {
        found.retain(|Found { file, live }| {
            let is_something = |live: &Live| live.is_kept || live.is_complete || !live.held.is_empty();
            live.as_ref().is_none_or(is_something) || self.files.get(file).is_some()
        });
        self.take_all(found);
    }

    pub(super) fn take_all(&mut self, found: Vec<Found>) {
        let mut receiving = self.files.receiving_len();
        for Found { file, live } in found {
            match live {
                None => {
                    self.forget(file);
                    self.forget_priority(file);
                    self.copies.forget(&file);
                }
                Some(live) if live.is_complete || !live.is_kept || receiving < WANTED_MAX => {
                    receiving += usize::from(live.is_kept && !live.is_complete);
                    self.take(file, live);
                }
                Some(_) => self.is_more_wanted = true,
            }
        }
    }

    /// A file that a live name means, as it was a moment ago.
    pub(super) fn take(&mut self, file: FileId, live: Live) {
        let Live { publisher, content, held, parts, is_complete, is_kept } = live;
        let known = self.files.get(&file).map(|entry| (entry.content == content, &entry.stage));
        match known {
            Some((true, Stage::Receiving(receiving))) if !is_complete && is_kept == receiving.is_kept => {
                return;
            }
            Some((true, Stage::Receiving(_))) if !is_complete && is_kept => return self.keep_on(file),
            Some((true, Stage::Receiving(_))) if !is_complete => return self.stop_keeping(file),
            Some((true, Stage::Unwanted)) if !is_complete && !is_kept => return,
            Some((true, Stage::Stored)) if is_complete => return,
            Some((true, Stage::Abandoned)) => return,
            Some((true, Stage::Stored)) => return self.lose(file, held, is_kept),
            // Published here under another name meanwhile.
            Some((true, Stage::Receiving(_) | Stage::Unwanted)) if is_complete => {
                return self.note_stored(file);
            }
            // Kept from now on: as if it had not been known.
            Some((true, Stage::Receiving(_) | Stage::Unwanted)) => _ = self.leaving.remove(&file),
            // The same bytes under another manifest.
            Some((false, _)) => self.forget(file),
            None => {}
        }
        let layout = held.layout();
        let readers = self.files.get(&file).map(|entry| entry.readers.clone()).unwrap_or_default();
        let entry = |stage, readers| Entry { publisher, content, layout, stage, readers };
        if is_complete {
            self.files.insert(file, entry(Stage::Stored, readers));
            self.tell(Input::FileAdded { file, publisher, held, parts: Vec::new(), want: Want::Wanted });
            return self.limit_resting(file);
        }
        if !is_kept {
            self.files.insert(file, entry(Stage::Unwanted, readers));
            self.tell(Input::FileAdded { file, publisher, held, parts: Vec::new(), want: Want::Unwanted });
            return self.limit_resting(file);
        }
        let store = self.library.store.clone();
        let incoming = Incoming::new(store, content, layout, self.trees.clone(), readers.clone(), None);
        let mut receiving = Box::new(Receiving::new(incoming, true));
        receiving.is_finish_due = held.is_full();
        self.files.insert(file, entry(Stage::Receiving(receiving), readers));
        if held.is_full() {
            // Nothing to fetch: it is empty, or a stop came between its last chunk and its name.
            self.drive_disk(file);
        } else {
            self.tell(Input::FileAdded { file, publisher, held, parts, want: Want::Wanted });
            self.tell_urgency(file);
        }
    }

    /// Whether nothing of a file has come under the manifest it is fetched with.
    pub(super) fn has_only_doubt(&self, file: &FileId) -> bool {
        let receiving = self.files.get(file).and_then(Entry::receiving);
        let download = receiving.and_then(|receiving| receiving.incoming.download());
        receiving.is_some() && !download.is_some_and(|download| download.has_manifest())
    }

    /// A complete file is not whole any more: chunks turned out to be damaged, or it was let go of.
    pub(super) fn lose(&mut self, file: FileId, held: ChunkSet, is_kept: bool) {
        let Some(entry) = self.files.get_mut(&file) else { return };
        if is_kept {
            let (store, readers) = (self.library.store.clone(), entry.readers.clone());
            let incoming =
                Incoming::new(store, entry.content, entry.layout, self.trees.clone(), readers, None);
            entry.stage = Stage::Receiving(Box::new(Receiving::new(incoming, true)));
            let chunks = held.missing().collect();
            return self.tell(Input::Lost { file, chunks });
        }
        let publisher = entry.publisher;
        entry.stage = Stage::Unwanted;
        // Others are told that this copy does not count any more; what is left of it can still be had.
        self.tell(Input::Evicted { file });
        self.tell(Input::FileAdded { file, publisher, held, parts: Vec::new(), want: Want::Unwanted });
    }

    /// A file that was on its way is not kept any more: what is durable of it stays, and nothing more is fetched.
    pub(super) fn stop_wanting(&mut self, file: FileId) {
        let Some(entry) = self.files.get_mut(&file) else { return };
        let (publisher, layout, content) = (entry.publisher, entry.layout, entry.content);
        if entry.receiving().is_none_or(|receiving| receiving.is_finish_due) {
            // Everything is here and being put in its place: it goes as complete files do.
            return;
        }
        let Stage::Receiving(receiving) = std::mem::replace(&mut entry.stage, Stage::Unwanted) else {
            return;
        };
        let held = ChunkSet::empty(layout);
        self.tell(Input::FileAdded { file, publisher, held, parts: Vec::new(), want: Want::Unwanted });
        let mut chunks = receiving.incoming.close();
        chunks.extend(receiving.pending);
        if !chunks.is_empty() {
            self.tell(Input::Lost { file, chunks });
        }
        self.received.forget(file);
        self.leaving.insert(file, content);
        self.show_problem();
        self.limit_resting(file);
    }

    /// Drops everything about a file.
    pub(super) fn forget(&mut self, file: FileId) {
        if self.files.get(&file).is_some() {
            self.tell(Input::FileRemoved { file });
            let gone = self.files.remove(&file);
            self.received.forget(file);
            if let Some(receiving) = gone.as_ref().and_then(Entry::receiving) {
                // Who still reads it must not keep its download open.
                receiving.incoming.close();
                self.show_problem();
            }
        }
    }

    /// Keeps the number of files at rest that are known within its bound.
    pub(super) fn limit_resting(&mut self, file: FileId) {
        if let Some(oldest) = self.files.note_resting(file) {
            self.forget(oldest);
        }
    }
}
