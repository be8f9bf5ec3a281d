//! What others are told: who holds a file, and what is wrong.

use std::collections::BTreeSet;

use swift_chain::NodeId;
use swift_chunks::FileId;
use tokio::{sync::oneshot, task, time::sleep};
use tracing::{info, warn};

use super::{
    events::Event,
    files::Stage,
    owner::Owner,
    survey::{PATIENCE, Surveyed},
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

    pub(super) fn survey(&mut self, file: FileId, reply: oneshot::Sender<Vec<NodeId>>) {
        let Some(id) = self.surveys.join(file, &self.online, reply) else { return };
        if self.online.is_empty() || self.swarm.progress(&file).is_none() {
            let over = self.surveys.close(id);
            return self.report(over);
        }
        self.tell(Input::Survey { file });
        let events = self.events.clone();
        task::spawn(async move {
            sleep(PATIENCE).await;
            let _ = events.send(Event::SurveyOver { id });
        });
    }

    /// Others that have said that they hold all of a file, and can be reached.
    pub(super) fn known_holders(&self, file: &FileId) -> Vec<NodeId> {
        let entry = self.files.get(file);
        entry.into_iter().flat_map(|entry| entry.holders.intersection(&self.online)).copied().collect()
    }

    /// Answers those who asked for copies.
    pub(super) fn report(&self, over: impl IntoIterator<Item = Surveyed>) {
        for Surveyed { file, replies } in over {
            let entry = self.files.get(&file);
            let mine = entry.is_some_and(|entry| matches!(entry.stage, Stage::Stored)).then_some(self.me);
            let others = entry.into_iter().flat_map(|entry| entry.holders.intersection(&self.online));
            let complete: BTreeSet<NodeId> = others.copied().chain(mine).collect();
            for reply in replies {
                // Who asked may be gone.
                let _ = reply.send(complete.iter().copied().collect());
            }
        }
    }

    /// A member that says it has no whole copy is no holder, whatever it said before.
    pub(super) fn forget_holder(&mut self, peer: NodeId, holdings: &Holdings) {
        for holding in &holdings.holdings {
            let is_holder = holding.map.as_ref().is_some_and(|map| map.interest == Interest::Complete);
            if let Some(entry) = self.files.get_mut(&holding.file).filter(|_| !is_holder) {
                entry.holders.remove(&peer);
            }
        }
    }
}
