//! Questions of this node's clients: who has a whole copy of a file?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use swift_chain::NodeId;
use swift_chunks::FileId;
use tokio::sync::oneshot;

/// How long the answers of peers are awaited.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Surveys under way.
#[derive(Default)]
pub(super) struct Surveys {
    open: BTreeMap<u64, Survey>,
    next: u64,
}

struct Survey {
    file: FileId,
    /// Peers that have not answered.
    missing: BTreeSet<NodeId>,
    replies: Vec<oneshot::Sender<Vec<NodeId>>>,
}

/// A survey that is over.
pub(super) struct Surveyed {
    pub(super) file: FileId,
    pub(super) replies: Vec<oneshot::Sender<Vec<NodeId>>>,
}

impl Surveys {
    /// Joins the open survey of the file, or opens one and returns its number.
    pub(super) fn join(
        &mut self,
        file: FileId,
        peers: &BTreeSet<NodeId>,
        reply: oneshot::Sender<Vec<NodeId>>,
    ) -> Option<u64> {
        if let Some(survey) = self.open.values_mut().find(|survey| survey.file == file) {
            survey.replies.push(reply);
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.open.insert(id, Survey { file, missing: peers.clone(), replies: vec![reply] });
        Some(id)
    }

    /// A peer has answered about files, or will not. Returns what is over by that.
    pub(super) fn answered(&mut self, by: NodeId, files: &[FileId]) -> Vec<Surveyed> {
        let mut over = Vec::new();
        for (&id, survey) in &mut self.open {
            if files.contains(&survey.file) {
                survey.missing.remove(&by);
            }
            if survey.missing.is_empty() {
                over.push(id);
            }
        }
        over.into_iter().filter_map(|id| self.close(id)).collect()
    }

    /// A peer has gone.
    pub(super) fn gone(&mut self, peer: NodeId) -> Vec<Surveyed> {
        let files: Vec<FileId> = self.open.values().map(|survey| survey.file).collect();
        self.answered(peer, &files)
    }

    pub(super) fn close(&mut self, id: u64) -> Option<Surveyed> {
        let survey = self.open.remove(&id)?;
        Some(Surveyed { file: survey.file, replies: survey.replies })
    }
}
