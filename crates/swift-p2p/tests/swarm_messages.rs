//! What the swarm's decoders take and refuse.

use proptest::prelude::*;
use swift_chunks::{ChunkLayout, ChunkSet, FILE_LEN_MAX, FileId};
use swift_p2p::swarm::message::*;

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100).prop_map(Held::All),
        prop::collection::vec(any::<u32>(), 0..=ADDED_MAX).prop_map(Held::Added),
    ]
}

fn open_chunks() -> impl Strategy<Value = Vec<OpenChunk>> {
    let chunks = prop::collection::btree_map(any::<u32>(), any::<(u64, u64)>(), 0..=OPEN_CHUNKS_MAX);
    chunks.prop_map(|chunks| {
        chunks.into_iter().map(|(chunk, (held, coming))| OpenChunk { chunk, held, coming }).collect()
    })
}

fn map() -> impl Strategy<Value = Map> {
    use Interest::*;
    let interest = prop_oneof![Just(Wanted), Just(Complete), Just(Unwanted), Just(Reading)];
    let ahead = (any::<u32>(), 1..=AHEAD_MAX).prop_map(|(first, count)| Ahead { first, count });
    let ahead = prop::collection::vec(ahead, 0..=READERS_MAX);
    (any::<(u64, u64)>(), interest, held(), open_chunks(), ahead).prop_map(
        |((incarnation, seq), interest, held, open, ahead)| Map {
            stamp: Stamp { incarnation, seq },
            interest,
            held,
            open,
            ahead,
        },
    )
}

fn verdict() -> impl Strategy<Value = Verdict> {
    use Verdict::*;
    prop_oneof![Just(Accept), Just(Have), Just(Enough), Just(Busy), Just(Declined), Just(Unknown)]
}

fn a_map(held: Held, open: u32) -> Map {
    let open = (0..open).map(|chunk| OpenChunk { chunk, held: 1, coming: 2 }).collect();
    Map { stamp: Stamp::default(), interest: Interest::Wanted, held, open, ahead: vec![] }
}

fn all_of(bytes: usize) -> Held {
    Held::All(vec![1; bytes])
}

fn file(number: u8) -> FileId {
    FileId::from_bytes([number; 32])
}

fn an_offer(slices: Vec<u32>, map: Option<Map>) -> Offer {
    Offer { file: file(1), slices, take: 2, map }
}

proptest! {
    #[test]
    fn every_message_survives_the_round_trip(
        maps in prop::collection::vec(prop::option::of(map()), 1..8),
        numbers in prop::collection::btree_set(any::<u32>(), 1..=OFFER_SLICES_MAX),
        take in 1_u8..,
        verdicts in prop::collection::vec(verdict(), 0..=OFFER_SLICES_MAX),
        slice in any::<u32>(),
    ) {
        let offer = Offer { take, ..an_offer(numbers.into_iter().collect(), maps[0].clone()) };
        prop_assert_eq!(Offer::decode(&offer.encode()), Ok(offer));
        let answer = Answer { stamp: Stamp { incarnation: 1, seq: 2 }, verdicts, map: maps[0].clone() };
        prop_assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        let confirm = Confirm { file: file(4), slice };
        prop_assert_eq!(Confirm::decode(&confirm.encode()), Ok(confirm));
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
            prop_assert!(!offer.slices.is_empty() && offer.slices.len() <= OFFER_SLICES_MAX && offer.take > 0);
        }
        if let Ok(answer) = Answer::decode(&bytes) {
            prop_assert!(answer.verdicts.len() <= OFFER_SLICES_MAX);
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
        let offer = an_offer(vec![1, 2, 3], Some(a_map(all_of(50), 3))).encode();
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
    let held = held.encode();
    assert_eq!(held.len(), HELD_BYTES_MAX);
    let last = u32::MAX - u32::try_from(OPEN_CHUNKS_MAX).unwrap();
    let open = (last..u32::MAX).map(|chunk| OpenChunk { chunk, held: u64::MAX, coming: u64::MAX }).collect();
    let stamp = Stamp { incarnation: u64::MAX, seq: u64::MAX };
    let ahead = vec![Ahead { first: u32::MAX, count: AHEAD_MAX }; READERS_MAX];
    let map = Map { stamp, open, ahead, ..a_map(Held::All(held), 0) };
    let offer = Offer { take: u8::MAX, ..an_offer((u32::MAX - 16..u32::MAX).collect(), Some(map.clone())) };
    assert_eq!(Offer::decode(&offer.encode()), Ok(offer));
    let verdicts = vec![Verdict::Unknown; OFFER_SLICES_MAX];
    let answer = Answer { stamp, verdicts, map: Some(map.clone()) };
    assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    let confirm = Confirm { file: file(1), slice: u32::MAX };
    assert_eq!(Confirm::decode(&confirm.encode()), Ok(confirm));
    // A message takes no further map once it has this many bytes of them, so two of the largest are the most; the other
    // files in it have short ones.
    let small = Map { held: Held::All(Vec::new()), ..map.clone() };
    let mut asks = vec![Ask { file: file(1), map: small }; FILES_PER_MESSAGE_MAX - 2];
    asks.extend([Ask { file: file(1), map: map.clone() }, Ask { file: file(2), map }]);
    let who_has = WhoHas { asks };
    assert!(who_has.encode().len() <= HOLDINGS_BYTES_MAX, "{}", who_has.encode().len());
    assert_eq!(WhoHas::decode(&who_has.encode()), Ok(who_has));
}

#[test]
fn lists_beyond_their_bounds_are_refused() {
    let offer = |slices: Vec<u32>, map| Offer::decode(&an_offer(slices, map).encode());
    assert_eq!(offer((0..17).collect(), None), Err(MessageError::BadList));
    assert_eq!(offer(vec![], None), Err(MessageError::BadList));
    assert_eq!(offer(vec![4, 5, 4], None), Err(MessageError::BadList));
    assert_eq!(offer(vec![1], Some(a_map(all_of(0), 65))), Err(MessageError::BadList));
    assert_eq!(offer(vec![1], Some(a_map(all_of(HELD_BYTES_MAX + 1), 0))), Err(MessageError::BadList));
    let added = Held::Added(vec![7; ADDED_MAX + 1]);
    assert_eq!(offer(vec![1], Some(a_map(added, 0))), Err(MessageError::BadList));
    let mut twice = a_map(all_of(1), 2);
    twice.open[1].chunk = twice.open[0].chunk;
    assert_eq!(offer(vec![1], Some(twice)), Err(MessageError::BadList));
    for ahead in [vec![Ahead { first: 1, count: 0 }], vec![Ahead { first: 1, count: AHEAD_MAX + 1 }]] {
        let map = Map { ahead, ..a_map(all_of(1), 0) };
        assert_eq!(offer(vec![1], Some(map)), Err(MessageError::BadList));
    }
    let ahead = vec![Ahead { first: 1, count: 1 }; READERS_MAX + 1];
    assert_eq!(offer(vec![1], Some(Map { ahead, ..a_map(all_of(1), 0) })), Err(MessageError::BadList));
    let nothing_to_take = Offer { take: 0, ..an_offer(vec![1], None) };
    assert_eq!(Offer::decode(&nothing_to_take.encode()), Err(MessageError::BadList));
    let holdings = vec![Holding { file: file(1), map: None }; FILES_PER_MESSAGE_MAX + 1];
    assert_eq!(Holdings::decode(&Holdings { holdings }.encode()), Err(MessageError::BadList));
    let long = vec![0; HOLDINGS_BYTES_MAX + 1];
    let limit = HOLDINGS_BYTES_MAX;
    assert_eq!(WhoHas::decode(&long), Err(MessageError::TooLong { len: limit + 1, limit }));
}

#[test]
fn the_bytes_of_an_offer_are_what_they_were() {
    let open = vec![OpenChunk { chunk: 3, held: 1, coming: 130 }];
    let stamp = Stamp { incarnation: 300, seq: 1 };
    let ahead = vec![Ahead { first: 4, count: 16 }];
    let map = Map { stamp, open, ahead, ..a_map(all_of(2), 0) };
    let offer = Offer { file: file(7), slices: vec![5, 200], take: 1, map: Some(map) };
    let map = [&[1, 0xac, 2, 1, 0][..], &[0, 2, 1, 1], &[1, 3, 0x98, 64, 65, 71], &[1, 4, 16]].concat();
    let golden = [&[7; 32][..], &[2, 5, 0xc8, 1], &[1], &map].concat();
    assert_eq!(offer.encode(), golden);
}

#[test]
fn the_bytes_of_an_answer_and_a_confirmation_are_what_they_were() {
    use Verdict::*;
    let stamp = Stamp { incarnation: 1, seq: 2 };
    let map = Map { interest: Interest::Unwanted, ..a_map(Held::Added(vec![1, 128]), 0) };
    let answer =
        Answer { stamp, verdicts: vec![Accept, Have, Enough, Busy, Declined, Unknown], map: Some(map) };
    let map = [&[1, 0, 0, 2][..], &[1, 2, 1, 0x80, 1], &[0, 0]].concat();
    assert_eq!(answer.encode(), [&[1, 2, 6, 0, 1, 2, 3, 4, 5][..], &map].concat());
    let confirm = Confirm { file: file(7), slice: 129 };
    assert_eq!(confirm.encode(), [&[7; 32][..], &[0x81, 1]].concat());
}

#[test]
fn several_messages_stand_one_after_the_other_and_one_alone_is_as_it_was() {
    let confirms: Vec<Confirm> = (0..64).map(|slice| Confirm { file: file(7), slice }).collect();
    assert_eq!(Confirm::decode_all(&Confirm::encode_all(&confirms)), Ok(confirms.clone()));
    assert_eq!(Confirm::encode_all(&confirms[..1]), confirms[0].encode());
    let offers = vec![an_offer(vec![64], None), an_offer(vec![1, 2], Some(a_map(all_of(9), 3)))];
    let bytes = Offer::encode_all(&offers);
    assert_eq!(Offer::decode_all(&bytes), Ok(offers));
    for wrong in [&[][..], &bytes[..bytes.len() - 1], &[&bytes[..], &[7]].concat()] {
        assert_eq!(Offer::decode_all(wrong), Err(MessageError::Malformed));
    }
}

#[test]
fn too_many_messages_in_one_request_are_refused_and_so_are_bad_ones_among_them() {
    let confirms: Vec<Confirm> = (0..65).map(|slice| Confirm { file: file(7), slice }).collect();
    assert_eq!(Confirm::decode_all(&Confirm::encode_all(&confirms)), Err(MessageError::BadList));
    let offers = [an_offer(vec![64], None), an_offer(vec![1, 1], None)];
    assert_eq!(Offer::decode_all(&Offer::encode_all(&offers)), Err(MessageError::BadList));
    let long = vec![0; Confirm::TOGETHER_BYTES_MAX + 1];
    assert!(matches!(Confirm::decode_all(&long), Err(MessageError::TooLong { .. })));
    let long = vec![0; Offer::TOGETHER_BYTES_MAX + 1];
    assert!(matches!(Offer::decode_all(&long), Err(MessageError::TooLong { .. })));
}
