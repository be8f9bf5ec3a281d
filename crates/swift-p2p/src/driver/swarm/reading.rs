//! Reading a file that this node does not keep: it is on its way here for as long as somebody reads it, and no further
//! than that takes.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use swift_chunks::{ChunkIndex, ChunkSet, ContentRef, FileId, Grains, StoreError};
use tokio::sync::oneshot;
use tracing::warn;

use super::{
    arriving::Arriving,
    events::Event,
    files::{Disk, Entry, Receiving, Stage},
    incoming::Incoming,
    owner::Owner,
};
use crate::swarm::{Input, Want};

/// Who wants to read, and waits until there is room for what is to come.
pub(super) type Reply = oneshot::Sender<Result<Option<Arriving>, StoreError>>;

/// What is durable of a file when somebody begins to read it.
pub(super) type Durable = (ChunkSet, Vec<(ChunkIndex, Grains)>);

/// Contents that are not on their way any more, and for which room is still set aside.
pub(super) type Leaving = BTreeMap<FileId, ContentRef>;

impl Receiving {
    /// What the machine is to fetch.
    pub(super) fn want(&self) -> Want {
        if self.is_kept { Want::Wanted } else { Want::Reading }
    }

    /// Whether nothing is at work with what has come.
    fn is_settled(&self) -> bool {
        !self.is_finish_due && self.disk == Disk::Idle && !self.has_pending()
    }
}

impl Owner {
    /// The file for somebody who reads it while it comes. One that is not kept begins to come, where it is said what is
    /// wanted of it.
    pub(super) fn read(&mut self, file: FileId, wanted: Option<Vec<Range<u64>>>, reply: Reply) {
        let unwanted = self.files.get_mut(&file).filter(|entry| matches!(entry.stage, Stage::Unwanted));
        let Some(entry) = unwanted.filter(|_| wanted.is_some()) else {
            // Who asked may be gone.
            drop(reply.send(Ok(self.arriving(file))));
            return;
        };
        let (content, layout, readers) = (entry.content, entry.layout, entry.readers.clone());
        let incoming =
            Incoming::new(self.library.store.clone(), content, layout, self.trees.clone(), readers, wanted);
        entry.stage = Stage::Receiving(Box::new(Receiving::new(incoming.clone(), false)));
        self.leaving.remove(&file);
        let Some(arriving) = self.arriving(file) else { return };
        let events = self.events.clone();
        self.work.spawn_blocking(move || {
            let durable =
                incoming.open().map(|download| (download.held(), download.part_reader().open_chunks()));
            drop(incoming);
            let _ = events.send(Event::ReadBegun { arriving, durable, reply });
        });
    }

    /// Room for the file is set aside, or there is none.
    pub(super) fn on_read_begun(
        &mut self,
        arriving: Arriving,
        durable: Result<Durable, StoreError>,
        reply: Reply,
    ) {
        let file = arriving.file();
        let receiving =
            self.files.receiving_mut(&file).filter(|receiving| arriving.is_of(&receiving.incoming));
        match (durable, receiving) {
            (Ok((held, parts)), Some(receiving)) => {
                receiving.is_finish_due = held.is_full();
                let want = receiving.want();
                if held.is_full() {
                    self.drive_disk(file);
                } else if let Some(publisher) = self.files.get(&file).map(|entry| entry.publisher) {
                    self.tell(Input::FileAdded { file, publisher, held, parts, want });
                    self.tell_urgency(file);
                }
                drop(reply.send(Ok(Some(arriving))));
            }
            // It is here, or gone from the ledger: a reader finds out.
            (Ok(_), None) => drop(reply.send(Ok(Some(arriving)))),
            (Err(error), receiving) => {
                let is_kept = receiving.is_none_or(|receiving| receiving.is_kept);
                drop(arriving);
                drop(reply.send(Err(error)));
                if !is_kept {
                    self.stop_wanting(file);
                }
            }
        }
    }

    /// A file that was only read is kept from now on, and fetched whole.
    pub(super) fn keep_on(&mut self, file: FileId) {
        self.turn(file, true);
    }

    /// A file that was on its way is not kept any more. Who reads it reads on.
    pub(super) fn stop_keeping(&mut self, file: FileId) {
        if self.files.get(&file).is_some_and(|entry| entry.readers.is_quiet()) {
            return self.stop_wanting(file);
        }
        self.turn(file, false);
    }

    fn turn(&mut self, file: FileId, is_kept: bool) {
        let Some(entry) = self.files.get_mut(&file) else { return };
        let (publisher, held) = (entry.publisher, ChunkSet::empty(entry.layout));
        let Some(receiving) = entry.receiving_mut().filter(|receiving| !receiving.is_finish_due) else {
            return;
        };
        receiving.is_kept = is_kept;
        let want = receiving.want();
        self.tell(Input::FileAdded { file, publisher, held, parts: Vec::new(), want });
        self.tell_urgency(file);
    }

    /// Ends what nobody has read for a while: what is durable of it stays until it is let go of.
    pub(super) fn end_quiet_reads(&mut self) {
        let is_over = |entry: &Entry| {
            let is_read_only = |receiving: &Receiving| !receiving.is_kept && receiving.is_settled();
            entry.receiving().is_some_and(is_read_only) && entry.readers.is_quiet()
        };
        let over: Vec<FileId> =
            self.files.iter().filter(|(_, entry)| is_over(entry)).map(|(&file, _)| file).collect();
        over.into_iter().for_each(|file| self.stop_wanting(file));
        self.give_back_room();
    }

    /// Gives back the room for what is not to come any more.
    fn give_back_room(&mut self) {
        let leaving = std::mem::take(&mut self.leaving);
        if leaving.is_empty() {
            return;
        }
        let (store, events) = (self.library.store.clone(), self.events.clone());
        self.work.spawn_blocking(move || {
            let is_in_use = |content: &ContentRef| match store.give_back_room(content) {
                Ok(is_given) => !is_given,
                Err(error) => {
                    warn!(file = %content.file_id, %error, "room that was set aside is not given back yet; trying again");
                    true
                }
            };
            let left = leaving.into_iter().filter(|(_, content)| is_in_use(content)).collect();
            drop(store);
            let _ = events.send(Event::RoomLeft { left });
        });
    }

    pub(super) fn on_room_left(&mut self, mut left: Leaving) {
        left.retain(|file, _| self.files.get(file).and_then(Entry::receiving).is_none());
        self.leaving.append(&mut left);
    }
}

impl Arriving {
    /// Whether this is what it reads.
    fn is_of(&self, incoming: &Arc<Incoming>) -> bool {
        Arc::ptr_eq(self.incoming(), incoming)
    }
}
