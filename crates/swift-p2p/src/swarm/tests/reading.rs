//! A node on which somebody reads a file that it does not keep, and those who send it.

use super::super::message::{AHEAD_MAX, Ahead, Answer, OPEN_CHUNKS_MAX, Offer, READERS_MAX, Verdict};
use super::*;

const CHUNKS: u64 = 100;

fn layout() -> ChunkLayout {
    ChunkLayout::new(CHUNKS * CHUNK_LEN).unwrap()
}

fn chunk(number: u64) -> ChunkIndex {
    layout().chunk(number).unwrap()
}

fn reader(at: u64, last: u64) -> Reader {
    Reader { at: chunk(at), last: chunk(last) }
}

fn add(swarm: &mut Swarm, want: Want) {
    let (held, publisher) = (ChunkSet::empty(layout()), node(2));
    swarm.handle(Time::ZERO, Input::FileAdded { file: file(0), publisher, held, parts: vec![], want });
}

fn read(swarm: &mut Swarm, readers: Vec<Reader>) {
    swarm.handle(Time::ZERO, Input::ReadingAt { file: file(0), readers });
}

/// A node that reads, and whose questions so far are answered.
fn reading(readers: Vec<Reader>) -> Swarm {
    let mut swarm = Swarm::new(node(1), Config::default(), 1);
    swarm.handle(Time::ZERO, Input::PeerOnline { peer: node(2) });
    add(&mut swarm, Want::Reading);
    read(&mut swarm, readers);
    swarm
}

/// What a node says to the offer of a slice.
fn verdict(swarm: &mut Swarm, slice: Slice) -> Verdict {
    let offer = Offer { file: file(0), slices: vec![slice.number()], take: 1, map: None };
    swarm.handle(Time::ZERO, Input::Offer { from: node(2), exchange: ExchangeId(9), offer });
    let answer = drain(swarm).into_iter().find_map(|output| match output {
        Output::Answer { answer: Answer { verdicts, .. }, .. } => Some(verdicts[0]),
        _ => None,
    });
    answer.unwrap()
}

fn whole(number: u64) -> Slice {
    Slice::of_chunk(chunk(number))
}

fn arrives(swarm: &mut Swarm, slice: Slice) {
    let outcome = FetchOutcome::Verified;
    swarm.handle(Time::ZERO, Input::Fetched { from: node(2), file: file(0), slice, outcome });
}

/// The maps that a node tells, in questions and announcements.
fn told(outputs: &[Output]) -> Vec<Map> {
    let told = outputs.iter().filter_map(|output| match output {
        Output::WhoHas { who_has, .. } => Some(who_has.asks[0].map.clone()),
        Output::Announce { holdings, .. } => holdings.holdings[0].map.clone(),
        _ => None,
    });
    told.collect()
}

/// A source to which a reading node has told its map; gives the chunks that it offers.
fn offered(ahead: &[(u32, u32)], held: &[u64]) -> Vec<u32> {
    let slice_levels = (swift_chunks::SLICE_LEVEL_MAX, swift_chunks::SLICE_LEVEL_MAX);
    let mut swarm = holder_with(Config { slice_levels, ..Config::default() }, 1, CHUNKS);
    // The only peer has all places.
    (3..5).for_each(|peer| swarm.handle(Time::ZERO, Input::PeerOffline { peer: node(peer) }));
    let mut set = ChunkSet::empty(layout());
    held.iter().for_each(|&number| _ = set.insert(chunk(number)));
    let ahead = ahead.iter().map(|&(first, count)| Ahead { first, count }).collect();
    let (stamp, held) = (message::Stamp { incarnation: 1, seq: 1 }, Held::All(set.encode()));
    let map = Map { stamp, interest: Interest::Reading, held, open: vec![], ahead };
    let who_has = WhoHas { asks: vec![Ask { file: file(0), map }] };
    swarm.handle(Time::ZERO, Input::WhoHas { from: node(2), exchange: ExchangeId(0), who_has });
    let slices = drain(&mut swarm).into_iter().flat_map(|output| match output {
        Output::Offer { offer, .. } => offer.slices,
        _ => vec![],
    });
    let mut chunks: Vec<u32> =
        slices.map(|number| Slice::from_number(layout(), number).unwrap().chunk().get()).collect();
    chunks.dedup();
    chunks
}

#[test]
fn nothing_is_asked_or_accepted_before_somebody_reads() {
    let mut swarm = reading(vec![]);
    assert_eq!(drain(&mut swarm), []);
    assert_eq!(verdict(&mut swarm, whole(0)), Verdict::Busy);
    assert_eq!(swarm.poll_timeout(), None);
}

#[test]
fn what_a_reader_comes_to_next_is_asked_for_at_once_and_nothing_else_is_accepted() {
    let mut swarm = reading(vec![reader(10, 99)]);
    let maps = told(&drain(&mut swarm));
    assert_eq!(maps.len(), 1);
    assert_eq!(maps[0].interest, Interest::Reading);
    assert_eq!(maps[0].ahead, [Ahead { first: 10, count: AHEAD_MAX }]);
    assert_eq!(verdict(&mut swarm, whole(9)), Verdict::Busy);
    assert_eq!(verdict(&mut swarm, whole(10)), Verdict::Accept);
    assert_eq!(verdict(&mut swarm, whole(25)), Verdict::Accept);
    assert_eq!(verdict(&mut swarm, whole(26)), Verdict::Busy);
}

#[test]
fn of_a_short_range_no_more_is_asked_for() {
    let mut swarm = reading(vec![reader(10, 11)]);
    assert_eq!(told(&drain(&mut swarm))[0].ahead, [Ahead { first: 10, count: 2 }]);
    assert_eq!(verdict(&mut swarm, whole(12)), Verdict::Busy);
}

#[test]
fn a_reader_that_has_enough_costs_no_question_and_its_next_step_does() {
    let mut swarm = reading(vec![reader(10, 11)]);
    for number in [10, 11] {
        assert_eq!(verdict(&mut swarm, whole(number)), Verdict::Accept);
        arrives(&mut swarm, whole(number));
    }
    drain(&mut swarm);
    while let Some(at) = swarm.poll_timeout() {
        swarm.handle(at, Input::Timeout);
        let outputs = drain(&mut swarm);
        assert!(told(&outputs).is_empty(), "{outputs:?}");
    }
    read(&mut swarm, vec![reader(12, 12)]);
    assert_eq!(told(&drain(&mut swarm))[0].ahead, [Ahead { first: 12, count: 1 }]);
}

/// A map of a large file is long, and answers to offers bring it as well.
#[test]
fn neighbours_are_told_where_a_reader_is_when_half_of_what_they_know_is_behind_it() {
    let mut swarm = reading(vec![reader(10, 99)]);
    let (by, held) = (node(2), Held::All(ChunkSet::full(layout()).encode()));
    let stamp = message::Stamp { incarnation: 1, seq: 1 };
    let map = Map { stamp, interest: Interest::Complete, held, open: vec![], ahead: vec![] };
    let holdings = message::Holdings { holdings: vec![message::Holding { file: file(0), map: Some(map) }] };
    swarm.handle(Time::ZERO, Input::WhoHasAnswered { by, holdings });
    drain(&mut swarm);
    let mut told_at = |readers: &[(u64, u64)]| {
        read(&mut swarm, readers.iter().map(|&(at, last)| reader(at, last)).collect());
        !told(&drain(&mut swarm)).is_empty()
    };
    let steps: Vec<u64> = (11..40).filter(|&at| told_at(&[(at, 99)])).collect();
    assert_eq!(steps, [18, 26, 34]);
    assert!(told_at(&[(38, 99), (80, 99)]), "another reader comes");
    assert!(!told_at(&[(39, 99)]), "it goes");
    assert!(told_at(&[(39, 99), (81, 99)]), "one comes where it was");
    assert!(told_at(&[(5, 99)]), "one goes back");
}

#[test]
fn what_nobody_comes_to_any_more_is_broken_off_and_taken_again_when_somebody_does() {
    let mut swarm = reading(vec![reader(10, 20), reader(50, 60)]);
    for number in [10, 50] {
        assert_eq!(verdict(&mut swarm, whole(number)), Verdict::Accept);
    }
    let cancelled = |swarm: &mut Swarm| -> Vec<Slice> {
        let slice = |output: Output| match output {
            Output::CancelFetch { slice, .. } => Some(slice),
            _ => None,
        };
        drain(swarm).into_iter().filter_map(slice).collect()
    };
    read(&mut swarm, vec![reader(50, 60)]);
    assert_eq!(cancelled(&mut swarm), [whole(10)]);
    read(&mut swarm, vec![]);
    assert_eq!(cancelled(&mut swarm), [whole(50)]);
    assert_eq!(verdict(&mut swarm, whole(51)), Verdict::Busy);
    read(&mut swarm, vec![reader(50, 60)]);
    assert_eq!(verdict(&mut swarm, whole(50)), Verdict::Accept);
}

#[test]
fn who_goes_from_reading_to_nothing_tells_neighbours_and_declines() {
    let mut swarm = reading(vec![reader(10, 20)]);
    assert_eq!(verdict(&mut swarm, whole(10)), Verdict::Accept);
    add(&mut swarm, Want::Unwanted);
    let outputs = drain(&mut swarm);
    assert!(outputs.iter().any(|output| matches!(output, Output::CancelFetch { .. })));
    assert!(told(&outputs).iter().any(|map| map.interest == Interest::Unwanted), "{outputs:?}");
    assert_eq!(verdict(&mut swarm, whole(10)), Verdict::Declined);
}

#[test]
fn a_file_that_is_kept_after_all_is_wanted_whole_and_what_is_coming_goes_on() {
    let mut swarm = reading(vec![reader(10, 20)]);
    assert_eq!(verdict(&mut swarm, whole(10)), Verdict::Accept);
    add(&mut swarm, Want::Wanted);
    assert!(drain(&mut swarm).iter().all(|output| !matches!(output, Output::CancelFetch { .. })));
    assert_eq!(verdict(&mut swarm, whole(90)), Verdict::Accept);
    add(&mut swarm, Want::Reading);
    let outputs = drain(&mut swarm);
    assert!(told(&outputs).iter().any(|map| map.interest == Interest::Reading), "{outputs:?}");
    let cancelled = outputs.iter().filter_map(|output| match output {
        Output::CancelFetch { slice, .. } => Some(*slice),
        _ => None,
    });
    assert_eq!(cancelled.collect::<Vec<_>>(), [whole(90)]);
}

#[test]
fn a_file_that_was_read_to_its_end_is_finished_as_any() {
    let mut swarm = reading(vec![reader(0, 99)]);
    for number in 0..CHUNKS {
        read(&mut swarm, vec![reader(number, 99)]);
        assert_eq!(verdict(&mut swarm, whole(number)), Verdict::Accept);
        arrives(&mut swarm, whole(number));
    }
    let outputs = drain(&mut swarm);
    assert!(outputs.iter().any(|output| matches!(output, Output::Completed { .. })), "{outputs:?}");
}

#[test]
fn parts_that_readers_left_behind_do_not_take_the_places_of_what_they_come_to() {
    let mut swarm = reading(vec![]);
    for number in 0..CHUNKS {
        read(&mut swarm, vec![reader(number, number)]);
        let first = Slice::around(layout(), chunk(number), 0, 0).unwrap();
        assert_eq!(verdict(&mut swarm, first), Verdict::Accept, "{number}");
        arrives(&mut swarm, first);
    }
    assert!(swarm.parts(&file(0)).len() < OPEN_CHUNKS_MAX);
    assert!(swarm.serves(&file(0), Slice::around(layout(), chunk(99), 0, 0).unwrap()));
}

#[test]
fn readers_beyond_the_file_and_too_many_of_them_do_not_count() {
    let longer = ChunkLayout::new((CHUNKS + 1) * CHUNK_LEN).unwrap();
    let beyond = Reader { at: chunk(0), last: longer.chunk(CHUNKS).unwrap() };
    let mut readers = vec![reader(5, 4), beyond];
    readers.extend((0..=READERS_MAX as u64).map(|_| reader(7, 8)));
    let mut swarm = reading(readers);
    assert_eq!(told(&drain(&mut swarm))[0].ahead, [Ahead { first: 7, count: 2 }; READERS_MAX]);
}

#[test]
fn a_source_offers_what_readers_come_to_next_in_order_and_nothing_else() {
    assert_eq!(offered(&[(10, 4)], &[]), [10, 11, 12, 13]);
    assert_eq!(offered(&[(10, 4)], &[10, 12]), [11, 13]);
    assert_eq!(offered(&[(10, 2)], &[10, 11]), [0; 0]);
    assert_eq!(offered(&[], &[]), [0; 0]);
}

#[test]
fn several_readers_at_one_node_get_theirs_in_turn() {
    assert_eq!(offered(&[(10, 3), (50, 2)], &[]), [10, 50, 11, 51, 12]);
}

#[test]
fn a_map_that_reads_beyond_the_file_is_none_of_it() {
    let mut swarm = holder_of(1, CHUNKS);
    let ahead = vec![Ahead { first: 99, count: 2 }];
    let (stamp, held) = (message::Stamp { incarnation: 1, seq: 1 }, Held::Added(vec![]));
    let map = Map { stamp, interest: Interest::Reading, held, open: vec![], ahead };
    let who_has = WhoHas { asks: vec![Ask { file: file(0), map }] };
    swarm.handle(Time::ZERO, Input::WhoHas { from: node(2), exchange: ExchangeId(0), who_has });
    let outputs = drain(&mut swarm);
    let is_malformed =
        |output: &Output| matches!(output, Output::Offence { kind: OffenceKind::Malformed, .. });
    assert!(outputs.iter().any(is_malformed), "{outputs:?}");
    assert_eq!(swarm.sends_len(), 0);
}
