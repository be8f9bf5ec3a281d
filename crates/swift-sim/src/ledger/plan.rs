//! What a seed decides before anything happens.

use std::time::Duration;

use swift_chain::NetworkParams;

use super::{faults::Strike, network::Weather};
use crate::dice::Dice;

/// Validators a run can begin with.
pub(crate) const VALIDATORS: [usize; 6] = [1, 2, 3, 4, 5, 7];

/// How a run's network is made up, and how badly it is treated.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Honest ones and the liar; the first is the founder.
    pub(crate) validators: usize,
    /// Members without a vote at the beginning.
    pub(crate) followers: usize,
    /// Those who may join later.
    pub(crate) newcomers: usize,
    /// The equivocating validator, where there are enough others.
    pub(crate) liar: Option<LiarPlan>,
    /// Whether there is a hostile member without a vote.
    pub(crate) has_forger: bool,
    pub(crate) clients: usize,
    /// How long the faults last.
    pub(crate) faults: Duration,
    pub(crate) weather: Weather,
    /// What is done to nodes and links, the more often listed the more often done.
    pub(crate) strikes: Vec<Strike>,
    /// The longest pause between two strikes.
    pub(crate) strike_every: Duration,
    /// Limits of the network, so narrow now and then that clients run into them.
    pub(crate) params: NetworkParams,
    /// Names that clients fight over.
    pub(crate) names: u32,
}

/// How the liar lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiarPlan {
    /// It lives twice: two replicas with one key, each talking to other peers.
    pub(crate) is_twofold: bool,
    /// Messages in a thousand that it twists.
    pub(crate) twists: u32,
}

impl Plan {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let validators = dice.pick(&VALIDATORS).unwrap_or(1);
        let liar = (validators >= 4 && dice.chance(700)).then(|| LiarPlan {
            is_twofold: dice.chance(600),
            twists: if dice.chance(300) { 0 } else { dice.number(20, 300) },
        });
        // Each kind of trouble is left out now and then, so that it does not hide what the others do.
        let often = |dice: &mut Dice, high| if dice.chance(750) { dice.number(1, high) } else { 0 };
        let weather = Weather {
            loss: often(dice, 150),
            duplicates: often(dice, 80),
            stragglers: often(dice, 40),
            slow_links: often(dice, 400),
        };
        let mut strikes = Vec::new();
        for strike in Strike::ALL {
            let count = often(dice, strike.weight());
            strikes.extend((0..count).map(|_| strike));
        }
        Self {
            validators,
            followers: dice.index(3) + usize::from(validators == 1),
            newcomers: dice.index(3),
            liar,
            has_forger: dice.chance(500),
            clients: 3 + dice.index(5),
            faults: dice.time(Duration::from_secs(40), Duration::from_secs(100)),
            weather,
            strikes,
            strike_every: dice.time(Duration::from_millis(700), Duration::from_secs(8)),
            names: dice.number(2, 12),
            params: params(dice, validators),
        }
    }
}

fn params(dice: &mut Dice, validators: usize) -> NetworkParams {
    let mut params = NetworkParams::default();
    if dice.chance(250) {
        // The founder makes all others validators in one block: after it, it cannot decide alone.
        let least = u32::try_from(validators.saturating_sub(1).max(1)).unwrap_or(1);
        params.transactions_per_author_and_block_max = dice.number(least, least + 1);
    }
    if dice.chance(250) {
        params.live_files_per_author_max = u64::from(dice.number(2, 6));
    }
    params
}
