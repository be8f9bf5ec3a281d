//! One machine among peers that say anything at any time: what must hold for every schedule of inputs.
#![allow(clippy::unwrap_used, reason = "also in the functions that tests share")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use swift_chain::NodeId;
use swift_chunks::{CHUNK_LEN, ChunkLayout, ChunkSet, FileId};
use swift_p2p::swarm::message::{
    Answer, Ask, Confirm, Holding, Holdings, Interest, Map, Offer, Stamp, Verdict, WhoHas,
};
use swift_p2p::swarm::{
    Config, ExchangeId, FetchFailure, FetchOutcome, Input, Output, SendOutcome, Swarm, Time, Unit, Want,
};

const UNITS: u32 = 6;

fn layout() -> ChunkLayout {
    ChunkLayout::new(u64::from(UNITS) * CHUNK_LEN).unwrap()
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

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![9 => 0..UNITS, 1 => any::<u32>()]
}

fn unit() -> impl Strategy<Value = Unit> {
    // Some are beyond the end of the file.
    (0..UNITS + 2)
        .prop_map(|number| Unit::from_number(ChunkLayout::new(100 * CHUNK_LEN).unwrap(), number).unwrap())
}

fn held() -> impl Strategy<Value = ChunkSet> {
    prop::collection::vec(0..UNITS, 0..8).prop_map(|numbers| {
        let mut set = ChunkSet::empty(layout());
        numbers.into_iter().for_each(|number| set.insert_run(number..number + 1));
        set
    })
}

fn map() -> impl Strategy<Value = Map> {
    let interest = prop_oneof![3 => Just(Interest::Wanted), 1 => Just(Interest::Complete), 1 => Just(Interest::Unwanted)];
    let bytes = prop_oneof![
        9 => held().prop_map(|held| held.encode()),
        1 => prop::collection::vec(any::<u8>(), 0..4)
    ];
    (0_u64..50, interest, bytes, prop::collection::vec(number(), 0..4)).prop_map(
        |(seq, interest, held, coming)| Map { stamp: Stamp { incarnation: 1, seq }, interest, held, coming },
    )
}

fn verdict() -> impl Strategy<Value = Verdict> {
    use Verdict::*;
    prop_oneof![4 => Just(Accept), 1 => Just(Have), 1 => Just(Busy), 1 => Just(Declined), 1 => Just(Unknown)]
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

fn holdings() -> impl Strategy<Value = Holdings> {
    let holding = (file(), prop::option::of(map())).prop_map(|(file, map)| Holding { file, map });
    prop::collection::vec(holding, 0..4).prop_map(|holdings| Holdings { holdings })
}

fn input() -> impl Strategy<Value = Input> {
    let exchange = || (0_u64..30).prop_map(ExchangeId);
    let want = prop_oneof![4 => Just(Want::Wanted), 1 => Just(Want::Unwanted)];
    let offer = (file(), prop::collection::vec(number(), 1..5), prop::option::of(map()))
        .prop_map(|(file, units, map)| Offer { file, units, map });
    let answer = (0_u64..50, prop::collection::vec(verdict(), 1..7), prop::option::of(map()))
        .prop_map(|(seq, verdicts, map)| Answer { stamp: Stamp { incarnation: 1, seq }, verdicts, map });
    let asks = prop::collection::vec((file(), map()).prop_map(|(file, map)| Ask { file, map }), 1..4);
    let sent = prop_oneof![Just(SendOutcome::Sent), Just(SendOutcome::Broken)];
    prop_oneof![
        3 => (known_file(), held(), want).prop_map(|(file, held, want)| {
            Input::FileAdded { file, publisher: NodeId::from_bytes([1; 32]), held, want }
        }),
        1 => known_file().prop_map(|file| Input::FileRemoved { file }),
        1 => file().prop_map(|file| Input::Durable { file }),
        1 => file().prop_map(|file| Input::Survey { file }),
        4 => peer().prop_map(|peer| Input::PeerOnline { peer }),
        1 => peer().prop_map(|peer| Input::PeerOffline { peer }),
        8 => (peer(), exchange(), offer).prop_map(|(from, exchange, offer)| Input::Offer { from, exchange, offer }),
        8 => (peer(), exchange(), answer)
            .prop_map(|(by, exchange, answer)| Input::OfferAnswered { by, exchange, answer }),
        1 => (peer(), exchange()).prop_map(|(to, exchange)| Input::OfferFailed { to, exchange }),
        4 => (peer(), file(), unit()).prop_map(|(to, file, unit)| Input::SendStarted { to, file, unit }),
        1 => (peer(), file(), unit()).prop_map(|(to, file, unit)| Input::SendProgress { to, file, unit }),
        4 => (peer(), file(), unit(), sent)
            .prop_map(|(to, file, unit, outcome)| Input::SendEnded { to, file, unit, outcome }),
        1 => (peer(), file(), unit(), 0_u64..9)
            .prop_map(|(from, file, unit, bytes)| Input::FetchProgress { from, file, unit, bytes }),
        8 => (peer(), file(), unit(), outcome())
            .prop_map(|(from, file, unit, outcome)| Input::Fetched { from, file, unit, outcome }),
        4 => (peer(), file(), number())
            .prop_map(|(by, file, unit)| Input::Confirmed { by, confirm: Confirm { file, unit } }),
        4 => (peer(), exchange(), asks)
            .prop_map(|(from, exchange, asks)| Input::WhoHas { from, exchange, who_has: WhoHas { asks } }),
        4 => (peer(), holdings()).prop_map(|(by, holdings)| Input::WhoHasAnswered { by, holdings }),
        1 => peer().prop_map(|to| Input::WhoHasFailed { to }),
        4 => (peer(), holdings()).prop_map(|(from, holdings)| Input::Announced { from, holdings }),
        4 => Just(Input::Timeout),
    ]
}

/// What the caller of the machine knows of its own fetches and sends.
#[derive(Default)]
struct Books {
    fetching: BTreeSet<(NodeId, FileId, Unit)>,
    unasked: BTreeSet<(NodeId, FileId, Unit)>,
}

impl Books {
    fn before(&mut self, input: &Input) {
        match input {
            Input::Fetched { from, file, unit, .. } => _ = self.fetching.remove(&(*from, *file, *unit)),
            Input::SendStarted { to, file, unit } => _ = self.unasked.insert((*to, *file, *unit)),
            Input::SendEnded { to, file, unit, .. } => _ = self.unasked.remove(&(*to, *file, *unit)),
            _ => {}
        }
    }

    fn after(&mut self, swarm: &Swarm, output: &Output) -> Result<(), TestCaseError> {
        match output {
            Output::Fetch { from, file, unit } => {
                let held = swarm.held(file).unwrap();
                prop_assert!(!held.contains(unit.chunk()), "requested what is held");
                prop_assert!(unit.number() < UNITS);
                prop_assert!(self.fetching.insert((*from, *file, *unit)), "requested twice");
                let sources = self.fetching.iter().filter(|(_, of, other)| of == file && other == unit);
                prop_assert!(sources.count() <= 2);
            }
            Output::CancelFetch { from, file, unit } => {
                prop_assert!(self.fetching.remove(&(*from, *file, *unit)), "cancelled what does not run");
            }
            Output::Offer { offer, .. } => {
                let held = swarm.held(&offer.file).unwrap();
                let holds =
                    |&number: &u32| held.contains(Unit::from_number(layout(), number).unwrap().chunk());
                prop_assert!(offer.units.iter().all(holds), "offered what is not held");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Names what an output is, to count it.
fn kind(output: &Output) -> String {
    let shown = format!("{output:?}");
    shown.split(' ').next().unwrap_or_default().to_owned()
}

const KINDS: [&str; 12] = [
    "Offer",
    "Answer",
    "Fetch",
    "CancelFetch",
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
        let credit = config.credit_running + config.credit_ahead;
        let mut swarm = Swarm::new(NodeId::from_bytes([9; 32]), config.clone(), seed);
        let (mut books, mut now) = (Books::default(), Duration::ZERO);
        for (input, later) in inputs {
            now += Duration::from_millis(later);
            books.before(&input);
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
            prop_assert!(books.fetching.len() <= config.fetches_max);
            prop_assert!(swarm.sends_len() <= credit + books.unasked.len());
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
