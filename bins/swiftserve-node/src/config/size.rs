//! Sizes as people write them.

use std::str::FromStr;

/// A number of bytes as people write it: `10GiB`, `500MB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor: Option<u64> = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => Some(1),
            "kib" => Some(1 << 10),
            "mib" => Some(1 << 20),
            "gib" => Some(1 << 30),
            "tib" => Some(1 << 40),
            "kb" => Some(1_000),
            "mb" => Some(1_000_000),
            "gb" => Some(1_000_000_000),
            "tb" => Some(1_000_000_000_000),
            _ => None,
        };
        let size =
            number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        size.map(Self).ok_or_else(|| format!("{text:?} is no size: write for example 500MB or 10GiB"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("4096", 4096), ("10 GiB", 10 << 30), ("500mb", 500_000_000), ("1TiB", 1 << 40)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
        for text in ["", "GiB", "-1", "1.5GiB", "99999999999TiB"] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }
}
