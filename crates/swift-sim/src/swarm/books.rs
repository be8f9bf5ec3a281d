//! What is counted, and what must hold: kept apart from the machines, which it judges.

use std::{collections::BTreeSet, ops::Range};

use swift_chunks::ChunkLayout;

use super::{
    clock::Moment,
    machine::{self, GRAIN_LEN, Kept, Letter, Piece, Verdicts},
    plan::Plan,
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
    /// Nodes that are to have everything in the end.
    counted: Vec<bool>,
    /// Files that can be completed.
    completable: Vec<bool>,
    /// By node, then by file.
    copies: Vec<Vec<Copy>>,
    /// By file, what receivers have ever had.
    spread: Vec<Vec<u64>>,
    /// Grains that no receiver ever had.
    unspread: u64,
    pub(crate) nodes: Vec<Account>,
    pub(crate) letters: Letters,
    pub(crate) verdicts: Verdicts,
    pub(crate) delivered: u64,
    pub(crate) cancelled: u64,
    pub(crate) refetched: u64,
    pub(crate) offences: Offences,
    /// Copies that were given up.
    pub(crate) abandoned: u64,
    /// Requests that were left hanging.
    pub(crate) hung: u64,
    /// Messages that vanished.
    pub(crate) vanished: u64,
    /// Troubles that came.
    pub(crate) troubles: usize,
    /// Copies of which the publisher was told: file and node.
    pub(crate) copies_known: BTreeSet<(usize, usize)>,
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
}

/// What machines complained of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offences {
    pub(crate) wrong_bytes: u64,
    pub(crate) not_there: u64,
    pub(crate) stalled: u64,
    pub(crate) malformed: u64,
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
    pub(crate) fn new(plan: &Plan, layouts: Vec<ChunkLayout>) -> Self {
        let count = |layout: &ChunkLayout| layout.file_len().div_ceil(GRAIN_LEN);
        let no_grain = |layout: &ChunkLayout| {
            vec![0_u64; usize::try_from(count(layout).div_ceil(64)).unwrap_or(usize::MAX)]
        };
        let spread = layouts.iter().map(no_grain).collect();
        let unspread = layouts.iter().map(count).sum();
        let empty = |layout: &ChunkLayout| Copy { grains: no_grain(layout), verified: 0, completed_at: None };
        let copies = vec![layouts.iter().map(empty).collect::<Vec<_>>(); plan.nodes];
        let counted: Vec<bool> = (0..plan.nodes).map(|node| plan.is_counted(node)).collect();
        let completable: Vec<bool> = (0..plan.files).map(|file| plan.is_true(file)).collect();
        let count = |all: &[bool]| all.iter().filter(|&&is_one| is_one).count();
        let wanting = count(&counted) * count(&completable);
        Self {
            layouts,
            counted,
            completable,
            copies,
            spread,
            unspread,
            nodes: vec![Account::default(); plan.nodes],
            letters: Letters::default(),
            verdicts: Verdicts::default(),
            delivered: 0,
            cancelled: 0,
            refetched: 0,
            offences: Offences::default(),
            abandoned: 0,
            hung: 0,
            vanished: 0,
            troubles: 0,
            copies_known: BTreeSet::new(),
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
            let bit = 1 << (grain % 64);
            copy.grains[grain / 64] |= bit;
            let spread = &mut self.spread[file][grain / 64];
            self.unspread -= u64::from(*spread & bit == 0);
            *spread |= bit;
        }
        copy.verified += machine::len(piece, layout);
    }

    /// Whether the receivers together had everything.
    pub(crate) fn is_spread(&self) -> bool {
        self.unspread == 0
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
        if !self.completable[file] {
            return self.violate(now, &format!("node {node} completed file {file}, whose manifest is false"));
        }
        self.wanting -= usize::from(self.counted[node]);
    }

    /// Whether a node has all of a file.
    pub(crate) fn is_complete(&self, node: usize, file: usize) -> bool {
        self.copies[node][file].completed_at.is_some()
    }

    /// A node has only this of a file any more.
    pub(crate) fn keep(&mut self, node: usize, file: usize, kept: &Kept) {
        let layout = self.layouts[file];
        let copy = &mut self.copies[node][file];
        copy.grains.fill(0);
        for chunk in kept.held.iter() {
            for grain in grains(layout.range(chunk)) {
                copy.grains[grain / 64] |= 1 << (grain % 64);
            }
        }
        for &(chunk, part) in &kept.parts {
            let in_part = |&grain: &usize| part.bits() >> (grain % 64) & 1 == 1;
            for grain in grains(layout.range(chunk)).filter(in_part) {
                copy.grains[grain / 64] |= 1 << (grain % 64);
            }
        }
        let in_parts = kept.parts.iter().map(|&(chunk, part)| part.bytes(layout, chunk));
        let in_chunks = kept.held.iter().map(|chunk| layout.chunk_len(chunk));
        copy.verified = in_chunks.sum::<u64>() + in_parts.sum::<u64>();
    }

    /// Bytes of a file that some of these nodes have.
    pub(crate) fn obtainable(&self, nodes: &[usize], file: usize) -> u64 {
        let layout = self.layouts[file];
        let has = |grain: usize| {
            nodes.iter().any(|&node| self.copies[node][file].grains[grain / 64] >> (grain % 64) & 1 == 1)
        };
        let here = grains(0..layout.file_len()).filter(|&grain| has(grain));
        here.map(|grain| GRAIN_LEN.min(layout.file_len() - grain as u64 * GRAIN_LEN)).sum()
    }

    /// Nodes that are to have everything.
    pub(crate) fn counted_nodes(&self) -> usize {
        self.counted.iter().filter(|&&is_counted| is_counted).count()
    }

    /// Those of them that have.
    pub(crate) fn complete_nodes(&self) -> usize {
        let is_complete = |files: &[Copy]| {
            files
                .iter()
                .enumerate()
                .all(|(file, copy)| copy.completed_at.is_some() || !self.completable[file])
        };
        self.counted_copies().filter(|files| is_complete(files)).count()
    }

    /// When each copy of these files was complete, in order.
    pub(crate) fn completions(&self, is_meant: impl Fn(usize) -> bool) -> Vec<Moment> {
        let copies = self.counted_copies().flat_map(|files| files.iter().enumerate());
        let meant = copies.filter(|(file, _)| is_meant(*file));
        let mut all: Vec<Moment> = meant.filter_map(|(_, copy)| copy.completed_at).collect();
        all.sort_unstable();
        all
    }

    fn counted_copies(&self) -> impl Iterator<Item = &[Copy]> {
        let counted = self.copies.iter().zip(&self.counted).filter(|(_, is_counted)| **is_counted);
        counted.map(|(files, _)| files.as_slice())
    }

    fn holds_some(&self, node: usize, file: usize, piece: Piece) -> bool {
        let grains = &self.copies[node][file].grains;
        self.grains(file, piece).any(|grain| grains[grain / 64] >> (grain % 64) & 1 == 1)
    }

    fn grains(&self, file: usize, piece: Piece) -> Range<usize> {
        grains(machine::range(piece, self.layouts[file]))
    }
}

/// The grains of these bytes, by their place in the file.
#[allow(clippy::cast_possible_truncation, reason = "a file has fewer than 2^32 grains")]
fn grains(bytes: Range<u64>) -> Range<usize> {
    (bytes.start / GRAIN_LEN) as usize..bytes.end.div_ceil(GRAIN_LEN) as usize
}
