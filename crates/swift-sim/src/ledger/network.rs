//! The network between nodes: what is lost, late, doubled, or cut off.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::census::{Census, Event};
use crate::dice::Dice;

/// How messages fare while there are faults, in messages of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Lost.
    pub(crate) loss: u32,
    /// Sent once, arriving twice.
    pub(crate) duplicates: u32,
    /// On their way for up to three seconds.
    pub(crate) stragglers: u32,
    /// Of a thousand links, so many are slow.
    pub(crate) slow_links: u32,
}

/// In which directions a cut stops messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutKind {
    Both,
    Forth,
}

#[derive(Clone, Debug)]
struct Cut {
    from: BTreeSet<usize>,
    to: BTreeSet<usize>,
    kind: CutKind,
    until: Duration,
}

/// Links between all nodes, by their places in the world.
#[derive(Debug)]
pub(crate) struct Network {
    weather: Weather,
    /// The shortest way of a message.
    latency: BTreeMap<(usize, usize), Duration>,
    cuts: Vec<Cut>,
    /// Whose transactions do not arrive, while its votes do: they go by ways of their own.
    mute: Option<usize>,
    /// Messages sent in all.
    pub(crate) sent: u64,
    /// The last message that arrived on a link, to notice when one is overtaken.
    arrived: BTreeMap<(usize, usize), u64>,
}

impl Network {
    pub(crate) fn new(dice: &mut Dice, nodes: usize, weather: Weather) -> Self {
        let mut latency = BTreeMap::new();
        for from in 0..nodes {
            for to in 0..nodes {
                let high = if dice.chance(weather.slow_links) { 60_000 } else { 3_000 };
                let way = dice.time(Duration::from_micros(100), Duration::from_micros(high));
                latency.insert((from, to), way);
            }
        }
        Self { weather, latency, cuts: Vec::new(), mute: None, sent: 0, arrived: BTreeMap::new() }
    }

    /// After how long each copy of a message arrives.
    pub(crate) fn send(
        &mut self,
        dice: &mut Dice,
        census: &mut Census,
        now: Duration,
        (from, to): (usize, usize),
    ) -> Vec<Duration> {
        self.sent += 1;
        if let Some(kind) = self.cut_between(now, from, to) {
            census.count(if kind == CutKind::Both { Event::TwoWayCut } else { Event::OneWayCut });
            return Vec::new();
        }
        let Weather { loss, duplicates, stragglers, .. } = self.weather;
        if dice.chance(loss) {
            census.count(Event::Loss);
            return Vec::new();
        }
        let mut copies = vec![self.way(dice, from, to)];
        if dice.chance(duplicates) {
            census.count(Event::Duplicate);
            copies.push(self.way(dice, from, to) + dice.time(Duration::ZERO, Duration::from_millis(500)));
        }
        if dice.chance(stragglers) {
            census.count(Event::Straggler);
            copies[0] += dice.time(Duration::from_millis(100), Duration::from_secs(3));
        }
        copies
    }

    fn way(&self, dice: &mut Dice, from: usize, to: usize) -> Duration {
        let least = self.latency.get(&(from, to)).copied().unwrap_or(Duration::from_millis(1));
        least + dice.time(Duration::ZERO, least)
    }

    /// A message arrives; each has a number that rises with the time of sending.
    pub(crate) fn arrive(&mut self, census: &mut Census, from: usize, to: usize, number: u64) {
        let last = self.arrived.entry((from, to)).or_default();
        if number < *last {
            census.count(Event::Reordering);
        }
        *last = number.max(*last);
    }

    pub(crate) fn cut(&mut self, from: BTreeSet<usize>, to: BTreeSet<usize>, kind: CutKind, until: Duration) {
        self.cuts.push(Cut { from, to, kind, until });
    }

    /// From now on nobody gets this node's transactions.
    pub(crate) fn mute(&mut self, node: usize) {
        self.mute = Some(node);
    }

    pub(crate) fn is_mute(&self, node: usize) -> bool {
        self.mute == Some(node)
    }

    /// From now on everything arrives, soon.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
        self.mute = None;
        self.weather = Weather::default();
    }

    fn cut_between(&mut self, now: Duration, from: usize, to: usize) -> Option<CutKind> {
        self.cuts.retain(|cut| cut.until > now);
        let stops = |cut: &&Cut| {
            let forth = cut.from.contains(&from) && cut.to.contains(&to);
            let back = cut.from.contains(&to) && cut.to.contains(&from);
            forth || back && cut.kind == CutKind::Both
        };
        self.cuts.iter().find(stops).map(|cut| cut.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(network: &mut Network, from: usize, to: usize) -> usize {
        let (mut dice, mut census) = (Dice::new(1), Census::default());
        network.send(&mut dice, &mut census, Duration::ZERO, (from, to)).len()
    }

    #[test]
    fn a_cut_stops_what_it_should_and_ends() {
        let mut network = Network::new(&mut Dice::new(1), 3, Weather::default());
        let until = Duration::from_secs(1);
        network.cut([0].into(), [1].into(), CutKind::Forth, until);
        assert_eq!((copies(&mut network, 0, 1), copies(&mut network, 1, 0)), (0, 1));
        network.cut([1].into(), [2].into(), CutKind::Both, until);
        assert_eq!((copies(&mut network, 1, 2), copies(&mut network, 2, 1)), (0, 0));
        assert_eq!(network.cut_between(until, 0, 1), None);
    }

    #[test]
    fn weather_ends_with_healing() {
        let weather = Weather { loss: 1000, ..Weather::default() };
        let mut network = Network::new(&mut Dice::new(1), 2, weather);
        network.mute(0);
        assert_eq!(copies(&mut network, 0, 1), 0);
        network.heal();
        assert_eq!((copies(&mut network, 0, 1), network.is_mute(0)), (1, false));
    }

    #[test]
    fn a_message_that_was_overtaken_is_noticed() {
        let mut network = Network::new(&mut Dice::new(1), 2, Weather::default());
        let mut census = Census::default();
        for number in [1, 3, 2] {
            network.arrive(&mut census, 0, 1, number);
        }
        assert_eq!(census.of(Event::Reordering), 1);
    }
}
