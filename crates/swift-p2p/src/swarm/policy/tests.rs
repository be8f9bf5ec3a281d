//! What the policy decides, as a specification.

use std::collections::BTreeSet;

use super::*;

fn standard() -> Standard {
    Standard::new(Config::default())
}

#[test]
fn the_rarest_are_offered_and_equal_choices_are_all_made_in_time() {
    let slices = [3, 2, 9, 1].map(|known| SliceChoice { known, is_begun: false });
    let random = &mut Random::new(1);
    assert_eq!(standard().choose_slices(&slices, 2, None, random), [3, 1]);
    assert_eq!(standard().choose_slices(&slices, 9, None, random), [3, 1, 0, 2]);
    assert_eq!(standard().choose_slices(&[], 1, None, random), [0; 0]);
    let equal = [SliceChoice { known: 7, is_begun: false }; 4];
    let chosen: BTreeSet<_> =
        (0..100).flat_map(|_| standard().choose_slices(&equal, 1, None, random)).collect();
    assert_eq!(chosen.len(), 4);
}

#[test]
fn of_slices_that_are_equally_rare_those_of_begun_chunks_go_first_unless_the_uplink_is_slow() {
    let slices = [(5, false), (5, true), (4, false), (5, true), (4, true)];
    let slices = slices.map(|(known, is_begun)| SliceChoice { known, is_begun });
    let mut random = Random::new(1);
    let mut chosen = |uplink_rate| standard().choose_slices(&slices, 5, uplink_rate, &mut random);
    for uplink_rate in [None, Some(1_000_000_000)] {
        let chosen = chosen(uplink_rate);
        assert_eq!((&chosen[..2], chosen[4]), (&[4, 2][..], 0));
    }
    let first: BTreeSet<_> = (0..100).map(|_| chosen(Some(1_000_000))[0]).collect();
    assert_eq!(first, BTreeSet::from([2, 4]));
}

#[test]
fn a_slice_is_what_leaves_in_a_moment_and_a_chunk_over_fast_links() {
    let level_among = |neighbours, file_len, uplink_rate, peer_rate| {
        let (sent, lacking) = (file_len, file_len);
        standard().slice_level(SliceSizing {
            file_len,
            sent,
            lacking,
            neighbours,
            is_shared: true,
            uplink_rate,
            peer_rate,
            round_trip: None,
        })
    };
    let level = |file_len, uplink_rate, peer_rate| level_among(15, file_len, uplink_rate, peer_rate);
    let large = 10 << 30;
    assert_eq!(level(large, None, None), 2);
    assert_eq!(level(large, Some(5_000_000), None), 1);
    // The more nodes a slice goes through, the smaller it is.
    assert_eq!(level_among(1000, large, Some(5_000_000), None), 0);
    assert_eq!(level_among(1, large, Some(5_000_000), None), 3);
    assert_eq!(level(large, Some(500_000_000), None), SLICE_LEVEL_MAX);
    // Where there is work to be saved, a chunk is not parted without need.
    assert_eq!(level(large, Some(25_000_000), None), SLICE_LEVEL_MAX);
    assert_eq!(level_among(1000, large, Some(25_000_000), None), 2);
    assert_eq!(level(128 << 20, Some(25_000_000), None), 4);
    assert_eq!(level(large, Some(500_000_000), Some(600_000)), 4);
    assert_eq!(level(large, Some(1), None), 0);
    assert_eq!(level(1, Some(500_000_000), None), 0);
    assert_eq!(level(64 << 20, Some(500_000_000), None), 3);
    let alone = SliceSizing {
        neighbours: 1,
        is_shared: false,
        file_len: 1 << 30,
        sent: 0,
        lacking: 1 << 30,
        uplink_rate: None,
        peer_rate: None,
        round_trip: None,
    };
    assert_eq!(standard().slice_level(alone), 2);
    let measured = |peer_rate| standard().slice_level(SliceSizing { peer_rate: Some(peer_rate), ..alone });
    assert_eq!((measured(100_000_000), measured(300_000)), (SLICE_LEVEL_MAX, 3));
}

#[test]
fn the_last_places_are_for_files_of_which_nothing_is_coming() {
    let load = |coming, coming_of_file, other_files| ReceiverLoad {
        coming,
        coming_of_file,
        coming_from_peer: 0,
        has_other_sources: false,
        link: Link::default(),
        other_files,
        more_urgent: 0,
        starved_more_urgent: 0,
        is_low: false,
    };
    let Config { fetches_max: most, fetches_reserved: kept, .. } = Config::default();
    assert_eq!(standard().admit(load(most - 1, most - 1, 0)), Admission::Take);
    assert_eq!(standard().admit(load(most, most, 0)), Admission::Busy);
    assert_eq!(standard().admit(load(most - kept, most - kept, 1)), Admission::Busy);
    assert_eq!(standard().admit(load(most - 1, 0, 1)), Admission::Take);
    assert_eq!(standard().admit(load(most, 0, 1)), Admission::Busy);
}

#[test]
fn a_source_gets_half_of_the_places_while_there_are_others_and_a_long_way_has_more_places() {
    let most = Config::default().fetches_max;
    let mut load = ReceiverLoad {
        coming: most / 2,
        coming_of_file: most / 2,
        coming_from_peer: most / 2,
        has_other_sources: true,
        link: Link::default(),
        other_files: 0,
        more_urgent: 0,
        starved_more_urgent: 0,
        is_low: false,
    };
    assert_eq!(standard().admit(load), Admission::Busy);
    load.has_other_sources = false;
    assert_eq!(standard().admit(load), Admission::Take);
    load.coming = most;
    assert_eq!(standard().admit(load), Admission::Busy);
    let round_trip = Some(Duration::from_millis(200));
    load.link = Link { rate: Some(50_000_000), round_trip, slice_len: 256 * 1024 };
    assert_eq!(standard().admit(load), Admission::Take);
    assert!(standard().credit(load.link, true) > standard().credit(Link::default(), true));
}

#[test]
fn the_larger_slices_are_that_others_wait_for_the_fewer_leave_at_once() {
    let credit = |slice_len, is_shared| {
        standard().credit(Link { rate: Some(100_000_000), round_trip: None, slice_len }, is_shared)
    };
    assert_eq!(credit(256 * 1024, true), 10);
    assert_eq!(credit(CHUNK_LEN / 2, true), 4);
    assert_eq!(credit(CHUNK_LEN, true), 3);
    // Where nobody else waits, as many as keep the way busy.
    assert_eq!(credit(CHUNK_LEN, false), 10);
}

#[test]
fn the_first_slices_of_a_file_and_the_last_of_a_peer_are_small() {
    let level = |sent, lacking| {
        standard().slice_level(SliceSizing {
            file_len: 10 << 30,
            sent,
            lacking,
            neighbours: 8,
            is_shared: true,
            uplink_rate: Some(100_000_000),
            peer_rate: None,
            round_trip: None,
        })
    };
    assert_eq!(level(0, 10 << 30), 0);
    assert_eq!(level(1 << 20, 10 << 30), 3);
    assert_eq!(level(8 << 20, 10 << 30), SLICE_LEVEL_MAX);
    assert_eq!(level(10 << 30, 4 << 20), 5);
}

#[test]
fn waits_follow_the_peer_and_stay_within_their_bounds() {
    let ms = Duration::from_millis;
    assert_eq!(standard().busy_wait(None, 0), ms(50));
    assert_eq!(standard().busy_wait(Some(ms(30)), 1), ms(120));
    assert_eq!(standard().busy_wait(Some(ms(30)), 4000), ms(1000));
    assert_eq!(standard().stall_after(Some(1_000_000_000)), ms(5000));
    assert_eq!(standard().stall_after(Some(16 * 1024)), ms(16_000));
    assert_eq!(standard().stall_after(Some(0)), ms(60_000));
    assert!(standard().ask_again(u32::MAX, &mut Random::new(3)) <= ms(37_500));
}

#[test]
fn of_files_smaller_than_a_grain_as_many_are_under_way_as_come_through_in_half_a_second() {
    let link = |rate, slice_len| Link { rate, round_trip: None, slice_len };
    let credit = |rate, slice_len| standard().credit(link(rate, slice_len), true);
    let few = standard().credit(Link::default(), true);
    assert_eq!(credit(Some(100_000_000), 10_240), standard().config.credit_max);
    assert_eq!(credit(Some(1_000_000), 10_000), 50);
    // No rate is known yet, or it is so low that more would only wait.
    assert_eq!(credit(None, 10_240), few);
    assert_eq!(credit(Some(100_000), 10_240), few);
    // What is no small file is as it was.
    assert_eq!(credit(Some(100_000_000), GRAIN_LEN), few);
    assert_eq!(standard().requests(link(Some(1_000_000), 10_000)), 50);
    let load = |coming| ReceiverLoad {
        coming,
        coming_of_file: 0,
        coming_from_peer: coming,
        has_other_sources: false,
        link: link(Some(1_000_000), 10_000),
        other_files: 100,
        more_urgent: 0,
        starved_more_urgent: 0,
        is_low: false,
    };
    assert_eq!(standard().admit(load(49)), Admission::Take);
    assert_eq!(standard().admit(load(50)), Admission::Busy);
}
