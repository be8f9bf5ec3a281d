//! What is counted in a run. Every shard counts what happens on its nodes; sums do not depend on who counted.

use std::collections::BTreeSet;

use super::{
    clock::Moment,
    machine::{Letter, Verdicts},
};

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) events: u64,
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
    /// Copies that were to be completed and are.
    pub(crate) completed: usize,
    /// Copies of which the publisher was told: file and node.
    pub(crate) copies_known: BTreeSet<(usize, usize)>,
    /// What nodes were told of each other since the window opened: it is judged when it closes.
    pub(crate) claims: Vec<Claim>,
}

/// A node was told that another has a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) told_at: Moment,
    pub(crate) told: usize,
    pub(crate) holder: usize,
    pub(crate) file: usize,
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

/// Adds the same numbers of another to each.
macro_rules! add {
    ($to:expr, $of:expr, $($number:ident),*) => { $($to.$number += $of.$number;)* };
}

impl Books {
    /// Takes over what another has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        add!(self, other, events, delivered, cancelled, refetched, abandoned, hung, vanished, completed);
        let (letters, more) = (&mut self.letters, &other.letters);
        add!(letters, more, offers, answers, requests, confirms, questions, holdings, announcements);
        add!(self.verdicts, other.verdicts, accepted, had, busy, other);
        add!(self.offences, other.offences, wrong_bytes, not_there, stalled, malformed);
        self.copies_known.extend(&other.copies_known);
    }
}
