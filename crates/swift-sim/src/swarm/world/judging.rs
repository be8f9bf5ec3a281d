//! What must hold in every step and at the end: apart from the books, which only count.

use super::World;
use crate::swarm::{
    machine::{Piece, Report},
    node::{place_of, place_of_file},
};
use swift_p2p::swarm::OffenceKind;

/// Sources of one piece at once.
const RACERS_MAX: usize = 2;

impl World {
    /// After every step of a machine.
    pub(super) fn judge_step(&mut self, at: usize) {
        let node = &self.nodes[at];
        let Some(machine) = &node.machine else { return };
        if !machine.is_within_credit(node.serving.len()) {
            self.books.violate(self.now, &format!("node {at} has more sends open than its credit"));
        } else if !machine.is_within_fetches(node.fetching.len()) {
            self.books.violate(self.now, &format!("node {at} has more fetches open than it may"));
        }
    }

    /// After a request.
    pub(super) fn judge_fetch(&mut self, at: usize, from: usize, file: usize, piece: Piece) {
        let of_piece = self.nodes[at].fetching.iter().filter(|it| (it.file, it.piece) == (file, piece));
        let (mut sources, mut of_source) = (0, 0);
        for fetching in of_piece {
            sources += 1;
            of_source += usize::from(fetching.from == from);
        }
        if sources > RACERS_MAX || of_source > 1 {
            let what = format!(
                "node {at} fetches {piece:?} of file {file} {sources} times, {of_source} from {from}"
            );
            self.books.violate(self.now, &what);
        }
    }

    /// What a machine has noticed must be true.
    pub(super) fn judge_report(&mut self, at: usize, report: Report) {
        match report {
            Report::HeldBy { peer, file } => self.judge_copy(at, place_of(&peer), place_of_file(&file)),
            Report::Abandoned { file, publisher } => {
                self.books.abandoned += 1;
                let (file, publisher) = (place_of_file(&file), place_of(&publisher));
                if self.plan.is_true(file) || publisher != 0 {
                    let what = format!("node {at} gave up file {file} and blames node {publisher}");
                    self.books.violate(self.now, &what);
                }
            }
            Report::Offence { peer, kind } => self.judge_offence(at, place_of(&peer), kind),
        }
    }

    fn judge_copy(&mut self, at: usize, peer: usize, file: usize) {
        let is_honest = self.plan.conduct(peer).is_honest();
        if peer > 0 && is_honest && !self.books.is_complete(peer, file) {
            let what = format!("node {at} was told of a copy of file {file} on node {peer}, which has none");
            self.books.violate(self.now, &what);
        }
        if at == 0 && is_honest {
            self.books.copies_known.insert((file, peer));
        }
    }

    /// Whoever is blamed has deserved it: it is not honest, or was away, when it could not keep its word.
    fn judge_offence(&mut self, at: usize, peer: usize, kind: OffenceKind) {
        let offences = &mut self.books.offences;
        let (count, is_silence) = match kind {
            OffenceKind::WrongBytes { .. } => (&mut offences.wrong_bytes, false),
            OffenceKind::NotThere { .. } => (&mut offences.not_there, true),
            OffenceKind::Stalled { .. } => (&mut offences.stalled, true),
            OffenceKind::Malformed => (&mut offences.malformed, false),
        };
        *count += 1;
        let was_away = |node: usize| self.nodes[node].was_away;
        let is_excused = is_silence && (was_away(at) || was_away(peer));
        if self.plan.conduct(peer).is_honest() && !is_excused {
            self.books.violate(self.now, &format!("node {at} blames node {peer}, which is honest: {kind:?}"));
        }
    }

    /// When nothing is due any more, or time is up.
    pub(super) fn judge_end(&mut self) {
        if self.books.wanting() > 0 {
            let what = format!("{} copies are not complete{}", self.books.wanting(), self.what_is_lost());
            self.books.violate(self.now, &what);
        } else if self.transfers.len() > 0 {
            let what = format!("{} transfers are left", self.transfers.len());
            self.books.violate(self.now, &what);
        }
    }

    /// Says so if some bytes are nowhere any more.
    fn what_is_lost(&self) -> String {
        let is_on = |&at: &usize| self.nodes[at].machine.is_some() && self.plan.conduct(at).is_honest();
        let on: Vec<usize> = (0..self.nodes.len()).filter(is_on).collect();
        let files = (0..self.files.len()).filter(|&file| self.plan.is_true(file));
        let lost: u64 = files.map(|file| self.plan.size_of(file) - self.books.obtainable(&on, file)).sum();
        if lost == 0 { String::new() } else { format!(": {lost} bytes are on no node that is there") }
    }
}
