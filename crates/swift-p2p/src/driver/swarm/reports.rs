//! What others are told: who holds a file, how far files are, what is wrong.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use swift_chain::NodeId;
use swift_chunks::{CHUNK_LEN, FileId};
use tokio::{sync::oneshot, task, time::sleep};
use tracing::{info, warn};

use super::{
    events::Event,
    files::{Entry, Stage},
    handle::{TransferStage, TransferState},
    owner::Owner,
    survey::{PATIENCE, Surveyed},
};
use crate::swarm::{
    Input,
    message::{Holdings, Interest},
};

/// Rows of transfers that are shown.
const TRANSFERS_SHOWN_MAX: usize = 1000;

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

    pub(super) fn transfers(&self) -> Vec<TransferState> {
        let unfinished = self.files.iter().filter(|(_, entry)| !matches!(entry.stage, Stage::Stored));
        let mut rows: Vec<TransferState> =
            unfinished.take(TRANSFERS_SHOWN_MAX).map(|(&file, entry)| self.transfer(file, entry)).collect();
        rows.sort_unstable_by_key(|row| row.file);
        rows
    }

    pub(super) fn transfer(&self, file: FileId, entry: &Entry) -> TransferState {
        let total_bytes = entry.content.len;
        let running = self.fetches.iter().filter(|((_, of, _), _)| *of == file);
        let (mut peers, mut arriving) = (BTreeSet::new(), 0);
        for ((from, ..), running) in running {
            peers.insert(*from);
            arriving += running.arrived.load(Ordering::Relaxed).min(CHUNK_LEN);
        }
        let progress = self.swarm.progress(&file);
        let held = progress.map_or(total_bytes, |progress| u64::from(progress.held) * CHUNK_LEN);
        let receiving = entry.receiving();
        let is_moving = !peers.is_empty()
            || progress.is_some_and(|progress| progress.coming > 0)
            || receiving.is_some_and(|receiving| receiving.is_finish_due);
        let (stage, detail) = match (&entry.stage, receiving.and_then(|receiving| receiving.blocked.clone()))
        {
            (Stage::Abandoned, _) => {
                let detail = format!("its manifest is false: node {} published a lie", entry.publisher);
                (TransferStage::Blocked, Some(detail))
            }
            (_, Some(detail)) => (TransferStage::Blocked, Some(detail)),
            _ if is_moving => (TransferStage::Receiving, None),
            _ => (TransferStage::Waiting, None),
        };
        let done_bytes = (held + arriving).min(total_bytes);
        TransferState { file, done_bytes, total_bytes, peers: peers.into_iter().collect(), stage, detail }
    }
}
