//! What is counted, and what must hold: kept apart from the machines, which it judges.

use swift_chunks::ChunkLayout;

use super::{
    clock::Moment,
    machine::{self, GRAIN_LEN, Letter, Piece, Report, Verdicts},
};

/// Violations that are told; the rest is counted.
const TOLD_MAX: usize = 20;

/// What one node has of one file.
#[derive(Clone, Debug)]
struct Copy {
    /// A bit per grain that is verified here.
    grains: Vec<u64>,
    verified: u64,
    completed_at: Option<Moment>,
}

/// Everything that is counted in a run.
#[derive(Debug)]
pub(crate) struct Books {
    layouts: Vec<ChunkLayout>,
    /// By node, then by file.
    copies: Vec<Vec<Copy>>,
    pub(crate) nodes: Vec<Account>,
    pub(crate) letters: Letters,
    pub(crate) verdicts: Verdicts,
    pub(crate) delivered: u64,
    pub(crate) cancelled: u64,
    pub(crate) refetched: u64,
    pub(crate) offences: u64,
    pub(crate) abandoned: u64,
    wanting: usize,
    pub(crate) violations: Vec<String>,
    pub(crate) violation_count: u64,
}

/// What one node did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// Bytes of content that left.
    pub(crate) sent: u64,
    /// Bytes of letters that left.
    pub(crate) letters_sent: u64,
    pub(crate) last_completed: Option<Moment>,
}

/// Letters by kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Letters {
    pub(crate) offers: u64,
    pub(crate) answers: u64,
    pub(crate) requests: u64,
    pub(crate) confirms: u64,
    pub(crate) questions: u64,
    pub(crate) holdings: u64,
    pub(crate) announcements: u64,
}

impl Letters {
    pub(crate) fn count(&mut self, letter: &Letter) {
        let kind = match letter {
            Letter::Offer(..) => &mut self.offers,
            Letter::Answer(..) => &mut self.answers,
            Letter::Confirm(_) => &mut self.confirms,
            Letter::WhoHas(_) => &mut self.questions,
            Letter::Holdings(_) => &mut self.holdings,
            Letter::Announce(_) => &mut self.announcements,
        };
        *kind += 1;
    }

    pub(crate) fn all(&self) -> u64 {
        let Self { offers, answers, requests, confirms, questions, holdings, announcements } = self;
        offers + answers + requests + confirms + questions + holdings + announcements
    }
}

impl Books {
    pub(crate) fn new(nodes: usize, layouts: Vec<ChunkLayout>) -> Self {
        let empty = |layout: &ChunkLayout| {
            let words = layout.file_len().div_ceil(GRAIN_LEN).div_ceil(64);
            let words = usize::try_from(words).unwrap_or(usize::MAX);
            Copy { grains: vec![0; words], verified: 0, completed_at: None }
        };
        let copies = vec![layouts.iter().map(empty).collect::<Vec<_>>(); nodes];
        let wanting = nodes.saturating_sub(1) * layouts.len();
        Self {
            layouts,
            copies,
            nodes: vec![Account::default(); nodes],
            letters: Letters::default(),
            verdicts: Verdicts::default(),
            delivered: 0,
            cancelled: 0,
            refetched: 0,
            offences: 0,
            abandoned: 0,
            wanting,
            violations: Vec::new(),
            violation_count: 0,
        }
    }

    pub(crate) fn violate(&mut self, now: Moment, what: &str) {
        self.violation_count += 1;
        if self.violations.len() < TOLD_MAX {
            self.violations.push(format!("{:.6} s: {what}", now.seconds()));
        }
    }

    /// Copies that are still to be completed.
    pub(crate) fn wanting(&self) -> usize {
        self.wanting
    }

    /// Bytes of a file that are verified on a node.
    pub(crate) fn verified(&self, node: usize, file: usize) -> u64 {
        self.copies[node][file].verified
    }

    /// A piece is requested: nothing of it may be here already.
    pub(crate) fn request(&mut self, now: Moment, (node, file): (usize, usize), piece: Piece) {
        self.letters.requests += 1;
        if self.holds_some(node, file, piece) {
            self.refetched += 1;
            self.violate(now, &format!("node {node} requested {piece:?} of file {file}, which it has"));
        }
    }

    /// A piece arrived and is as it should be.
    pub(crate) fn verify(&mut self, now: Moment, (node, file): (usize, usize), piece: Piece) {
        self.delivered += 1;
        if self.holds_some(node, file, piece) {
            self.refetched += 1;
            self.violate(now, &format!("node {node} verified {piece:?} of file {file} twice"));
        }
        let layout = self.layouts[file];
        let grains = self.grains(file, piece);
        let copy = &mut self.copies[node][file];
        for grain in grains {
            copy.grains[grain / 64] |= 1 << (grain % 64);
        }
        copy.verified += machine::len(piece, layout);
    }

    /// A machine says that a file is all here.
    pub(crate) fn complete(&mut self, now: Moment, node: usize, file: usize) {
        let len = self.layouts[file].file_len();
        let copy = &mut self.copies[node][file];
        let is_whole = copy.verified == len;
        if copy.completed_at.replace(now).is_some() {
            return self.violate(now, &format!("node {node} completed file {file} twice"));
        }
        if !is_whole {
            self.violate(now, &format!("node {node} completed file {file} without all of its bytes"));
        }
        self.wanting = self.wanting.saturating_sub(1);
        self.nodes[node].last_completed = Some(now);
    }

    pub(crate) fn report(&mut self, report: Report) {
        match report {
            Report::HeldBy => {}
            Report::Abandoned => self.abandoned += 1,
            Report::Offence => self.offences += 1,
        }
    }

    /// Nodes that have everything.
    pub(crate) fn complete_nodes(&self) -> usize {
        let is_complete = |files: &&Vec<Copy>| files.iter().all(|copy| copy.completed_at.is_some());
        self.copies.iter().skip(1).filter(is_complete).count()
    }

    /// When each copy was complete, in order.
    pub(crate) fn completions(&self) -> Vec<Moment> {
        let mut all: Vec<Moment> =
            self.copies.iter().flatten().filter_map(|copy| copy.completed_at).collect();
        all.sort_unstable();
        all
    }

    fn holds_some(&self, node: usize, file: usize, piece: Piece) -> bool {
        let grains = &self.copies[node][file].grains;
        self.grains(file, piece).any(|grain| grains[grain / 64] >> (grain % 64) & 1 == 1)
    }

    #[allow(clippy::cast_possible_truncation, reason = "a file has fewer than 2^32 grains")]
    fn grains(&self, file: usize, piece: Piece) -> std::ops::Range<usize> {
        let range = machine::range(piece, self.layouts[file]);
        (range.start / GRAIN_LEN) as usize..range.end.div_ceil(GRAIN_LEN) as usize
    }
}
