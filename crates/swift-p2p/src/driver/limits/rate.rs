//! Rates as people write them.

use std::{fmt, num::NonZeroU64, str::FromStr};

/// The slowest rate that can be set: below it, what peers wait for would come too late to be of use.
const SLOWEST: u64 = 10 * 1024;

/// Bytes per second: never none, and never so few that nothing would arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(NonZeroU64);

/// A rate, or that there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit(pub Option<Rate>);

/// A text or number that is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Nothing that one could read.
    #[error("{0:?} is no rate: write for example 50MiB/s, 500kB/s, 80Mbit/s, or none")]
    Unreadable(String),
    /// Too little for a network.
    #[error("{0} bytes per second are too few: the slowest rate that can be set is 10 KiB/s")]
    TooSlow(u64),
}

impl Rate {
    /// A rate, if it is not too slow.
    pub fn new(bytes_per_second: u64) -> Result<Self, RateError> {
        let rate = NonZeroU64::new(bytes_per_second).filter(|rate| rate.get() >= SLOWEST);
        rate.map(Self).ok_or(RateError::TooSlow(bytes_per_second))
    }

    /// Bytes per second.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// What a unit stands for: so many bytes, or so many bits.
fn unit(text: &str) -> Option<(u64, u64)> {
    let per_second = ["/s", "ps"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    let (bytes, bits) = (1, 8);
    Some(match per_second {
        "" | "b" => (1, bytes),
        "kib" => (1 << 10, bytes),
        "mib" => (1 << 20, bytes),
        "gib" => (1 << 30, bytes),
        "kb" => (1_000, bytes),
        "mb" => (1_000_000, bytes),
        "gb" => (1_000_000_000, bytes),
        "kbit" => (1_000, bits),
        "mbit" => (1_000_000, bits),
        "gbit" => (1_000_000_000, bits),
        _ => return None,
    })
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let unreadable = || RateError::Unreadable(text.chars().take(40).collect());
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, rest) = lower.split_at(digits);
        let (factor, divisor) = unit(rest.trim_start()).ok_or_else(unreadable)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_number = !whole.is_empty() && fraction.len() <= 6 && !number.ends_with('.');
        let tens = u32::try_from(fraction.len()).ok().and_then(|len| 10_u64.checked_pow(len));
        let number = format!("{whole}{fraction}").parse::<u128>().ok().filter(|_| is_number).zip(tens);
        let (number, tens) = number.ok_or_else(unreadable)?;
        let bytes = number.checked_mul(factor.into()).ok_or_else(unreadable)? / u128::from(tens * divisor);
        Self::new(u64::try_from(bytes).map_err(|_| unreadable())?)
    }
}

impl fmt::Display for Rate {
    /// The largest unit that says it exactly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1_000_000, "MB"), (1 << 10, "KiB"), (1_000, "kB")];
        let (factor, unit) =
            units.into_iter().find(|(factor, _)| self.get().is_multiple_of(*factor)).unwrap_or((1, "B"));
        write!(f, "{} {unit}/s", self.get() / factor)
    }
}

impl FromStr for RateLimit {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        match text.trim() {
            "none" => Ok(Self(None)),
            text => text.parse().map(|rate| Self(Some(rate))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("50MiB/s", 50 << 20),
            (" 100 KiB/s ", 100 << 10),
            ("20MB/s", 20_000_000),
            ("1.5MiB/s", 3 << 19),
            ("80Mbit/s", 10_000_000),
            ("1Gbit", 125_000_000),
            ("100mbitps", 12_500_000),
            ("20480", 20480),
            ("20480 B/s", 20480),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(text.parse(), Rate::new(bytes), "{text}");
        }
        assert_eq!("none".parse(), Ok(RateLimit(None)));
    }

    #[test]
    fn what_is_no_rate_is_refused_and_so_is_what_nobody_can_wait_for() {
        let long = "9".repeat(60);
        for text in ["", "fast", "MiB/s", "-1MiB", "1.MiB", "1..5MiB", "1.5.5MiB", ".5MiB", "1 Mi", &long] {
            assert!(matches!(text.parse::<Rate>(), Err(RateError::Unreadable(_))), "{text:?}");
        }
        for text in ["0", "50", "10KB/s", "1kbit/s"] {
            assert!(matches!(text.parse::<Rate>(), Err(RateError::TooSlow(_))), "{text:?}");
        }
    }

    #[test]
    fn a_rate_is_shown_so_that_it_can_be_read_again() {
        for text in ["50 MiB/s", "100 KiB/s", "20 MB/s", "3 GiB/s", "12345 B/s", "125 kB/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
    }
}
