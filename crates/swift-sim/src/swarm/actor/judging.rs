//! What must hold in every step: apart from the books, which only count.

use swift_p2p::swarm::OffenceKind;

use super::Actor;
use crate::swarm::{
    books::Claim,
    machine::{Piece, Report},
    node::{place_of, place_of_file},
};

/// Sources of one piece at once.
const RACERS_MAX: usize = 2;

impl Actor<'_> {
    pub(super) fn violate(&mut self, what: String) {
        self.node.account.violate(self.now, what);
    }

    /// After every step of a machine.
    pub(super) fn judge_step(&mut self) {
        let (at, node) = (self.node.at, &*self.node);
        let Some(machine) = &node.machine else { return };
        if !machine.is_within_credit(|| node.unsent()) {
            self.violate(format!("node {at} has more sends open than its credit"));
        } else if !machine.is_within_fetches(node.fetching.len()) {
            self.violate(format!("node {at} has more fetches open than it may"));
        }
    }

    /// A piece is requested: nothing of it may be here already.
    pub(super) fn judge_request(&mut self, file: usize, piece: Piece) {
        self.books.letters.requests += 1;
        if self.node.account.copies[file].holds_some(piece) {
            self.books.refetched += 1;
            self.violate(format!("node {} requested {piece:?} of file {file}, which it has", self.node.at));
        }
    }

    /// After a request.
    pub(super) fn judge_fetch(&mut self, from: usize, file: usize, piece: Piece) {
        let all = self.node.fetching.iter().map(|(_, incoming)| incoming);
        let of_piece = all.filter(|it| (it.file, it.piece) == (file, piece));
        let (mut sources, mut of_source) = (0, 0);
        for incoming in of_piece {
            sources += 1;
            of_source += usize::from(incoming.from == from);
        }
        if sources > RACERS_MAX || of_source > 1 {
            let at = self.node.at;
            self.violate(format!(
                "node {at} fetches {piece:?} of file {file} {sources} times, {of_source} from {from}"
            ));
        }
    }

    /// A piece arrived and is as it should be.
    pub(super) fn judge_piece(&mut self, file: usize, piece: Piece) {
        self.books.delivered += 1;
        if self.node.account.copies[file].holds_some(piece) {
            self.books.refetched += 1;
            self.violate(format!("node {} verified {piece:?} of file {file} twice", self.node.at));
        }
        self.node.account.copies[file].add(piece);
    }

    /// The machine says that a file is all here.
    pub(super) fn judge_completion(&mut self, file: usize) {
        let at = self.node.at;
        let copy = &mut self.node.account.copies[file];
        let is_whole = copy.is_whole();
        if copy.completed_at.replace(self.now).is_some() {
            return self.violate(format!("node {at} completed file {file} twice"));
        }
        if !is_whole {
            self.violate(format!("node {at} completed file {file} without all of its bytes"));
        }
        if !self.scene.plan.is_true(file) {
            return self.violate(format!("node {at} completed file {file}, whose manifest is false"));
        }
        self.books.completed += usize::from(self.scene.plan.is_counted(at));
    }

    /// What the machine has noticed must be true.
    pub(super) fn judge_report(&mut self, report: Report) {
        match report {
            Report::HeldBy { peer, file } => self.judge_copy(place_of(&peer), place_of_file(&file)),
            Report::Abandoned { file, publisher } => {
                self.books.abandoned += 1;
                let (file, publisher) = (place_of_file(&file), place_of(&publisher));
                if self.scene.plan.is_true(file) || publisher != 0 {
                    let at = self.node.at;
                    self.violate(format!("node {at} gave up file {file} and blames node {publisher}"));
                }
            }
            Report::Offence { peer, kind } => self.judge_offence(place_of(&peer), kind),
        }
    }

    /// Whether the other has a copy is looked at when it stands still.
    fn judge_copy(&mut self, holder: usize, file: usize) {
        if !self.scene.conduct(holder).is_honest() {
            return;
        }
        if holder > 0 {
            self.books.claims.push(Claim { told_at: self.now, told: self.node.at, holder, file });
        }
        if self.node.at == 0 {
            self.books.copies_known.insert((file, holder));
        }
    }

    /// Whoever is blamed has deserved it: it is not honest, or was away, when it could not keep its word.
    fn judge_offence(&mut self, peer: usize, kind: OffenceKind) {
        let offences = &mut self.books.offences;
        let (count, is_silence) = match kind {
            OffenceKind::WrongBytes { .. } => (&mut offences.wrong_bytes, false),
            OffenceKind::NotThere { .. } => (&mut offences.not_there, true),
            OffenceKind::Stalled { .. } => (&mut offences.stalled, true),
            OffenceKind::Malformed => (&mut offences.malformed, false),
        };
        *count += 1;
        let was_away = |node: usize| self.scene.members[node].was_away;
        let is_excused = is_silence && (was_away(self.node.at) || was_away(peer));
        if self.scene.conduct(peer).is_honest() && !is_excused {
            let at = self.node.at;
            self.violate(format!("node {at} blames node {peer}, which is honest: {kind:?}"));
        }
    }
}
