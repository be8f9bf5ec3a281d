//! How to scrub, as people write it.

use std::str::FromStr;

use swift_p2p::driver::{Rate, ScrubSettings};

use super::{Args, ConfigError, FileSettings, layers::Layers, period::Period};

/// What flags, environment and file say of it.
pub(super) fn settings(
    args: &Args,
    layers: &Layers<'_>,
    settings: Option<&FileSettings>,
) -> Result<ScrubSettings, ConfigError> {
    let in_file = |pick: fn(&FileSettings) -> Option<&str>| settings.and_then(pick);
    let rate = layers.parsed::<ScrubRate>(
        "scrub-rate",
        args.scrub_rate.as_deref(),
        &["SWIFTSERVE_SCRUB_RATE"],
        in_file(|file| file.scrub_rate.as_deref()),
    )?;
    let interval = layers.parsed::<Period>(
        "scrub-interval",
        args.scrub_interval.as_deref(),
        &["SWIFTSERVE_SCRUB_INTERVAL"],
        in_file(|file| file.scrub_interval.as_deref()),
    )?;
    let default = ScrubSettings::default();
    Ok(ScrubSettings {
        rate: rate.map_or(default.rate, |ScrubRate(rate)| rate),
        interval: interval.map_or(default.interval, |Period(interval)| interval),
    })
}

/// A rate, or `off`: not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScrubRate(Option<Rate>);

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
