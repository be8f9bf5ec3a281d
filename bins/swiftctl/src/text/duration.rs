//! Durations as people write them: `90s`, `10m`, `24h`, `30d`, `2w`; and as they read them: `2h 5m`.

use std::time::Duration;

/// Reads a number and its unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let split = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds_per_unit: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(format!("{text:?} is no duration: write a number and s, m, h, d or w, as in 24h")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no duration: write it as in 24h"))?;
    // The interface counts milliseconds in 64 bits, and adds them to a time.
    let seconds = number.checked_mul(seconds_per_unit).filter(|seconds| *seconds < 1 << 40);
    seconds.map(Duration::from_secs).ok_or_else(|| format!("{text:?} is too long"))
}

/// Seconds as people read them: the largest unit and the one below it.
pub(crate) fn human(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[first];
    let whole = format!("{}{name}", seconds / unit);
    match UNITS.get(first + 1) {
        Some((below, below_name)) if seconds % unit >= *below => {
            format!("{whole} {}{below_name}", seconds % unit / below)
        }
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_shown_in_two_units_at_most() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3_600, "1h"),
            (3_659, "1h"),
            (7_500, "2h 5m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn every_unit_is_understood() {
        for (text, seconds) in
            [("90s", 90), ("10m", 600), ("24h", 86_400), ("30d", 2_592_000), ("2w", 1_209_600)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "h", "24", "-1h", "1.5h", "24 h", "1h30m", "1y", "99999999999999999999h"] {
            assert!(parse(text).unwrap_err().contains("is no duration"), "{text:?}");
        }
        assert!(parse("18446744073709551615w").unwrap_err().contains("too long"));
    }
}
