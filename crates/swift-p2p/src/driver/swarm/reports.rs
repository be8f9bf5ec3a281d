//! What others are told: who holds a file, and what is wrong.

use std::collections::BTreeSet;

use swift_chain::NodeId;
use swift_chunks::FileId;
use tokio::{
    sync::oneshot,
    task,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{
    copies::{FileCopies, Saying},
    events::Event,
    files::Stage,
    owner::Owner,
    survey::{FILES_MAX, PATIENCE, QUESTIONS_MAX},
};
use crate::swarm::{
    Input,
    message::{Holdings, Interest},
};

impl Owner {
    /// Notes why nothing of a file can be stored. Said once, until something can be again.
    pub(super) fn block(&mut self, file: FileId, detail: String) {
        let Some(receiving) = self.files.receiving_mut(&file) else { return };
        if receiving.blocked.is_none() {
            warn!(%file, reason = detail, "a file cannot be stored; trying again until it can");
        }
        receiving.blocked = Some(detail);
        self.show_problem();
    }

    pub(super) fn unblock(&mut self, file: FileId) {
        let Some(receiving) = self.files.receiving_mut(&file) else { return };
        if receiving.blocked.take().is_some() {
            info!(%file, "the file can be stored again");
            self.show_problem();
        }
    }

    pub(super) fn show_problem(&self) {
        let receiving = self.files.iter().filter_map(|(_, entry)| entry.receiving());
        let problem = receiving.filter_map(|receiving| receiving.blocked.clone()).min();
        self.status.send_if_modified(|status| {
            let is_new = status.problem != problem;
            status.problem = problem;
            is_new
        });
    }

    /// Asks everybody about files; those that are not live here are passed over.
    pub(super) fn survey(&mut self, files: Vec<FileId>, is_new_only: bool, reply: oneshot::Sender<()>) {
        let now = Instant::now();
        let room = FILES_MAX.min(QUESTIONS_MAX / self.online.len().max(1));
        let is_due = |file: &FileId| {
            self.swarm.progress(file).is_some() && !(is_new_only && self.copies.is_fresh(file, now))
        };
        let files: BTreeSet<FileId> = files.into_iter().filter(is_due).take(room).collect();
        if self.online.is_empty() || files.is_empty() {
            // Who asked may be gone.
            let _ = reply.send(());
            return;
        }
        let id = self.surveys.open(files.clone(), &self.online, reply);
        for file in files {
            self.copies.note_asked(file, now);
            self.tell(Input::Survey { file });
        }
        let events = self.events.clone();
        task::spawn(async move {
            sleep(PATIENCE).await;
            let _ = events.send(Event::SurveyOver { id });
        });
    }

    /// Who holds all of a file, as far as known.
    pub(super) fn copies_of(&self, file: &FileId) -> FileCopies {
        let mut copies = self.copies.of(file, &self.online);
        if self.files.get(file).is_some_and(|entry| matches!(entry.stage, Stage::Stored)) {
            copies.complete.push(self.me);
        }
        copies.complete.sort_unstable();
        copies
    }

    /// A member that says it has no whole copy is no holder, whatever it said before. That it is one, the machine says.
    pub(super) fn note_holdings(&mut self, peer: NodeId, holdings: &Holdings) {
        for holding in &holdings.holdings {
            let saying = match holding.map.as_ref().map(|map| map.interest) {
                Some(Interest::Complete) => continue,
                Some(Interest::Unwanted | Interest::Reading) => Some(Saying::NotKept),
                Some(Interest::Wanted) | None => None,
            };
            if self.files.get(&holding.file).is_some() {
                self.copies.note(holding.file, peer, saying);
            }
        }
    }
}
