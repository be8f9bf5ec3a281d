//! Questions of this node's clients to everybody: who has whole copies of these files?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use swift_chain::NodeId;
use swift_chunks::FileId;
use tokio::sync::oneshot;

/// How long the answers of peers are awaited.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Files of one survey.
pub(super) const FILES_MAX: usize = 512;
/// Questions of one survey: files times peers.
pub(super) const QUESTIONS_MAX: usize = 16_384;

/// Surveys under way.
#[derive(Default)]
pub(super) struct Surveys {
    open: BTreeMap<u64, Survey>,
    next: u64,
}

struct Survey {
    files: BTreeSet<FileId>,
    /// Peers that have not answered about all files, and about how many they have not.
    missing: BTreeMap<NodeId, usize>,
    reply: oneshot::Sender<()>,
}

impl Surveys {
    /// Opens a survey and gives its number.
    pub(super) fn open(
        &mut self,
        files: BTreeSet<FileId>,
        peers: &BTreeSet<NodeId>,
        reply: oneshot::Sender<()>,
    ) -> u64 {
        let id = self.next;
        self.next += 1;
        let missing = peers.iter().map(|&peer| (peer, files.len())).collect();
        self.open.insert(id, Survey { files, missing, reply });
        id
    }

    /// A peer has answered about files, or will not.
    pub(super) fn answered(&mut self, by: NodeId, asked: &[FileId]) {
        for survey in self.open.values_mut() {
            let answered = asked.iter().filter(|file| survey.files.contains(file)).count();
            if let Some(left) = survey.missing.get_mut(&by) {
                *left = left.saturating_sub(answered);
                if *left == 0 {
                    survey.missing.remove(&by);
                }
            }
        }
        self.close_answered();
    }

    /// A peer has gone.
    pub(super) fn gone(&mut self, peer: NodeId) {
        self.open.values_mut().for_each(|survey| _ = survey.missing.remove(&peer));
        self.close_answered();
    }

    pub(super) fn close(&mut self, id: u64) {
        if let Some(survey) = self.open.remove(&id) {
            // Who asked may be gone.
            let _ = survey.reply.send(());
        }
    }

    fn close_answered(&mut self) {
        let over = self.open.iter().filter(|(_, survey)| survey.missing.is_empty());
        let over: Vec<u64> = over.map(|(&id, _)| id).collect();
        over.into_iter().for_each(|id| self.close(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_is_over_when_everybody_has_answered_about_everything_or_gone() {
        let node = |number| NodeId::from_bytes([number; 32]);
        let file = |number| FileId::from_bytes([number; 32]);
        let mut surveys = Surveys::default();
        let (reply, mut over) = oneshot::channel();
        surveys.open(BTreeSet::from([file(1), file(2)]), &BTreeSet::from([node(1), node(2)]), reply);
        surveys.answered(node(1), &[file(1), file(9)]);
        surveys.answered(node(3), &[file(1), file(2)]);
        surveys.gone(node(2));
        assert!(over.try_recv().is_err());
        surveys.answered(node(1), &[file(2)]);
        assert_eq!(over.try_recv(), Ok(()));
    }
}
