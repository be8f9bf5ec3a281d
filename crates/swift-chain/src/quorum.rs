//! Whether a set of validators can decide: what of its weight can be reached, and how many of it may be away.

use std::fmt;

use crate::{
    identity::NodeId,
    validators::{Validator, ValidatorSet},
};

/// A validator set, judged by who of it can be reached.
///
/// ```
/// use swift_chain::{NodeId, QuorumHealth, ValidatorSet};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let [a, b, c] = [1, 2, 3].map(|number| NodeId::from_bytes([number; 32]));
/// let three = ValidatorSet::sole(a).with_weight(b, 1)?.with_weight(c, 1)?;
/// let health = QuorumHealth::of(&three, |node| *node != c);
/// assert_eq!((health.reachable(), health.needed()), (2, 3));
/// assert!(!health.has_quorum());
/// // Three of equal weight need all three; with weights 2, 1 and 1 only the heavy one must stay.
/// assert_eq!(health.faults_tolerated(), 0);
/// let uneven = three.with_weight(a, 2)?;
/// assert!(QuorumHealth::of(&uneven, |node| *node != c).has_quorum());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumHealth {
    /// The heaviest first.
    validators: Vec<Validator>,
    away: Vec<NodeId>,
    total: u64,
    reachable: u64,
}

impl QuorumHealth {
    /// Judges a set.
    pub fn of(validators: &ValidatorSet, is_reachable: impl Fn(&NodeId) -> bool) -> Self {
        let (here, away): (Vec<&Validator>, Vec<&Validator>) =
            validators.iter().partition(|validator| is_reachable(&validator.node));
        let reachable = here.iter().map(|validator| u64::from(validator.weight)).sum();
        let away = away.into_iter().map(|validator| validator.node).collect();
        let total = validators.total_weight();
        let mut validators: Vec<_> = validators.iter().copied().collect();
        validators.sort_by_key(|validator| std::cmp::Reverse(validator.weight));
        Self { validators, away, total, reachable }
    }

    /// Weight of all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The smallest weight that is a quorum.
    pub fn needed(&self) -> u64 {
        self.total * 2 / 3 + 1
    }

    /// Weight of those who can be reached.
    pub fn reachable(&self) -> u64 {
        self.reachable
    }

    /// Whether those who can be reached are a quorum.
    pub fn has_quorum(&self) -> bool {
        self.reachable >= self.needed()
    }

    /// Validators that cannot be reached, in the order of their keys.
    pub fn away(&self) -> &[NodeId] {
        &self.away
    }

    /// The largest number of validators such that any so many may be away and the others still are a quorum. Who is
    /// away now does not matter.
    pub fn faults_tolerated(&self) -> usize {
        self.tolerated_of(self.validators.iter())
    }

    /// What would be better than a set that stops without one certain validator. There is none for a sole validator:
    /// that is the simplest network there is, and no worse than two.
    pub fn advice(&self) -> Option<QuorumAdvice> {
        let is_fragile = self.validators.len() > 1 && self.faults_tolerated() == 0;
        is_fragile.then(|| {
            let (must_stay, others): (Vec<&Validator>, Vec<&Validator>) =
                self.validators.iter().partition(|validator| self.is_indispensable(validator));
            QuorumAdvice {
                must_stay: must_stay.into_iter().map(|validator| validator.node).collect(),
                others: others.len(),
                others_away_max: self.tolerated_of(others.into_iter()),
            }
        })
    }

    /// What an operator must know: that there is no quorum, else that one absence ends it.
    pub fn warning(&self) -> Option<String> {
        if self.has_quorum() { self.advice().map(|advice| advice.to_string()) } else { Some(self.shortage()) }
    }

    /// Who is away and what that means for the quorum, as part of a sentence.
    pub fn shortage(&self) -> String {
        let (reachable, total, needed) = (self.reachable, self.total, self.needed());
        let weight = format!("weight {reachable} of {total} can be reached, {needed} is needed");
        if self.away.is_empty() { weight } else { format!("{weight}; away: {}", Nodes(&self.away)) }
    }

    /// Weight that may be away.
    fn spare(&self) -> u64 {
        // A network without validators is none; it spares nothing.
        self.total.saturating_sub(self.needed())
    }

    fn is_indispensable(&self, validator: &Validator) -> bool {
        u64::from(validator.weight) > self.spare()
    }

    /// How many of these, the heaviest first, may be away together.
    fn tolerated_of<'v>(&self, heaviest_first: impl Iterator<Item = &'v Validator>) -> usize {
        let mut spare = self.spare();
        let fits = |validator: &&Validator| match spare.checked_sub(u64::from(validator.weight)) {
            Some(left) => {
                spare = left;
                true
            }
            None => false,
        };
        heaviest_first.take_while(fits).count()
    }
}

/// What a set of several validators does not tolerate, and what would. Its text is for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumAdvice {
    /// Without any one of these there is no quorum, the heaviest first.
    pub must_stay: Vec<NodeId>,
    /// How many validators there are beside them.
    pub others: usize,
    /// Any so many of the others may be away together.
    pub others_away_max: usize,
}

impl fmt::Display for QuorumAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { must_stay, others, others_away_max } = self;
        let count = must_stay.len() + others;
        match (must_stay.as_slice(), others) {
            (_, 0) => write!(f, "none of the {count} validators may be away: without one of them"),
            ([one], _) => write!(f, "without validator {one}"),
            (several, _) => write!(f, "without any one of the validators {}", Nodes(several)),
        }?;
        f.write_str(" no write becomes final")?;
        if *others > 0 {
            write!(f, "; of the other {others} any {others_away_max} may be away")?;
        }
        f.write_str(". Better: ")?;
        let (alone, uneven) = (
            "1 validator alone, so that only one machine must stay",
            "3 with weights 2, 1 and 1: the heavy one must stay, either of the others may be away",
        );
        let equal = "4 of equal weight: any 1 may be away (of 7 any 2)";
        match (count, must_stay.len()) {
            (2, _) => write!(f, "{alone}; or {uneven}; or {equal}"),
            (3, 1) => f.write_str(equal),
            (3, _) => write!(f, "{uneven}; or {equal}"),
            _ => write!(f, "equal weights: of {count} such validators any {} may be away", (count - 1) / 3),
        }
    }
}

/// Nodes in a sentence; of very many, the first.
struct Nodes<'n>(&'n [NodeId]);

/// Ids written out.
const NAMED_MAX: usize = 8;

impl fmt::Display for Nodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, node) in self.0.iter().take(NAMED_MAX).enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{node}")?;
        }
        match self.0.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} others"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(number: usize) -> NodeId {
        NodeId::from_bytes([u8::try_from(number).unwrap() + 1; 32])
    }

    fn set(weights: &[u32]) -> ValidatorSet {
        let validators = weights.iter().enumerate();
        let validators = validators.map(|(number, weight)| Validator { node: node(number), weight: *weight });
        ValidatorSet::try_from(validators.collect::<Vec<_>>()).unwrap()
    }

    fn all_there(weights: &[u32]) -> QuorumHealth {
        QuorumHealth::of(&set(weights), |_| true)
    }

    /// Every choice of absent validators, tried.
    fn tolerated_by_trying(weights: &[u32]) -> usize {
        let set = set(weights);
        let survives = |absent: u32| {
            let here = weights.iter().enumerate().filter(|(at, _)| absent >> at & 1 == 0);
            set.is_quorum(here.map(|(_, weight)| u64::from(*weight)).sum())
        };
        let choices = 0..1_u32 << weights.len();
        let any_so_many =
            |count: u32| choices.clone().filter(|absent| absent.count_ones() == count).all(survives);
        (0..).take_while(|count| any_so_many(count + 1)).count()
    }

    #[test]
    fn of_1_and_2_and_3_none_may_be_away_of_4_one_and_of_7_two() {
        for (count, tolerated, needed) in [(1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 1, 3), (5, 1, 4), (7, 2, 5)] {
            let health = all_there(&vec![1; count]);
            assert_eq!((health.faults_tolerated(), health.needed()), (tolerated, needed), "{count}");
            assert!(health.has_quorum() && health.away().is_empty());
        }
    }

    #[test]
    fn who_is_away_is_named_and_weighed() {
        let health = QuorumHealth::of(&set(&[1, 1, 1, 1]), |other| *other == node(0) || *other == node(2));
        assert_eq!((health.total(), health.needed(), health.reachable()), (4, 3, 2));
        assert!(!health.has_quorum());
        assert_eq!(health.away(), [node(1), node(3)]);
        let says = health.warning().unwrap();
        assert!(says.starts_with("weight 2 of 4 can be reached, 3 is needed; away: "), "{says}");
        assert!(says.contains(&node(1).to_string()) && says.contains(&node(3).to_string()), "{says}");
        // What the set tolerates does not depend on who is away now.
        assert_eq!(health.faults_tolerated(), 1);
    }

    #[test]
    fn sets_that_tolerate_a_fault_or_are_one_node_need_no_advice() {
        for weights in [&[1][..], &[7], &[1, 1, 1, 1], &[3, 3, 3, 3, 3, 3, 3]] {
            assert_eq!(all_there(weights).advice(), None, "{weights:?}");
            assert_eq!(all_there(weights).warning(), None, "{weights:?}");
        }
    }

    #[test]
    fn two_and_three_of_equal_weight_are_told_what_would_be_better() {
        let says = all_there(&[1, 1]).warning().unwrap();
        assert_eq!(
            says,
            "none of the 2 validators may be away: without one of them no write becomes final. Better: 1 validator \
             alone, so that only one machine must stay; or 3 with weights 2, 1 and 1: the heavy one must stay, either \
             of the others may be away; or 4 of equal weight: any 1 may be away (of 7 any 2)"
        );
        let advice = all_there(&[5, 5, 5]).advice().unwrap();
        assert_eq!((advice.must_stay.len(), advice.others), (3, 0));
        let says = advice.to_string();
        assert!(says.contains("Better: 3 with weights 2, 1 and 1") && !says.contains("alone"), "{says}");
    }

    #[test]
    fn weights_2_1_1_are_told_exactly_who_must_stay() {
        let advice = all_there(&[1, 2, 1]).advice().unwrap();
        assert_eq!(advice, QuorumAdvice { must_stay: vec![node(1)], others: 2, others_away_max: 1 });
        assert_eq!(
            advice.to_string(),
            format!(
                "without validator {} no write becomes final; of the other 2 any 1 may be away. Better: 4 of equal \
                 weight: any 1 may be away (of 7 any 2)",
                node(1)
            )
        );
    }

    #[test]
    fn one_that_is_too_heavy_among_many_is_named() {
        let says = all_there(&[5, 1, 1, 1, 1]).warning().unwrap();
        assert!(says.contains("; of the other 4 any 2 may be away. Better: equal weights: of 5"), "{says}");
        let says = all_there(&[3, 5, 1]).warning().unwrap();
        assert!(
            says.starts_with(&format!("without any one of the validators {}, {}", node(1), node(0))),
            "{says}"
        );
    }

    #[test]
    fn of_many_that_are_away_some_are_named() {
        let says = QuorumHealth::of(&set(&[1; 20]), |_| false).shortage();
        assert!(says.ends_with(" and 12 others"), "{says}");
    }

    proptest! {
        #[test]
        fn tolerance_is_what_trying_every_absence_gives(
            weights in prop::collection::vec(prop_oneof![1..5_u32, 1..1000_u32], 1..10)
        ) {
            let health = all_there(&weights);
            prop_assert_eq!(health.faults_tolerated(), tolerated_by_trying(&weights));
        }

        #[test]
        fn needed_is_the_smallest_quorum(weights in prop::collection::vec(1..1_000_000_u32, 1..128)) {
            let (set, health) = (set(&weights), all_there(&weights));
            prop_assert!(set.is_quorum(health.needed()) && !set.is_quorum(health.needed() - 1));
        }

        #[test]
        fn reachable_and_away_are_the_whole_set(
            weights in prop::collection::vec((1..100_u32, any::<bool>()), 1..20)
        ) {
            let (weights, here): (Vec<_>, Vec<_>) = weights.into_iter().unzip();
            let set = set(&weights);
            let health = QuorumHealth::of(&set, |other| (0..here.len()).any(|at| here[at] && node(at) == *other));
            let away: u64 = health.away().iter().map(|node| u64::from(set.weight(node))).sum();
            prop_assert_eq!(health.reachable() + away, set.total_weight());
            prop_assert_eq!(health.has_quorum(), set.is_quorum(health.reachable()));
        }

        /// Each that must stay ends the quorum by being away; so many of the others do not, in any choice.
        #[test]
        fn advice_says_who_must_stay_and_how_many_of_the_others_may_go(
            weights in prop::collection::vec(1..8_u32, 2..9)
        ) {
            let (set, health) = (set(&weights), all_there(&weights));
            let Some(advice) = health.advice() else {
                prop_assert!(health.faults_tolerated() > 0);
                return Ok(());
            };
            let total = set.total_weight();
            for node in &advice.must_stay {
                prop_assert!(!set.is_quorum(total - u64::from(set.weight(node))));
            }
            let others: Vec<u64> = set
                .iter()
                .filter(|validator| !advice.must_stay.contains(&validator.node))
                .map(|validator| u64::from(validator.weight))
                .collect();
            prop_assert_eq!(others.len(), advice.others);
            let gone = |choice: u32| -> u64 {
                others.iter().enumerate().filter(|(at, _)| choice >> at & 1 == 1).map(|(_, weight)| weight).sum()
            };
            let any_so_many = |count: usize| {
                (0..1_u32 << others.len())
                    .filter(|choice| choice.count_ones() as usize == count)
                    .all(|choice| set.is_quorum(total - gone(choice)))
            };
            prop_assert!(any_so_many(advice.others_away_max));
            prop_assert!(advice.others_away_max == others.len() || !any_so_many(advice.others_away_max + 1));
        }
    }
}
