//! What a run amounted to: one line of JSON.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    account::{Account, TOLD_MAX, fold},
    books::Books,
    clock::Moment,
    plan::Plan,
};

/// A run's result.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The scenario's name, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The run's seed.
    pub seed: u64,
    /// Nodes, the publisher included.
    pub nodes: usize,
    /// Files.
    pub files: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Receivers that can have everything: they do as they should, and are not gone for good.
    pub counted: usize,
    /// Those of them that have.
    pub complete: usize,
    /// Seconds below which nobody can do it.
    pub t_min: f64,
    /// Seconds until half of the copies were complete.
    pub t_median: Option<f64>,
    /// Seconds until the last was.
    pub t_last: Option<f64>,
    /// `t_min` over `t_last`: 1 is perfect.
    pub share: Option<f64>,
    /// What the publisher sent, in copies.
    pub source_copies: f64,
    /// What all sent, over what was needed.
    pub total_copies: f64,
    /// Letters and requests for each piece delivered.
    pub messages_per_slice: f64,
    /// Of all bytes that left, those of letters.
    pub messages_share: f64,
    /// Jain's index of what receivers sent over what their links could send: 1 when all work alike.
    pub fairness: f64,
    /// Pieces delivered.
    pub slices: u64,
    /// Verified bytes that were fetched again; must be 0.
    pub refetched: u64,
    /// Fetches broken off.
    pub cancelled: u64,
    /// What machines complained of.
    pub offences: Offences,
    /// Copies that were given up, since their manifest is false.
    pub abandoned: u64,
    /// Requests that were left hanging.
    pub hung: u64,
    /// Messages that vanished.
    pub vanished: u64,
    /// Of the plan's troubles, how many came.
    pub troubles: usize,
    /// Copies that were completed.
    pub copies: usize,
    /// Copies of which the publisher was told.
    pub copies_known: usize,
    /// Where files differ in length: when the last copy of each length was complete.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_size: Vec<SizeDone>,
    /// Letters by kind.
    pub messages: Messages,
    /// Verdicts on offered pieces.
    pub verdicts: Verdicts,
    /// What must not be and was; the first of them.
    pub violations: Vec<String>,
    /// Events.
    pub events: u64,
    /// Seconds of real time, which the caller fills in.
    pub wall_seconds: f64,
    /// Hash of all that the machines did, in order.
    pub trace: String,
}

/// What machines complained of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Offences {
    /// Bytes that are not what they should be.
    pub wrong_bytes: u64,
    /// Pieces that were offered and not there.
    pub not_there: u64,
    /// Fetches that got nowhere.
    pub stalled: u64,
    /// Messages without sense.
    pub malformed: u64,
}

/// Files of one length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SizeDone {
    /// Bytes.
    pub size: u64,
    /// Seconds until the last copy of one of them was complete.
    pub t_last: f64,
}

/// Letters by kind.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Messages {
    /// Offers.
    pub offers: u64,
    /// Requests for content.
    pub requests: u64,
    /// Confirmations.
    pub confirms: u64,
    /// Questions who has what.
    pub who_has: u64,
    /// Announcements.
    pub announcements: u64,
}

/// Verdicts on offered pieces.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Verdicts {
    /// Accepted.
    pub accept: u64,
    /// The receiver had it or awaited it.
    pub have: u64,
    /// The receiver had its hands full.
    pub busy: u64,
    /// Declined or unknown.
    pub other: u64,
}

/// All that an outcome is made of.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) books: Books,
    /// By node.
    pub(crate) accounts: Vec<&'a Account>,
    /// Troubles that came.
    pub(crate) troubles: usize,
    /// In the order of time.
    pub(crate) violations: Vec<&'a (Moment, String)>,
}

#[allow(clippy::cast_precision_loss, reason = "ratios for people")]
pub(crate) fn outcome(record: &Record<'_>) -> Outcome {
    let Record { plan, books, accounts, troubles, violations } = record;
    let completions = record.completions(|_| true);
    let counted = record.counted().count();
    let complete = record.counted().filter(|account| record.is_complete(account)).count();
    let t_min = plan.least_seconds();
    let t_last = completions.last().filter(|_| complete == counted).map(|at| at.seconds());
    let bytes = plan.all_bytes() as f64;
    let sent: u64 = accounts.iter().map(|account| account.sent).sum();
    let letters: u64 = accounts.iter().map(|account| account.letters_sent).sum();
    let told = violations.iter().take(TOLD_MAX).map(|(at, what)| format!("{:.6} s: {what}", at.seconds()));
    let trace = accounts.iter().fold(0, |trace, account| fold(trace, &[account.trace]));
    Outcome {
        scenario: None,
        seed: plan.seed,
        nodes: plan.nodes,
        files: plan.files,
        bytes: plan.all_bytes(),
        counted,
        complete,
        t_min: round(t_min),
        t_median: completions.get(completions.len() / 2).map(|at: &Moment| round(at.seconds())),
        t_last: t_last.map(round),
        share: t_last.map(|t_last| round(t_min / t_last)),
        source_copies: round(accounts.first().map_or(0.0, |source| source.sent as f64) / bytes),
        total_copies: round(sent as f64 / (bytes * counted.max(1) as f64)),
        messages_per_slice: round(books.letters.all() as f64 / books.delivered.max(1) as f64),
        messages_share: round(letters as f64 / (letters + sent).max(1) as f64),
        fairness: round(record.fairness()),
        slices: books.delivered,
        refetched: books.refetched,
        cancelled: books.cancelled,
        offences: Offences {
            wrong_bytes: books.offences.wrong_bytes,
            not_there: books.offences.not_there,
            stalled: books.offences.stalled,
            malformed: books.offences.malformed,
        },
        abandoned: books.abandoned,
        hung: books.hung,
        vanished: books.vanished,
        troubles: *troubles,
        copies: completions.len(),
        copies_known: books.copies_known.len(),
        by_size: record.by_size(),
        messages: Messages {
            offers: books.letters.offers,
            requests: books.letters.requests,
            confirms: books.letters.confirms,
            who_has: books.letters.questions,
            announcements: books.letters.announcements,
        },
        verdicts: Verdicts {
            accept: books.verdicts.accepted,
            have: books.verdicts.had,
            busy: books.verdicts.busy,
            other: books.verdicts.other,
        },
        violations: told.collect(),
        events: books.events,
        wall_seconds: 0.0,
        trace: format!("{trace:016x}"),
    }
}

impl Record<'_> {
    /// Nodes that are to have everything.
    fn counted(&self) -> impl Iterator<Item = &Account> {
        let accounts = self.accounts.iter().enumerate();
        accounts.filter(|&(at, _)| self.plan.is_counted(at)).map(|(_, account)| *account)
    }

    fn is_complete(&self, account: &Account) -> bool {
        let mut copies = account.copies.iter().enumerate();
        copies.all(|(file, copy)| copy.completed_at.is_some() || !self.plan.is_true(file))
    }

    /// When each copy of these files was complete, in order.
    fn completions(&self, is_meant: impl Fn(usize) -> bool) -> Vec<Moment> {
        let copies = self.counted().flat_map(|account| account.copies.iter().enumerate());
        let meant = copies.filter(|(file, _)| is_meant(*file));
        let mut all: Vec<Moment> = meant.filter_map(|(_, copy)| copy.completed_at).collect();
        all.sort_unstable();
        all
    }

    fn by_size(&self) -> Vec<SizeDone> {
        let plan = self.plan;
        let sizes: BTreeSet<u64> = (0..plan.files).map(|file| plan.size_of(file)).collect();
        if sizes.len() < 2 {
            return Vec::new();
        }
        let last = |size| self.completions(|file| plan.size_of(file) == size).last().copied();
        let done = |size| Some(SizeDone { size, t_last: round(last(size)?.seconds()) });
        sizes.into_iter().filter_map(done).collect()
    }

    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    fn fairness(&self) -> f64 {
        let receivers = self.accounts.iter().enumerate().filter(|&(at, _)| self.plan.is_counted(at));
        let loads = receivers.map(|(at, account)| account.sent as f64 / self.plan.uplink(at).rate() as f64);
        let (sum, squares, count) = loads.fold((0.0, 0.0, 0.0), |(sum, squares, count), load| {
            (sum + load, squares + load * load, count + 1.0)
        });
        if squares > 0.0 { sum * sum / (count * squares) } else { 1.0 }
    }
}

fn round(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}
