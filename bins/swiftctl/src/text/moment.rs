//! Moments as people write them: so long ago (`2h`, `3d`), a day (`2026-03-01`), or a time by RFC 3339.

use super::{date, duration};

/// Reads a moment in milliseconds since 1970; `now_ms` is what a duration counts back from.
pub(crate) fn parse(text: &str, now_ms: u64) -> Result<u64, String> {
    if let Ok(ago) = duration::parse(text) {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(now_ms.saturating_sub(ago));
    }
    exact(text).ok_or_else(|| {
        format!("{text:?} is no moment: write 2h or 3d for so long ago, 2026-03-01, or 2026-03-01T14:30:00Z")
    })
}

/// A day, which begins at midnight in UTC, or a time of RFC 3339.
fn exact(text: &str) -> Option<u64> {
    let (day, time) = match text.split_at_checked(10)? {
        (day, "") => (day, None),
        (day, time) => (day, Some(time.strip_prefix(['T', 't', ' '])?)),
    };
    let day = date::day(number(day.get(..4)?)?, part(day, 4, '-')?, part(day, 7, '-')?)?;
    let (ms, east_minutes) = time.map_or(Some((0, 0)), time_of_day)?;
    let ms = i64::try_from(day * date::MS_PER_DAY + ms).ok()? - east_minutes * 60_000;
    u64::try_from(ms).ok()
}

/// Milliseconds since midnight, and how many minutes east of Greenwich that is meant.
fn time_of_day(text: &str) -> Option<(u64, i64)> {
    let (clock, rest) = text.split_at_checked(8)?;
    let (hour, minute, second) = (number(clock.get(..2)?)?, part(clock, 2, ':')?, part(clock, 5, ':')?);
    // A leap second counts as the one after it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (ms, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.find(|char: char| !char.is_ascii_digit())?;
            let (digits, zone) = rest.split_at(digits);
            let ms: String = digits.chars().chain("000".chars()).take(3).collect();
            (number(&ms).filter(|_| !digits.is_empty())?, zone)
        }
        None => (0, rest),
    };
    Some((((hour * 60 + minute) * 60 + second) * 1000 + ms, east(zone)?))
}

fn east(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, zone) = match zone.split_at_checked(1)? {
        ("+", zone) => (1, zone),
        ("-", zone) => (-1, zone),
        _ => return None,
    };
    if zone.len() != 5 {
        return None;
    }
    let (hours, minutes) = (number(zone.get(..2)?)?, part(zone, 2, ':')?);
    let minutes = i64::try_from(hours * 60 + minutes).ok().filter(|_| hours < 24 && minutes < 60)?;
    Some(sign * minutes)
}

/// Two digits behind a sign at a place.
fn part(text: &str, at: usize, sign: char) -> Option<u64> {
    number(text.get(at..at + 3)?.strip_prefix(sign)?)
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    #[test]
    fn so_long_ago_counts_from_now() {
        assert_eq!(parse("2h", NOW_MS), Ok(NOW_MS - 7_200_000));
        assert_eq!(parse("3d", NOW_MS), Ok(NOW_MS - 259_200_000));
        assert_eq!(parse("9999w", 5), Ok(0));
    }

    #[test]
    fn days_and_times_are_read_as_they_are_shown() {
        for (text, ms) in [
            ("1970-01-01", 0),
            ("2023-11-14", 1_699_920_000_000),
            ("2023-11-14T22:13:20Z", NOW_MS),
            ("2023-11-14 22:13:20z", NOW_MS),
            ("2023-11-14T22:13:20.5Z", NOW_MS + 500),
            ("2023-11-14T22:13:20.123456Z", NOW_MS + 123),
            ("2023-11-15T00:13:20+02:00", NOW_MS),
            ("2023-11-14T16:43:20-05:30", NOW_MS),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ] {
            assert_eq!(parse(text, 0), Ok(ms), "{text}");
        }
        for ms in (0..4_000_000_000_000_u64).step_by(86_399_000 * 97) {
            assert_eq!(parse(&date::rfc3339(ms), 0), Ok(ms));
        }
    }

    #[test]
    fn what_is_no_moment_is_refused_with_examples() {
        for text in [
            "",
            "yesterday",
            "2023",
            "2023-13-01",
            "2023-02-29",
            "2023-00-10",
            "2023-01-00",
            "1969-12-31",
            "2023-11-14T",
            "2023-11-14T25:00:00Z",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+2:00",
            "2023-11-14T22:13:20+02:000",
            "+023-11-14",
            "2023-11-1ü",
            "2023-11-14Tüüüü",
        ] {
            assert!(parse(text, NOW_MS).unwrap_err().contains("is no moment"), "{text:?}");
        }
    }
}
