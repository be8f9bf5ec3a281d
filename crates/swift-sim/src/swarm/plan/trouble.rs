//! What goes wrong in a run, or comes late: who is not as it should be, and what happens when.

use std::time::Duration;

/// How a member behaves, from the beginning to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// As the protocol says.
    Honest,
    /// As the protocol says, over an uplink of a tenth.
    Slow,
    /// Says that it has everything, and sends wrong bytes.
    Lies,
    /// Says that it has everything, and sends nothing when it is asked for it.
    Boasts,
    /// Says that it has everything, takes requests, and lets them hang.
    Stalls,
    /// Counts as online for everybody, and never says a word.
    Dead,
    /// Is a member like any other, and neither has nor wants the files: they are not in its ledger.
    Bystander,
}

impl Conduct {
    /// Whether it wants the files and does as it should.
    pub(crate) fn is_honest(self) -> bool {
        matches!(self, Self::Honest | Self::Slow)
    }

    /// Whether it says from the beginning that it has everything.
    pub(crate) fn claims_all(self) -> bool {
        matches!(self, Self::Lies | Self::Boasts | Self::Stalls)
    }
}

/// How many of the receivers behave otherwise than honestly. They are the last ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cast {
    /// [`Conduct::Slow`].
    pub slow: usize,
    /// [`Conduct::Lies`].
    pub lying: usize,
    /// [`Conduct::Boasts`].
    pub boasting: usize,
    /// [`Conduct::Stalls`].
    pub stalling: usize,
    /// [`Conduct::Dead`].
    pub dead: usize,
    /// [`Conduct::Bystander`].
    pub bystanders: usize,
}

impl Cast {
    /// Receivers that are not plainly honest.
    pub(crate) fn len(&self) -> usize {
        self.roles().iter().map(|(_, count)| count).sum()
    }

    /// What the receiver does that is so far from the last.
    pub(crate) fn conduct(&self, from_last: usize) -> Conduct {
        let mut left = from_last;
        for (conduct, count) in self.roles() {
            if left < count {
                return conduct;
            }
            left -= count;
        }
        Conduct::Honest
    }

    fn roles(&self) -> [(Conduct, usize); 6] {
        [
            (Conduct::Bystander, self.bystanders),
            (Conduct::Dead, self.dead),
            (Conduct::Stalls, self.stalling),
            (Conduct::Boasts, self.boasting),
            (Conduct::Lies, self.lying),
            (Conduct::Slow, self.slow),
        ]
    }
}

/// Something that happens once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trouble {
    /// When.
    pub when: When,
    /// What.
    pub what: What,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// So long after the beginning.
    After(Duration),
    /// When the publisher has sent so many copies of everything.
    Sent(f64),
    /// When the others together have everything, so that nothing more is needed of the publisher.
    Spread,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// A node goes away. It comes back so much later with what it had, or never.
    Leave {
        /// Which.
        node: usize,
        /// In which way.
        how: Leaving,
        /// When it is back, if ever.
        back: Option<Duration>,
    },
    /// A node comes that was never there before.
    Join {
        /// Which.
        node: usize,
    },
    /// The first so many nodes and all others cannot reach each other for a while.
    Part {
        /// How many, the publisher among them.
        first: usize,
        /// How long.
        lasts: Duration,
    },
    /// The files from this one on are published, and not in the beginning.
    Publish {
        /// Which is the first.
        first: usize,
    },
}

/// How a node goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Its process ends: connections break, new ones are refused, and everybody notices soon.
    Stopped,
    /// Its cable is pulled: nothing comes any more, and everybody notices after a while.
    Unplugged,
    /// It hangs: nothing comes any more, and nobody ever notices.
    Frozen,
}

impl What {
    /// How long it makes a run at most, beyond the moment when it begins.
    pub(crate) fn lasts(&self) -> Duration {
        match *self {
            Self::Leave { back, .. } => back.unwrap_or_default(),
            Self::Part { lasts, .. } => lasts,
            Self::Join { .. } | Self::Publish { .. } => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_receivers_have_the_roles() {
        let cast = Cast { lying: 2, dead: 1, ..Cast::default() };
        assert_eq!(cast.len(), 3);
        let conducts: Vec<Conduct> = (0..4).map(|from_last| cast.conduct(from_last)).collect();
        assert_eq!(conducts, [Conduct::Dead, Conduct::Lies, Conduct::Lies, Conduct::Honest]);
    }
}
