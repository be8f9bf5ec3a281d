//! One machine among peers that say anything at any time: what must hold for every schedule of inputs.
#![allow(clippy::unwrap_used, reason = "also in the functions that tests share")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use swift_chain::NodeId;
use swift_chunks::{
    CHUNK_LEN, ChunkIndex, ChunkLayout, ChunkSet, FileId, GRAIN_LEN, Grains, SLICE_LEVEL_MAX, Slice,
};
use swift_p2p::swarm::message::{
    AHEAD_MAX, Ahead, Answer, Ask, Confirm, Held, Holding, Holdings, Interest, Map, Offer, OpenChunk, Stamp,
    Verdict, WhoHas,
};
use swift_p2p::swarm::{
    CheckOutcome, Config, ExchangeId, FetchFailure, FetchOutcome, Input, Output, Priority, Reader,
    SendOutcome, Swarm, Time, Want,
};

const CHUNKS: u32 = 6;

/// The last chunk is short, and its last grain as well.
fn layout() -> ChunkLayout {
    ChunkLayout::new(u64::from(CHUNKS - 1) * CHUNK_LEN + 5 * GRAIN_LEN + 1).unwrap()
}

fn chunk(number: u32) -> ChunkIndex {
    layout().chunk(number.into()).unwrap()
}

fn file() -> impl Strategy<Value = FileId> {
    // The third is never added.
    (1_u8..=3).prop_map(|number| FileId::from_bytes([number; 32]))
}

fn known_file() -> impl Strategy<Value = FileId> {
    (1_u8..=2).prop_map(|number| FileId::from_bytes([number; 32]))
}

fn peer() -> impl Strategy<Value = NodeId> {
    (1_u8..=4).prop_map(|number| NodeId::from_bytes([number; 32]))
}

/// Few and large slices, so that schedules meet; some small ones, in two places.
fn of_file() -> impl Strategy<Value = Slice> {
    let level = prop_oneof![3 => Just(SLICE_LEVEL_MAX), 3 => Just(5), 2 => Just(4), 1 => 0..SLICE_LEVEL_MAX];
    let grain = prop_oneof![Just(0_u32), Just(4), Just(16), Just(48)];
    (0..CHUNKS, grain, level).prop_map(|(number, grain, level)| {
        let slice = Slice::around(layout(), chunk(number), grain, level);
        slice.unwrap_or(Slice::of_chunk(chunk(number)))
    })
}

/// Some are beyond the end of the file.
fn slice() -> impl Strategy<Value = Slice> {
    let beyond = ChunkLayout::new(100 * CHUNK_LEN).unwrap();
    let beyond = Slice::of_chunk(beyond.chunk(u64::from(CHUNKS) + 1).unwrap());
    prop_oneof![9 => of_file(), 1 => Just(beyond)]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![9 => of_file().prop_map(Slice::number), 1 => any::<u32>()]
}

fn any_chunk() -> impl Strategy<Value = ChunkIndex> {
    slice().prop_map(Slice::chunk)
}

fn held() -> impl Strategy<Value = ChunkSet> {
    prop::collection::vec(0..CHUNKS, 0..8).prop_map(|numbers| {
        let mut set = ChunkSet::empty(layout());
        numbers.into_iter().for_each(|number| set.insert_run(number..number + 1));
        set
    })
}

fn open_chunk() -> impl Strategy<Value = OpenChunk> {
    let grains =
        || prop_oneof![3 => of_file().prop_map(|slice| slice.grains(layout()).bits()), 1 => any::<u64>()];
    let chunk = prop_oneof![9 => 0..CHUNKS, 1 => any::<u32>()];
    (chunk, grains(), grains()).prop_map(|(chunk, held, coming)| OpenChunk { chunk, held, coming })
}

fn map() -> impl Strategy<Value = Map> {
    use Interest::*;
    let interest =
        prop_oneof![3 => Just(Wanted), 1 => Just(Complete), 1 => Just(Unwanted), 2 => Just(Reading)];
    let held = prop_oneof![
        9 => held().prop_map(|held| Held::All(held.encode())),
        1 => prop::collection::vec(any::<u8>(), 0..4).prop_map(Held::All),
        3 => prop::collection::vec(0..CHUNKS, 0..4).prop_map(Held::Added),
        1 => prop::collection::vec(any::<u32>(), 0..4).prop_map(Held::Added),
    ];
    let open = prop::collection::vec(open_chunk(), 0..4).prop_map(|mut open| {
        open.sort_unstable_by_key(|open| open.chunk);
        open.dedup_by_key(|open| open.chunk);
        open
    });
    let first = prop_oneof![9 => 0..CHUNKS, 1 => any::<u32>()];
    let ahead = (first, 1..=AHEAD_MAX).prop_map(|(first, count)| Ahead { first, count });
    let ahead = prop::collection::vec(ahead, 0..3);
    (0_u64..50, interest, held, open, ahead).prop_map(|(seq, interest, held, open, ahead)| Map {
        stamp: Stamp { incarnation: 1, seq },
        interest,
        held,
        open,
        ahead,
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    use Verdict::*;
    prop_oneof![4 => Just(Accept), 1 => Just(Have), 1 => Just(Enough), 1 => Just(Busy), 1 => Just(Declined), 1 => Just(Unknown)]
}

fn outcome() -> impl Strategy<Value = FetchOutcome> {
    prop_oneof![
        6 => Just(FetchOutcome::Verified),
        2 => Just(FetchOutcome::WrongBytes),
        1 => Just(FetchOutcome::ManifestFalse),
        1 => Just(FetchOutcome::Failed(FetchFailure::Unreachable)),
        1 => Just(FetchOutcome::Failed(FetchFailure::NotThere)),
        1 => Just(FetchOutcome::Failed(FetchFailure::Refused)),
        1 => Just(FetchOutcome::Failed(FetchFailure::Storage)),
        1 => Just(FetchOutcome::Failed(FetchFailure::OtherManifest)),
    ]
}

fn checked() -> impl Strategy<Value = CheckOutcome> {
    use CheckOutcome::*;
    prop_oneof![6 => Just(Verified), 2 => Just(Damaged), 1 => Just(ManifestFalse)]
}

fn holdings() -> impl Strategy<Value = Holdings> {
    let holding = (file(), prop::option::of(map())).prop_map(|(file, map)| Holding { file, map });
    prop::collection::vec(holding, 0..4).prop_map(|holdings| Holdings { holdings })
}

fn input() -> impl Strategy<Value = Input> {
    let exchange = || (0_u64..30).prop_map(ExchangeId);
    let part = (any_chunk(), prop_oneof![any::<u64>(), Just(u64::MAX)])
        .prop_map(|(chunk, bits)| (chunk, Grains::from_bits(bits)));
    let parts = prop::collection::vec(part, 0..3);
    let want = prop_oneof![4 => Just(Want::Wanted), 1 => Just(Want::Unwanted), 3 => Just(Want::Reading)];
    let reader = (any_chunk(), any_chunk()).prop_map(|(at, last)| Reader { at, last });
    let offer =
        (file(), prop::collection::btree_set(number(), 1..5), 1_u8..6, prop::option::of(map())).prop_map(
            |(file, slices, take, map)| Offer { file, slices: slices.into_iter().collect(), take, map },
        );
    let answer = (0_u64..50, prop::collection::vec(verdict(), 1..7), prop::option::of(map()))
        .prop_map(|(seq, verdicts, map)| Answer { stamp: Stamp { incarnation: 1, seq }, verdicts, map });
    let asks = prop::collection::vec((file(), map()).prop_map(|(file, map)| Ask { file, map }), 1..4);
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    let sent = prop_oneof![Just(SendOutcome::Sent), Just(SendOutcome::Broken)];
    prop_oneof![
        3 => (known_file(), held(), parts, want).prop_map(|(file, held, parts, want)| {
            Input::FileAdded { file, publisher: NodeId::from_bytes([1; 32]), held, parts, want }
        }),
        1 => known_file().prop_map(|file| Input::FileRemoved { file }),
        1 => file().prop_map(|file| Input::Durable { file }),
        1 => file().prop_map(|file| Input::Evicted { file }),
        1 => file().prop_map(|file| Input::Survey { file }),
        1 => (file(), prop::collection::vec(any_chunk(), 0..3)).prop_map(|(file, chunks)| Input::Lost { file, chunks }),
        1 => (file(), priority).prop_map(|(file, priority)| Input::Prioritized { file, priority }),
        3 => (file(), prop::collection::vec(reader, 0..3)).prop_map(|(file, readers)| Input::ReadingAt { file, readers }),
        4 => (file(), any_chunk(), checked())
            .prop_map(|(file, chunk, outcome)| Input::ChunkChecked { file, chunk, outcome }),
        4 => peer().prop_map(|peer| Input::PeerOnline { peer }),
        1 => peer().prop_map(|peer| Input::PeerOffline { peer }),
        8 => (peer(), exchange(), offer).prop_map(|(from, exchange, offer)| Input::Offer { from, exchange, offer }),
        8 => (peer(), exchange(), answer)
            .prop_map(|(by, exchange, answer)| Input::OfferAnswered { by, exchange, answer }),
        1 => (peer(), exchange()).prop_map(|(to, exchange)| Input::OfferFailed { to, exchange }),
        4 => (peer(), file(), slice()).prop_map(|(to, file, slice)| Input::SendStarted { to, file, slice }),
        1 => (peer(), file(), slice()).prop_map(|(to, file, slice)| Input::SendProgress { to, file, slice }),
        4 => (peer(), file(), slice(), sent)
            .prop_map(|(to, file, slice, outcome)| Input::SendEnded { to, file, slice, outcome }),
        1 => (peer(), file(), slice(), 0_u64..9)
            .prop_map(|(from, file, slice, bytes)| Input::FetchProgress { from, file, slice, bytes }),
        8 => (peer(), file(), slice(), outcome())
            .prop_map(|(from, file, slice, outcome)| Input::Fetched { from, file, slice, outcome }),
        4 => (peer(), file(), number())
            .prop_map(|(by, file, slice)| Input::Confirmed { by, confirm: Confirm { file, slice } }),
        4 => (peer(), exchange(), asks)
            .prop_map(|(from, exchange, asks)| Input::WhoHas { from, exchange, who_has: WhoHas { asks } }),
        4 => (peer(), holdings()).prop_map(|(by, holdings)| Input::WhoHasAnswered { by, holdings }),
        1 => peer().prop_map(|to| Input::WhoHasFailed { to }),
        4 => (peer(), holdings()).prop_map(|(from, holdings)| Input::Announced { from, holdings }),
        4 => Just(Input::Timeout),
    ]
}

/// What the caller of the machine knows of its own fetches, checks and sends.
#[derive(Default)]
struct Books {
    fetching: BTreeSet<(NodeId, FileId, Slice)>,
    checking: BTreeSet<(FileId, ChunkIndex)>,
    unasked: BTreeSet<(NodeId, FileId, Slice)>,
    /// What was here before the input that is being handled.
    held: BTreeMap<(FileId, ChunkIndex), Grains>,
}

impl Books {
    fn before(&mut self, swarm: &Swarm, input: &Input) {
        for file in (1..=3).map(|number| FileId::from_bytes([number; 32])) {
            for chunk in layout().chunks() {
                self.held.insert((file, chunk), swarm.grains(&file, chunk));
            }
        }
        match input {
            Input::Fetched { from, file, slice, .. } => _ = self.fetching.remove(&(*from, *file, *slice)),
            Input::SendStarted { to, file, slice } => _ = self.unasked.insert((*to, *file, *slice)),
            Input::SendEnded { to, file, slice, .. } => _ = self.unasked.remove(&(*to, *file, *slice)),
            Input::ChunkChecked { file, chunk, .. } => _ = self.checking.remove(&(*file, *chunk)),
            Input::FileRemoved { file } | Input::Evicted { file } => {
                self.checking.retain(|(of, _)| of != file);
            }
            Input::Lost { file, chunks } => {
                self.checking.retain(|(of, at)| of != file || !chunks.contains(at));
            }
            _ => {}
        }
    }

    fn after(&mut self, swarm: &Swarm, output: &Output) -> Result<(), TestCaseError> {
        match output {
            Output::Fetch { from, file, slice } => {
                prop_assert!(slice.chunk().get() < CHUNKS);
                let grains = slice.grains(layout());
                prop_assert!(!swarm.grains(file, slice.chunk()).meets(grains), "requested what is held");
                prop_assert!(self.fetching.insert((*from, *file, *slice)), "requested twice");
                for source in self.sources_of(file, slice) {
                    prop_assert_ne!(source.0, 0);
                    prop_assert!(
                        source.0 <= 2 && source.1,
                        "a grain is fetched at most twice, from different nodes"
                    );
                }
            }
            Output::CancelFetch { from, file, slice } => {
                prop_assert!(self.fetching.remove(&(*from, *file, *slice)), "cancelled what does not run");
            }
            Output::Offer { offer, .. } => {
                prop_assert!(usize::from(offer.take) <= offer.slices.len());
                for &number in &offer.slices {
                    let slice = Slice::from_number(layout(), number).unwrap();
                    let holds = swarm.grains(&offer.file, slice.chunk()).contains(slice.grains(layout()));
                    prop_assert!(holds, "offered what is not held");
                    prop_assert!(swarm.serves(&offer.file, slice));
                }
            }
            Output::Whole { file, chunk } => {
                let all = Grains::all_of(layout(), *chunk);
                prop_assert_eq!(swarm.grains(file, *chunk), all, "looked at a chunk that lacks grains");
                prop_assert!(self.checking.insert((*file, *chunk)), "looked at twice");
                prop_assert!(self.held[&(*file, *chunk)] != all, "looked at without anything new");
            }
            _ => {}
        }
        Ok(())
    }

    /// For each grain of a slice: how many fetches it has, and whether they are from different nodes.
    fn sources_of(&self, file: &FileId, slice: &Slice) -> Vec<(usize, bool)> {
        let grains = (0..64).map(|grain| Grains::from_bits(1 << grain));
        let of_slice = grains.filter(|grain| slice.grains(layout()).contains(*grain));
        let of_grain = |grain: Grains| {
            let fetches = self.fetching.iter().filter(move |(_, of, other)| {
                of == file && other.chunk() == slice.chunk() && other.grains(layout()).contains(grain)
            });
            let sources: Vec<NodeId> = fetches.map(|(from, ..)| *from).collect();
            let different: BTreeSet<NodeId> = sources.iter().copied().collect();
            (sources.len(), different.len() == sources.len())
        };
        of_slice.map(of_grain).collect()
    }
}

/// Names what an output is, to count it.
fn kind(output: &Output) -> String {
    let shown = format!("{output:?}");
    shown.split(' ').next().unwrap_or_default().to_owned()
}

const KINDS: [&str; 13] = [
    "Offer",
    "Answer",
    "Fetch",
    "CancelFetch",
    "Whole",
    "Confirm",
    "WhoHas",
    "Holdings",
    "Announce",
    "Completed",
    "HeldBy",
    "Abandoned",
    "Offence",
];

#[test]
fn nothing_that_peers_say_breaks_the_machine() {
    let seen = RefCell::new(BTreeSet::new());
    let schedules = (prop::collection::vec((input(), 0_u64..2000), 1..200), any::<u64>());
    // The same schedules at every run: whether they reach everything must not be luck.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::with_cases(600), rng);
    let run = runner.run(&schedules, |(inputs, seed)| {
        let config = Config::default();
        let mut swarm = Swarm::new(NodeId::from_bytes([9; 32]), config.clone(), seed);
        let (mut books, mut now) = (Books::default(), Duration::ZERO);
        for (input, later) in inputs {
            now += Duration::from_millis(later);
            books.before(&swarm, &input);
            let question = matches!(input, Input::Offer { .. } | Input::WhoHas { .. });
            swarm.handle(Time::after_start(now), input);
            let (mut outputs, mut answers) = (0, 0);
            while let Some(output) = swarm.poll_output() {
                outputs += 1;
                answers += usize::from(matches!(output, Output::Answer { .. } | Output::Holdings { .. }));
                seen.borrow_mut().insert(kind(&output));
                books.after(&swarm, &output)?;
            }
            prop_assert_eq!(answers, usize::from(question), "one answer to one question");
            prop_assert!(outputs < 100);
            prop_assert!(books.fetching.len() <= config.fetches_limit);
            prop_assert!(swarm.credit() <= config.credit_max);
            prop_assert!(swarm.sends_len() <= config.credit_max + books.unasked.len());
            prop_assert!(
                swarm.poll_timeout().is_none_or(|at| at > Time::after_start(now)),
                "a timer in the past"
            );
        }
        Ok(())
    });
    run.unwrap();
    for kind in KINDS {
        assert!(seen.borrow().contains(kind), "no schedule reached {kind}");
    }
}
