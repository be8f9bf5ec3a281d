//! How fast to scrub, as people write it.

use std::str::FromStr;

use swift_p2p::driver::Rate;

/// A rate, or `off`: not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScrubRate(pub(super) Option<Rate>);

impl FromStr for ScrubRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "off" => Ok(Self(None)),
            // Without a limit the disk would have time for nothing else.
            "none" => Err("\"none\" is no rate: write for example 20MiB/s, or off".to_owned()),
            text => text
                .parse()
                .map(|rate| Self(Some(rate)))
                .map_err(|error: swift_p2p::driver::RateError| error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrub_has_a_rate_or_is_off() {
        assert_eq!("off".parse(), Ok(ScrubRate(None)));
        assert_eq!("1MiB/s".parse(), Ok(ScrubRate(Rate::new(1 << 20).ok())));
        for text in ["none", "", "0", "fast"] {
            assert!(text.parse::<ScrubRate>().is_err(), "{text:?}");
        }
    }
}
