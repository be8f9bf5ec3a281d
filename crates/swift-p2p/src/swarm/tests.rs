//! Bounds that only the inside shows.

mod choosing;
mod reading;
mod restored;

use super::message::{Ask, Held, Interest, Map, WhoHas};
use super::*;
use crate::offences::{Budget, UNKNOWN_COST};
use std::time::Duration;
use swift_chunks::{CHUNK_LEN, ChunkLayout};

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

fn file(number: u16) -> FileId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    FileId::from_bytes(bytes)
}

fn holder_of(files: u16, units: u64) -> Swarm {
    holder_with(Config::default(), files, units)
}

fn holder_with(config: Config, files: u16, units: u64) -> Swarm {
    let mut swarm = Swarm::new(node(1), config, 1);
    let held = ChunkSet::full(ChunkLayout::new(units * CHUNK_LEN).unwrap());
    for number in 0..files {
        let (file, publisher, held, parts) = (file(number), node(1), held.clone(), Vec::new());
        swarm.handle(Time::ZERO, Input::FileAdded { file, publisher, held, parts, want: Want::Wanted });
    }
    for peer in 2..5 {
        swarm.handle(Time::ZERO, Input::PeerOnline { peer: node(peer) });
    }
    swarm
}

fn ask(swarm: &mut Swarm, from: u8, number: u16, seq: u64) {
    let layout = swarm.held(&file(number)).unwrap().layout();
    let stamp = message::Stamp { incarnation: 1, seq };
    let held = ChunkSet::empty(layout).encode();
    let map = Map { stamp, interest: Interest::Wanted, held: Held::All(held), open: vec![], ahead: vec![] };
    let who_has = WhoHas { asks: vec![Ask { file: file(number), map }] };
    swarm.handle(Time::ZERO, Input::WhoHas { from: node(from), exchange: ExchangeId(0), who_has });
}

fn peer(swarm: &Swarm, number: u8) -> peer::PeerKey {
    swarm.peers.key(&node(number)).unwrap()
}

fn drain(swarm: &mut Swarm) -> Vec<Output> {
    std::iter::from_fn(|| swarm.poll_output()).collect()
}

#[test]
fn a_holder_that_nobody_asks_says_nothing_and_sets_no_timer() {
    let mut swarm = holder_of(10, 4);
    assert_eq!(drain(&mut swarm), []);
    assert_eq!(swarm.poll_timeout(), None);
}

#[test]
fn a_peer_that_asks_for_everything_costs_itself_its_own_oldest_maps() {
    let mut swarm = holder_of(1000, 1);
    ask(&mut swarm, 3, 999, 1);
    for number in 0..1000 {
        ask(&mut swarm, 2, number, 1);
    }
    let key = |number| peer(&swarm, number);
    let maps = |peer| swarm.files.values().filter(|state| state.views.get(&key(peer)).is_some()).count();
    assert_eq!((maps(2), maps(3)), (swarm.config.views_per_peer_max, 1));
    let record = &swarm.peers.get(peer(&swarm, 2)).unwrap().record;
    assert_eq!(record.views.len(), swarm.config.views_per_peer_max);
    let all: usize = swarm.peers.values().map(|peer| peer.record.view_bytes).sum();
    assert_eq!(all, swarm.finding.view_bytes);
}

#[test]
fn maps_of_large_files_are_bounded_by_their_bytes() {
    // A map of 4 TiB takes 128 KiB.
    let mut swarm = holder_of(20, 1 << 20);
    (0..20).for_each(|number| ask(&mut swarm, 2, number, 1));
    let peer = swarm.peers.get(peer(&swarm, 2)).unwrap();
    assert_eq!(peer.record.views.len(), 7);
    assert!(peer.record.view_bytes <= swarm.config.view_bytes_per_peer_max);
    swarm.handle(Time::ZERO, Input::PeerOffline { peer: node(2) });
    assert_eq!(swarm.finding.view_bytes, 0);
    assert!(swarm.sending.lackers.is_empty() && swarm.sends_len() == 0);
}

#[test]
fn a_map_that_was_overtaken_by_a_later_one_changes_nothing() {
    let mut swarm = holder_of(1, 4);
    ask(&mut swarm, 2, 0, 5);
    drain(&mut swarm);
    let full = ChunkSet::full(swarm.held(&file(0)).unwrap().layout()).encode();
    let stamp = message::Stamp { incarnation: 1, seq: 4 };
    let map = Map { stamp, interest: Interest::Unwanted, held: Held::All(full), open: vec![], ahead: vec![] };
    let (peer, of) = (peer(&swarm, 2), swarm.files.key(&file(0)).unwrap());
    swarm.update_view(peer, of, &map);
    assert_eq!(swarm.files.get(of).unwrap().views.get(&peer).unwrap().interest, Interest::Wanted);
}

#[test]
fn an_offer_of_an_unknown_file_or_by_an_unknown_node_changes_nothing() {
    let mut swarm = holder_of(1, 4);
    for (from, number) in [(2, 77), (200, 0)] {
        let offer = message::Offer { file: file(number), slices: vec![1, 129], take: 1, map: None };
        swarm.handle(Time::ZERO, Input::Offer { from: node(from), exchange: ExchangeId(3), offer });
        let outputs = drain(&mut swarm);
        let [Output::Answer { exchange: ExchangeId(3), answer, .. }] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        assert_eq!(answer.verdicts, [message::Verdict::Unknown; 2]);
        assert_eq!(answer.map, None);
    }
    assert_eq!(swarm.poll_timeout(), None);
}

/// What a node does not know costs who offers it more than other messages, and members whose ledgers are ahead of its own, or
/// behind, offer such things and do not lie. They offer what they were asked for, each once: that is never a flood.
#[test]
fn an_honest_holder_offers_what_its_peer_does_not_know_once_and_is_never_charged_too_much() {
    let mut swarm = holder_of(1000, 1);
    let (mut budget, mut now, mut unknown) = (Budget::default(), Time::ZERO, 0);
    assert_eq!(drain(&mut swarm), [], "whose ledger is behind does not ask, and is offered nothing");
    // Whose ledger is ahead asked for all of it, and then all of it was removed there.
    (0..1000).for_each(|number| ask(&mut swarm, 2, number, 1));
    while now < Time::after_start(Duration::from_secs(3600)) {
        for output in drain(&mut swarm) {
            let Output::Offer { to, exchange, offer } = output else { continue };
            assert!(budget.take(now, 1 + UNKNOWN_COST), "after {unknown} offers");
            unknown += 1;
            let verdicts = vec![message::Verdict::Unknown; offer.slices.len()];
            let answer =
                message::Answer { stamp: message::Stamp { incarnation: 1, seq: 9 }, verdicts, map: None };
            swarm.handle(now, Input::OfferAnswered { by: to, exchange, answer });
        }
        let Some(next) = swarm.poll_timeout() else { break };
        now = next.max(now);
        swarm.handle(now, Input::Timeout);
    }
    // What was on its way when its map made room for another is offered as well.
    let most = swarm.config.views_per_peer_max + swarm.config.credit_max;
    assert!((1..=most).contains(&unknown), "{unknown}");
}

#[test]
fn a_place_of_the_credit_is_free_again_whatever_the_peer_does_not_do() {
    let mut swarm = holder_with(Config { sends_first: 8, ..Config::default() }, 1, 40);
    ask(&mut swarm, 2, 0, 1);
    let credit = swarm.sends_len();
    assert!(credit >= 6 && credit <= swarm.credit());
    let slice = |number| Slice::from_number(ChunkLayout::new(40 * CHUNK_LEN).unwrap(), number).unwrap();
    let started: Vec<u32> = drain(&mut swarm)
        .into_iter()
        .find_map(|output| if let Output::Offer { offer, .. } = output { Some(offer.slices) } else { None })
        .unwrap();
    let (to, of) = (node(2), file(0));
    swarm.handle(Time::ZERO, Input::SendStarted { to, file: of, slice: slice(started[0]) });
    swarm.handle(Time::ZERO, Input::SendStarted { to, file: of, slice: slice(started[1]) });
    let outcome = SendOutcome::Sent;
    swarm.handle(Time::ZERO, Input::SendEnded { to, file: of, slice: slice(started[1]), outcome });
    // Nothing more is heard of it: four unanswered, one that hangs, one unconfirmed. The peer is left alone longer
    // and longer, but offers to it are all there is.
    let mut seen_free = false;
    for _ in 0..500 {
        let Some(at) = swarm.poll_timeout() else { break };
        swarm.handle(at, Input::Timeout);
        seen_free |= swarm.sends_len() == 0;
        drain(&mut swarm);
        assert!(swarm.sends_len() <= credit.max(swarm.credit()));
    }
    assert!(seen_free);
}

/// Requests and confirmations go over other connections than offers. Each place that such a send left taken, after all
/// was over, kept its peer waiting for half a minute: a file of small slices stood still.
#[test]
fn a_send_that_is_over_before_its_offer_is_answered_leaves_no_place_taken() {
    let mut swarm = holder_of(1, 1);
    ask(&mut swarm, 2, 0, 1);
    let (to, of, now) = (node(2), file(0), Time::ZERO);
    let mut offers = drain(&mut swarm).into_iter().filter_map(|output| match output {
        Output::Offer { exchange, offer, .. } => Some((exchange, offer)),
        _ => None,
    });
    let (exchange, offer) = offers.next().unwrap();
    let layout = swarm.held(&of).unwrap().layout();
    let before = swarm.sends_len();
    let taken: Vec<u32> = offer.slices.iter().take(offer.take.into()).copied().collect();
    for &number in &taken {
        let slice = Slice::from_number(layout, number).unwrap();
        swarm.handle(now, Input::SendStarted { to, file: of, slice });
        swarm.handle(now, Input::SendEnded { to, file: of, slice, outcome: SendOutcome::Sent });
        swarm.handle(now, Input::Confirmed { by: to, confirm: message::Confirm { file: of, slice: number } });
    }
    let verdict =
        |number| if taken.contains(number) { message::Verdict::Accept } else { message::Verdict::Enough };
    let verdicts = offer.slices.iter().map(verdict).collect();
    let stamp = message::Stamp { incarnation: 1, seq: 2 };
    let answer = message::Answer { stamp, verdicts, map: None };
    swarm.handle(now, Input::OfferAnswered { by: to, exchange, answer });
    // What has its place now are the offers that followed.
    let followed = drain(&mut swarm).into_iter().map(|output| match output {
        Output::Offer { offer, .. } => usize::from(offer.take),
        _ => 0,
    });
    assert_eq!(swarm.sends_len(), before - taken.len() + followed.sum::<usize>());
}

/// Where many want a file, the first to ask must not have all places of the source, and all of its bytes first.
#[test]
fn a_peer_that_has_confirmed_nothing_is_offered_one_slice_unless_it_is_the_only_one() {
    let mut swarm = holder_of(1, 40);
    ask(&mut swarm, 2, 0, 1);
    assert_eq!(swarm.sends_len(), 1);
    ask(&mut swarm, 3, 0, 1);
    assert_eq!(swarm.sends_len(), 2);
    let mut swarm = holder_of(1, 40);
    swarm.handle(Time::ZERO, Input::PeerOffline { peer: node(3) });
    swarm.handle(Time::ZERO, Input::PeerOffline { peer: node(4) });
    ask(&mut swarm, 2, 0, 1);
    assert_eq!(swarm.sends_len(), swarm.credit());
}

#[test]
fn a_file_that_is_let_go_is_held_offered_and_wanted_no_more_and_neighbours_hear_of_it() {
    let mut swarm = holder_of(1, 4);
    ask(&mut swarm, 2, 0, 1);
    assert!(
        drain(&mut swarm).iter().any(|output| matches!(output, Output::Offer { to, .. } if *to == node(2)))
    );
    swarm.handle(Time::ZERO, Input::Evicted { file: file(0) });
    let outputs = drain(&mut swarm);
    let told = outputs.iter().filter_map(|output| match output {
        Output::Announce { to, holdings } => Some((*to, holdings.holdings[0].map.clone().unwrap())),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!((outputs.len(), told.len()), (3, 3));
    let layout = swarm.held(&file(0)).unwrap().layout();
    for (_, map) in &told {
        assert_eq!(map.interest, Interest::Unwanted);
        assert_eq!(map.held, Held::All(ChunkSet::empty(layout).encode()));
    }
    assert_eq!((swarm.sends_len(), swarm.held(&file(0)).unwrap().len()), (0, 0));
    ask(&mut swarm, 2, 0, 2);
    assert!(matches!(&drain(&mut swarm)[..], [Output::Holdings { .. }]));
    assert_eq!(swarm.poll_timeout(), None);

    // Wanted again, it is asked for like any other.
    let held = ChunkSet::empty(layout);
    swarm.handle(
        Time::ZERO,
        Input::FileAdded { file: file(0), publisher: node(1), held, parts: vec![], want: Want::Wanted },
    );
    assert!(drain(&mut swarm).iter().all(|output| matches!(output, Output::WhoHas { .. })));
}

#[test]
fn a_file_that_is_not_wanted_any_more_is_declined_and_neighbours_hear_of_it() {
    let mut swarm = Swarm::new(node(1), Config::default(), 1);
    swarm.handle(Time::ZERO, Input::PeerOnline { peer: node(2) });
    let held = ChunkSet::empty(ChunkLayout::new(CHUNK_LEN).unwrap());
    for want in [Want::Wanted, Want::Unwanted] {
        let (file, held) = (file(0), held.clone());
        swarm.handle(Time::ZERO, Input::FileAdded { file, publisher: node(2), held, parts: vec![], want });
    }
    let outputs = drain(&mut swarm);
    let is_told = |output: &Output| {
        let Output::Announce { holdings, .. } = output else { return false };
        holdings.holdings[0].map.as_ref().is_some_and(|map| map.interest == Interest::Unwanted)
    };
    assert!(outputs.iter().any(is_told), "{outputs:?}");
}
