//! Sizes as people write them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes, written `256MiB`, `1.5GB` or `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteSize(u64);

/// Long names first: `MiB` ends in `B` too.
const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
    ("", 1),
];

impl ByteSize {
    pub(crate) fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is no size; write for example 256MiB, 1GB or 4096");
        let number = |(unit, factor): &(&str, u64)| Some((text.strip_suffix(unit)?.trim_end(), *factor));
        let (digits, factor) = UNITS.iter().find_map(number).ok_or_else(error)?;
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || part.len() > 3 || !is_number(whole) || !is_number(part) {
            return Err(error());
        }
        let thousandths = format!("{part:0<3}").parse::<u64>().map_err(|_| error())?;
        let bytes = whole.parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
        let more = factor.checked_mul(thousandths).map(|n| n / 1000);
        bytes.zip(more).and_then(|(a, b)| a.checked_add(b)).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().filter(|(unit, _)| unit.ends_with("iB"));
        match { binary }.find(|(_, factor)| self.0 >= *factor) {
            // In tenths, rounded down: what is not whole yet must not look so.
            Some((unit, factor)) => write!(f, "{}.{} {unit}", self.0 / factor, self.0 % factor * 10 / factor),
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("17B", 17),
            ("256MiB", 256 << 20),
            ("1 GiB", 1 << 30),
            ("1.5kB", 1500),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "MiB", "lots", "-1", "1e3", "1.2.3", "1.MiB2", "99999999999TiB", "+5", "1,5GB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_unit_that_fits() {
        assert_eq!(ByteSize(1023).to_string(), "1023 B");
        assert_eq!(ByteSize(256 << 20).to_string(), "256.0 MiB");
        assert_eq!(ByteSize((1 << 30) - 1).to_string(), "1023.9 MiB");
    }
}
