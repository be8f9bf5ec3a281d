//! Of which chunk a peer is offered a slice.

use std::collections::BTreeSet;

use super::*;
use message::{Answer, Stamp, Verdict};

/// The slices that go out to a peer, with the offers they are in.
fn offered(swarm: &mut Swarm, number: u8) -> Vec<(ExchangeId, Slice)> {
    let layout = swarm.held(&file(0)).unwrap().layout();
    let offers = drain(swarm).into_iter().filter_map(|output| match output {
        Output::Offer { to, exchange, offer } if to == node(number) => Some((exchange, offer.slices)),
        _ => None,
    });
    let slices = offers.flat_map(|(exchange, slices)| slices.into_iter().map(move |slice| (exchange, slice)));
    slices.map(|(exchange, slice)| (exchange, Slice::from_number(layout, slice).unwrap())).collect()
}

/// A chunk that begins in parts ends in parts, everywhere.
#[test]
fn the_small_slices_that_a_source_begins_with_are_different_ones_of_one_chunk() {
    let mut swarm = holder_of(1, 40);
    let mut slices = Vec::new();
    for number in 2..5 {
        ask(&mut swarm, number, 0, 1);
        slices.extend(offered(&mut swarm, number).into_iter().map(|(_, slice)| slice));
    }
    let chunks: BTreeSet<_> = slices.iter().map(|slice| slice.chunk()).collect();
    let grains: BTreeSet<_> = slices.iter().map(|slice| slice.first_grain()).collect();
    assert_eq!((slices.len(), chunks.len(), grains.len()), (3, 1, 3));
}

/// Whoever had wrong bytes of a chunk from here takes no more of it: the others must not wait for that one.
#[test]
fn what_a_peer_declines_of_a_begun_chunk_is_followed_by_other_chunks_and_offered_again_when_there_are_none() {
    for units in [40, 1] {
        let mut swarm = holder_of(1, units);
        // The chunk is begun with another peer, and so would come first.
        ask(&mut swarm, 3, 0, 1);
        let begun = offered(&mut swarm, 3)[0].1;
        ask(&mut swarm, 2, 0, 1);
        let (exchange, declined) = offered(&mut swarm, 2)[0];
        assert_eq!(declined.chunk(), begun.chunk());
        let stamp = Stamp { incarnation: 1, seq: 2 };
        let answer = Answer { stamp, verdicts: vec![Verdict::Declined], map: None };
        swarm.handle(Time::ZERO, Input::OfferAnswered { by: node(2), exchange, answer });
        assert_eq!(offered(&mut swarm, 2), []);
        let next = loop {
            let at = swarm.poll_timeout().unwrap();
            swarm.handle(at, Input::Timeout);
            if let Some(&(_, next)) = offered(&mut swarm, 2).first() {
                break next;
            }
        };
        assert_eq!(next.chunk() == declined.chunk(), units == 1, "{declined:?} {next:?}");
    }
}
