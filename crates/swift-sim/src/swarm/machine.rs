//! The real machine and its terms. What is sent, requested and confirmed as one is a [`Piece`] everywhere else.

use std::ops::Range;

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, ChunkLayout, ChunkSet, FileId, Grains, Slice};
use swift_p2p::swarm::{
    CheckOutcome, Config, ExchangeId, FetchOutcome, Input, OffenceKind, Output, SendOutcome, Swarm, Want,
    message::{Answer, Confirm, Holdings, Message, Offer, Verdict, WhoHas},
};

use super::clock::Moment;

/// What is transferred as one.
pub(crate) type Piece = Slice;

/// Bytes of which the books are kept: no piece is shorter, but for a file's last.
pub(crate) const GRAIN_LEN: u64 = 64 * 1024;

/// The piece's bytes within its file.
pub(crate) fn range(piece: Piece, layout: ChunkLayout) -> Range<u64> {
    piece.range(layout)
}

pub(crate) fn len(piece: Piece, layout: ChunkLayout) -> u64 {
    let range = range(piece, layout);
    range.end - range.start
}

/// What one node says to another.
#[derive(Clone, Debug)]
pub(crate) enum Letter {
    Offer(ExchangeId, Offer),
    Answer(ExchangeId, Answer),
    Confirm(Confirm),
    WhoHas(WhoHas),
    Holdings(Holdings),
    Announce(Holdings),
}

/// What a machine asks for.
#[derive(Debug)]
pub(crate) enum Wish {
    Send {
        to: NodeId,
        letter: Letter,
    },
    Fetch {
        from: NodeId,
        file: FileId,
        piece: Piece,
    },
    CancelFetch {
        from: NodeId,
        file: FileId,
        piece: Piece,
    },
    /// Every grain of a chunk is here: look at it as a whole.
    Check {
        file: FileId,
        chunk: ChunkIndex,
    },
    Completed {
        file: FileId,
    },
    Report(Report),
}

/// What a machine has noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// Somebody says that it has a whole copy.
    HeldBy { peer: NodeId, file: FileId },
    /// A file was given up, and this member blamed.
    Abandoned { file: FileId, publisher: NodeId },
    /// Somebody did wrong.
    Offence { peer: NodeId, kind: OffenceKind },
}

impl Wish {
    fn of(output: Output) -> Self {
        let send = |to, letter| Self::Send { to, letter };
        match output {
            Output::Offer { to, exchange, offer } => send(to, Letter::Offer(exchange, offer)),
            Output::Answer { to, exchange, answer } => send(to, Letter::Answer(exchange, answer)),
            Output::Confirm { to, confirm } => send(to, Letter::Confirm(confirm)),
            Output::WhoHas { to, who_has } => send(to, Letter::WhoHas(who_has)),
            Output::Holdings { to, holdings, .. } => send(to, Letter::Holdings(holdings)),
            Output::Announce { to, holdings } => send(to, Letter::Announce(holdings)),
            Output::Fetch { from, file, slice } => Self::Fetch { from, file, piece: slice },
            Output::CancelFetch { from, file, slice } => Self::CancelFetch { from, file, piece: slice },
            Output::Whole { file, chunk } => Self::Check { file, chunk },
            Output::Completed { file } => Self::Completed { file },
            Output::HeldBy { file, peer } => Self::Report(Report::HeldBy { peer, file }),
            Output::Abandoned { file, publisher, .. } => Self::Report(Report::Abandoned { file, publisher }),
            Output::Offence { peer, kind, .. } => Self::Report(Report::Offence { peer, kind }),
        }
    }
}

impl Letter {
    /// Bytes of it. In builds that check, it also reads back as it was.
    pub(crate) fn len(&self) -> u64 {
        fn len_of<M: Message + PartialEq + std::fmt::Debug>(message: &M) -> usize {
            debug_assert_eq!(M::decode(&message.encode()).as_ref(), Ok(message));
            debug_assert_eq!(message.encode().len(), message.encoded_len());
            message.encoded_len()
        }
        let len = match self {
            Self::Offer(_, offer) => len_of(offer),
            Self::Answer(_, answer) => len_of(answer),
            Self::Confirm(confirm) => len_of(confirm),
            Self::WhoHas(who_has) => len_of(who_has),
            Self::Holdings(holdings) | Self::Announce(holdings) => len_of(holdings),
        };
        len as u64
    }

    /// A number for its kind.
    pub(crate) fn kind(&self) -> u64 {
        match self {
            Self::Offer(..) => 1,
            Self::Answer(..) => 2,
            Self::Confirm(_) => 3,
            Self::WhoHas(_) => 4,
            Self::Holdings(_) => 5,
            Self::Announce(_) => 6,
        }
    }

    /// Whether somebody waits for an answer to it.
    pub(crate) fn is_question(&self) -> bool {
        matches!(self, Self::Offer(..) | Self::WhoHas(_))
    }

    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, Self::Answer(..) | Self::Holdings(_))
    }

    /// The offer that it is, or answers.
    pub(crate) fn exchange(&self) -> Option<ExchangeId> {
        match self {
            Self::Offer(exchange, _) | Self::Answer(exchange, _) => Some(*exchange),
            _ => None,
        }
    }

    /// What the receiver's machine is told.
    pub(crate) fn delivered(self, from: NodeId) -> Input {
        match self {
            Self::Offer(exchange, offer) => Input::Offer { from, exchange, offer },
            Self::Answer(exchange, answer) => Input::OfferAnswered { by: from, exchange, answer },
            Self::Confirm(confirm) => Input::Confirmed { by: from, confirm },
            Self::WhoHas(who_has) => Input::WhoHas { from, exchange: ExchangeId(0), who_has },
            Self::Holdings(holdings) => Input::WhoHasAnswered { by: from, holdings },
            Self::Announce(holdings) => Input::Announced { from, holdings },
        }
    }
}

/// How often an answer says what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdicts {
    pub(crate) accepted: u64,
    pub(crate) had: u64,
    pub(crate) busy: u64,
    pub(crate) other: u64,
}

impl Verdicts {
    pub(crate) fn count(&mut self, answer: &Answer) {
        for verdict in &answer.verdicts {
            match verdict {
                Verdict::Accept => self.accepted += 1,
                Verdict::Have => self.had += 1,
                Verdict::Busy => self.busy += 1,
                Verdict::Enough | Verdict::Declined | Verdict::Unknown => self.other += 1,
            }
        }
    }
}

/// What is on a node's disk of a file.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) held: ChunkSet,
    /// Of other chunks.
    pub(crate) parts: Vec<(ChunkIndex, Grains)>,
}

impl Kept {
    pub(crate) fn nothing(layout: ChunkLayout) -> Self {
        Self { held: ChunkSet::empty(layout), parts: Vec::new() }
    }

    pub(crate) fn everything(layout: ChunkLayout) -> Self {
        Self { held: ChunkSet::full(layout), parts: Vec::new() }
    }
}

pub(crate) fn file_added(file: FileId, publisher: NodeId, kept: Kept) -> Input {
    let Kept { held, parts } = kept;
    Input::FileAdded { file, publisher, held, parts, want: Want::Wanted }
}

pub(crate) fn send_started(to: NodeId, file: FileId, piece: Piece) -> Input {
    Input::SendStarted { to, file, slice: piece }
}

pub(crate) fn send_progress(to: NodeId, file: FileId, piece: Piece) -> Input {
    Input::SendProgress { to, file, slice: piece }
}

pub(crate) fn send_ended(to: NodeId, file: FileId, piece: Piece, outcome: SendOutcome) -> Input {
    Input::SendEnded { to, file, slice: piece, outcome }
}

pub(crate) fn fetch_progress(from: NodeId, file: FileId, piece: Piece, bytes: u64) -> Input {
    Input::FetchProgress { from, file, slice: piece, bytes }
}

pub(crate) fn chunk_checked(file: FileId, chunk: ChunkIndex, outcome: CheckOutcome) -> Input {
    Input::ChunkChecked { file, chunk, outcome }
}

pub(crate) fn fetched(from: NodeId, file: FileId, piece: Piece, outcome: FetchOutcome) -> Input {
    Input::Fetched { from, file, slice: piece, outcome }
}

/// A node's machine.
#[derive(Debug)]
pub(crate) struct Machine {
    swarm: Swarm,
    /// Open offers and sends that it may have at once.
    credit: usize,
    /// Fetches that it may have at once.
    fetches: usize,
}

impl Machine {
    pub(crate) fn new(me: NodeId, config: Config, seed: u64) -> Self {
        let (credit, fetches) = (config.credit_max, config.fetches_limit);
        Self { swarm: Swarm::new(me, config, seed), credit, fetches }
    }

    pub(crate) fn handle(&mut self, now: Moment, input: Input) {
        self.swarm.handle(now.time(), input);
    }

    pub(crate) fn next_wish(&mut self) -> Option<Wish> {
        self.swarm.poll_output().map(Wish::of)
    }

    /// When it wants to be woken.
    pub(crate) fn due(&self) -> Moment {
        self.swarm.poll_timeout().map_or(Moment::NEVER, Moment::of)
    }

    pub(crate) fn serves(&self, file: &FileId, piece: Piece) -> bool {
        self.swarm.serves(file, piece)
    }

    /// Whether it will have no more to do with a file.
    pub(crate) fn is_given_up(&self, file: &FileId) -> bool {
        self.swarm.is_given_up(file)
    }

    /// What it has of a file.
    pub(crate) fn kept(&self, file: &FileId) -> Option<Kept> {
        let held = self.swarm.held(file)?.clone();
        Some(Kept { held, parts: self.swarm.parts(file) })
    }

    /// Whether it has no more fetches open than it may.
    pub(crate) fn is_within_fetches(&self, fetches: usize) -> bool {
        fetches <= self.fetches
    }

    /// Whether it has no more sends open than it may, when so many requests came unasked.
    pub(crate) fn is_within_credit(&self, unasked: impl FnOnce() -> usize) -> bool {
        let sends = self.swarm.sends_len();
        sends <= self.credit || sends <= self.credit + unasked()
    }
}
