//! A node that comes back with parts of chunks.

use super::super::message::{Answer, OPEN_CHUNKS_MAX, Offer, OpenChunk, Verdict};
use super::*;

const LAYOUT_CHUNKS: u64 = 100;

fn layout() -> ChunkLayout {
    ChunkLayout::new(LAYOUT_CHUNKS * CHUNK_LEN).unwrap()
}

fn chunk(number: u64) -> ChunkIndex {
    layout().chunk(number).unwrap()
}

/// The slice of eight grains that begins with a grain.
fn eight(number: u64, grain: u32) -> Slice {
    Slice::around(layout(), chunk(number), grain, 3).unwrap()
}

fn back_with(parts: Vec<(ChunkIndex, Grains)>) -> Swarm {
    let mut swarm = Swarm::new(node(1), Config::default(), 1);
    swarm.handle(Time::ZERO, Input::PeerOnline { peer: node(2) });
    add(&mut swarm, parts);
    swarm
}

fn add(swarm: &mut Swarm, parts: Vec<(ChunkIndex, Grains)>) {
    let (held, publisher) = (ChunkSet::empty(layout()), node(2));
    swarm.handle(Time::ZERO, Input::FileAdded { file: file(0), publisher, held, parts, want: Want::Wanted });
}

/// What the node says to an offer of a slice.
fn verdict(swarm: &mut Swarm, slice: Slice) -> Verdict {
    let offer = Offer { file: file(0), slices: vec![slice.number()], take: 1, map: None };
    swarm.handle(Time::ZERO, Input::Offer { from: node(2), exchange: ExchangeId(9), offer });
    let mut answers = drain(swarm).into_iter().filter_map(|output| match output {
        Output::Answer { answer: Answer { verdicts, .. }, .. } => Some(verdicts[0]),
        _ => None,
    });
    answers.next().unwrap()
}

fn wholes(outputs: &[Output]) -> Vec<ChunkIndex> {
    let whole = |output: &Output| match output {
        Output::Whole { chunk, .. } => Some(*chunk),
        _ => None,
    };
    outputs.iter().filter_map(whole).collect()
}

#[test]
fn what_is_here_since_before_is_told_and_not_fetched_again() {
    let mut swarm = back_with(vec![(chunk(3), Grains::from_bits(0xff00)), (chunk(7), Grains::from_bits(1))]);
    let outputs = drain(&mut swarm);
    let asked = outputs.iter().find_map(|output| match output {
        Output::WhoHas { who_has, .. } => Some(&who_has.asks[0].map),
        _ => None,
    });
    let open = |chunk, held| OpenChunk { chunk, held, coming: 0 };
    assert_eq!(asked.unwrap().open, [open(3, 0xff00), open(7, 1)]);
    assert_eq!(swarm.progress(&file(0)).unwrap().bytes, 9 * swift_chunks::GRAIN_LEN);

    assert_eq!(verdict(&mut swarm, eight(3, 8)), Verdict::Have);
    assert_eq!(verdict(&mut swarm, eight(7, 0)), Verdict::Have, "some of it is here");
    assert_eq!(verdict(&mut swarm, eight(3, 0)), Verdict::Accept);
    assert_eq!(verdict(&mut swarm, eight(7, 8)), Verdict::Accept);
}

#[test]
fn what_is_here_since_before_is_served_and_offered() {
    let mut swarm = back_with(vec![(chunk(3), Grains::from_bits(0xff00))]);
    drain(&mut swarm);
    assert!(swarm.serves(&file(0), eight(3, 8)) && !swarm.serves(&file(0), eight(3, 0)));
    ask(&mut swarm, 2, 0, 1);
    let offered: Vec<u32> = drain(&mut swarm)
        .into_iter()
        .flat_map(|output| if let Output::Offer { offer, .. } = output { offer.slices } else { vec![] })
        .collect();
    let grains = offered.iter().map(|&number| Slice::from_number(layout(), number).unwrap());
    let grains = grains.fold(Grains::NONE, |all, slice| {
        assert_eq!(slice.chunk(), chunk(3));
        all.and(slice.grains(layout()))
    });
    assert_eq!(grains, Grains::from_bits(0xff00));
}

#[test]
fn a_chunk_with_every_grain_is_looked_at_at_once_and_fetched_again_if_it_is_damaged() {
    let all = Grains::from_bits(u64::MAX);
    let mut swarm = back_with(vec![(chunk(3), all), (chunk(4), all)]);
    assert_eq!(wholes(&drain(&mut swarm)), [chunk(3), chunk(4)]);
    assert_eq!(verdict(&mut swarm, eight(3, 0)), Verdict::Have);
    let checked = |chunk, outcome| Input::ChunkChecked { file: file(0), chunk, outcome };
    swarm.handle(Time::ZERO, checked(chunk(3), CheckOutcome::Damaged));
    swarm.handle(Time::ZERO, checked(chunk(4), CheckOutcome::Verified));
    assert!(swarm.held(&file(0)).unwrap().iter().eq([chunk(4)]));
    assert_eq!(verdict(&mut swarm, Slice::of_chunk(chunk(3))), Verdict::Accept);
    assert_eq!(verdict(&mut swarm, eight(4, 0)), Verdict::Have);
}

#[test]
fn the_last_missing_grain_makes_the_chunk_whole() {
    let mut swarm = back_with(vec![(chunk(3), Grains::from_bits(u64::MAX << 8))]);
    let slice = eight(3, 0);
    assert_eq!(verdict(&mut swarm, slice), Verdict::Accept);
    let outcome = FetchOutcome::Verified;
    swarm.handle(Time::ZERO, Input::Fetched { from: node(2), file: file(0), slice, outcome });
    assert_eq!(wholes(&drain(&mut swarm)), [chunk(3)]);
}

#[test]
fn grains_of_no_more_chunks_count_than_may_be_open_and_none_that_the_file_does_not_have() {
    let part = |number| (chunk(number), Grains::from_bits(2));
    let mut swarm = back_with((0..LAYOUT_CHUNKS).map(part).collect());
    assert_eq!(swarm.parts(&file(0)).len(), OPEN_CHUNKS_MAX);
    assert!(!matches!(verdict(&mut swarm, eight(99, 0)), Verdict::Have));

    let longer = ChunkLayout::new(LAYOUT_CHUNKS * CHUNK_LEN + 1).unwrap();
    let beyond = longer.chunk(LAYOUT_CHUNKS).unwrap();
    let swarm = back_with(vec![(beyond, Grains::from_bits(1)), (chunk(0), Grains::NONE)]);
    assert_eq!(swarm.parts(&file(0)), []);
}

#[test]
fn what_turns_out_to_be_here_is_not_waited_for() {
    let mut swarm = back_with(vec![]);
    assert_eq!(verdict(&mut swarm, eight(3, 0)), Verdict::Accept);
    assert_eq!(verdict(&mut swarm, eight(3, 8)), Verdict::Accept);
    add(&mut swarm, vec![(chunk(3), Grains::from_bits(0xff))]);
    let cancelled: Vec<Slice> = drain(&mut swarm)
        .into_iter()
        .filter_map(|output| if let Output::CancelFetch { slice, .. } = output { Some(slice) } else { None })
        .collect();
    assert_eq!(cancelled, [eight(3, 0)]);
    assert_eq!(swarm.parts(&file(0)), [(chunk(3), Grains::from_bits(0xff))]);
    assert_eq!(swarm.progress(&file(0)).unwrap().coming, 1);
}
