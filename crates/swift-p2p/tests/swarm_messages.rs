//! What the swarm's decoders take and refuse.

use proptest::prelude::*;
use swift_chunks::{ChunkLayout, ChunkSet, FILE_LEN_MAX, FileId};
use swift_p2p::swarm::message::*;

fn map() -> impl Strategy<Value = Map> {
    let interest = prop_oneof![Just(Interest::Wanted), Just(Interest::Complete), Just(Interest::Unwanted)];
    let held = prop::collection::vec(any::<u8>(), 0..100);
    let coming = prop::collection::vec(any::<u32>(), 0..=COMING_MAX);
    (any::<(u64, u64)>(), interest, held, coming).prop_map(|((incarnation, seq), interest, held, coming)| {
        Map { stamp: Stamp { incarnation, seq }, interest, held, coming }
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    use Verdict::*;
    prop_oneof![Just(Accept), Just(Have), Just(Busy), Just(Declined), Just(Unknown)]
}

fn a_map(held: usize, coming: u32) -> Map {
    Map {
        stamp: Stamp::default(),
        interest: Interest::Wanted,
        held: vec![1; held],
        coming: (0..coming).collect(),
    }
}

fn file(number: u8) -> FileId {
    FileId::from_bytes([number; 32])
}

proptest! {
    #[test]
    fn every_message_survives_the_round_trip(
        maps in prop::collection::vec(prop::option::of(map()), 1..8),
        numbers in prop::collection::btree_set(any::<u32>(), 1..=OFFER_UNITS_MAX),
        verdicts in prop::collection::vec(verdict(), 0..=OFFER_UNITS_MAX),
    ) {
        let units = numbers.into_iter().collect();
        let offer = Offer { file: file(1), units, map: maps[0].clone() };
        prop_assert_eq!(Offer::decode(&offer.encode()), Ok(offer));
        let answer = Answer { stamp: Stamp { incarnation: 1, seq: 2 }, verdicts, map: maps[0].clone() };
        prop_assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        let asks: Vec<Ask> = maps.iter().flatten().map(|map| Ask { file: file(2), map: map.clone() }).collect();
        let who_has = WhoHas { asks };
        let decoded = WhoHas::decode(&who_has.encode());
        prop_assert_eq!(decoded, if who_has.asks.is_empty() { Err(MessageError::BadList) } else { Ok(who_has) });
        let holdings = maps.into_iter().map(|map| Holding { file: file(3), map }).collect();
        let holdings = Holdings { holdings };
        prop_assert_eq!(Holdings::decode(&holdings.encode()), Ok(holdings));
    }

    #[test]
    fn hostile_bytes_are_a_bounded_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(offer) = Offer::decode(&bytes) {
            prop_assert!(!offer.units.is_empty() && offer.units.len() <= OFFER_UNITS_MAX);
        }
        if let Ok(answer) = Answer::decode(&bytes) {
            prop_assert!(answer.verdicts.len() <= OFFER_UNITS_MAX);
        }
        if let Ok(who_has) = WhoHas::decode(&bytes) {
            prop_assert!(who_has.asks.len() <= FILES_PER_MESSAGE_MAX);
        }
        if let Ok(holdings) = Holdings::decode(&bytes) {
            prop_assert!(holdings.holdings.len() <= FILES_PER_MESSAGE_MAX);
        }
        let _ = Confirm::decode(&bytes);
    }

    #[test]
    fn a_message_cut_short_or_with_bytes_left_over_is_refused(cut in 1_usize..40, more in 1_usize..40) {
        let offer = Offer { file: file(1), units: vec![1, 2, 3], map: Some(a_map(50, 3)) }.encode();
        prop_assert!(Offer::decode(&offer[..offer.len() - cut]).is_err());
        let longer = [offer, vec![0; more]].concat();
        prop_assert_eq!(Offer::decode(&longer), Err(MessageError::Malformed));
    }
}

#[test]
fn the_largest_map_there_is_fits_into_every_message() {
    let layout = ChunkLayout::new(FILE_LEN_MAX).unwrap();
    let mut held = ChunkSet::empty(layout);
    layout.chunks().step_by(2).for_each(|chunk| _ = held.insert(chunk));
    let map = Map { held: held.encode(), ..a_map(0, 32) };
    assert_eq!(map.held.len(), HELD_BYTES_MAX);
    let offer = Offer { file: file(1), units: (0..16).collect(), map: Some(map.clone()) };
    assert_eq!(Offer::decode(&offer.encode()), Ok(offer));
    let answer = Answer {
        stamp: Stamp::default(),
        verdicts: vec![Verdict::Have; OFFER_UNITS_MAX],
        map: Some(map.clone()),
    };
    assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    // A message takes no further map once it has this many bytes of them, so two of the largest are the most.
    let asks = vec![Ask { file: file(1), map: map.clone() }, Ask { file: file(2), map }];
    let who_has = WhoHas { asks };
    assert_eq!(WhoHas::decode(&who_has.encode()), Ok(who_has));
}

#[test]
fn lists_beyond_their_bounds_are_refused() {
    let offer = |units: Vec<u32>, map| Offer::decode(&Offer { file: file(1), units, map }.encode());
    assert_eq!(offer((0..17).collect(), None), Err(MessageError::BadList));
    assert_eq!(offer(vec![], None), Err(MessageError::BadList));
    assert_eq!(offer(vec![4, 5, 4], None), Err(MessageError::BadList));
    assert_eq!(offer(vec![1], Some(a_map(0, 33))), Err(MessageError::BadList));
    assert_eq!(offer(vec![1], Some(a_map(HELD_BYTES_MAX + 1, 0))), Err(MessageError::BadList));
    let holdings = vec![Holding { file: file(1), map: None }; FILES_PER_MESSAGE_MAX + 1];
    assert_eq!(Holdings::decode(&Holdings { holdings }.encode()), Err(MessageError::BadList));
    let long = vec![0; HOLDINGS_BYTES_MAX + 1];
    let limit = HOLDINGS_BYTES_MAX;
    assert_eq!(WhoHas::decode(&long), Err(MessageError::TooLong { len: limit + 1, limit }));
}

#[test]
fn the_bytes_of_an_offer_are_what_they_were() {
    let map = Map { stamp: Stamp { incarnation: 300, seq: 1 }, ..a_map(2, 1) };
    let offer = Offer { file: file(7), units: vec![5, 200], map: Some(map) };
    let golden = [&[7; 32][..], &[2, 5, 0xc8, 1], &[1, 0xac, 2, 1, 0, 2, 1, 1, 1, 0]].concat();
    assert_eq!(offer.encode(), golden);
}
