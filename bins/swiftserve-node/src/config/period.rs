//! Times as people write them.

use std::{str::FromStr, time::Duration};

/// A time as people write it: `90s`, `12h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let seconds: Option<u64> = match unit.trim().to_ascii_lowercase().as_str() {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3_600),
            "d" => Some(86_400),
            "w" => Some(604_800),
            _ => None,
        };
        let seconds = number.parse::<u64>().ok().zip(seconds).and_then(|(number, unit)| {
            // It is counted in milliseconds, and added to a time.
            number.checked_mul(unit).filter(|seconds| *seconds < 1 << 40)
        });
        let seconds = seconds.ok_or_else(|| format!("{text:?} is no time: write for example 12h or 30d"))?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, seconds) in
            [("90s", 90), ("5 m", 300), ("12h", 43_200), ("7d", 604_800), ("2W", 1_209_600)]
        {
            assert_eq!(text.parse(), Ok(Period(Duration::from_secs(seconds))));
        }
        for text in ["", "d", "7", "-1d", "1.5h", "99999999999999w"] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
    }
}
