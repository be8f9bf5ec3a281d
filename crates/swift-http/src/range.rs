//! Byte ranges (RFC 9110, section 14).

use std::ops::Range;

use axum::http::HeaderMap;
use axum::http::header::{IF_RANGE, RANGE};

/// Ranges one request may ask for; more is no honest client.
const RANGES_MAX: usize = 16;

/// What part of a file a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no range, one that means nothing, or one for content the client has no longer.
    Whole,
    /// These bytes, each range within the file and not empty.
    Parts(Vec<Range<u64>>),
    /// Nothing that the file has: 416.
    Unsatisfiable,
}

impl Wanted {
    /// What is asked for, of a file of `len` bytes.
    pub(crate) fn parts(&self, len: u64) -> Vec<Range<u64>> {
        match self {
            Self::Whole => std::iter::once(0..len).collect(),
            Self::Parts(parts) => parts.clone(),
            Self::Unsatisfiable => Vec::new(),
        }
    }

    /// Whether any byte is asked for.
    pub(crate) fn has_bytes(&self, len: u64) -> bool {
        self.parts(len).iter().any(|part| !part.is_empty())
    }

    /// The one part that is asked for, if it is one.
    pub(crate) fn only_part(&self, len: u64) -> Option<Range<u64>> {
        let mut parts = self.parts(len);
        parts.pop().filter(|part| parts.is_empty() && !part.is_empty())
    }
}

/// Reads `Range` and `If-Range` for a file of `len` bytes with this strong entity tag.
pub(crate) fn wanted(headers: &HeaderMap, len: u64, etag: &str) -> Wanted {
    let Some(range) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else { return Wanted::Whole };
    // Dates are never sent, so an If-Range that is not the tag is for something else.
    if headers.get(IF_RANGE).is_some_and(|value| value.as_bytes() != etag.as_bytes()) {
        return Wanted::Whole;
    }
    // A malformed header is ignored (section 14.2).
    let Some(specs) = parse(range) else { return Wanted::Whole };
    let parts: Vec<_> = specs.into_iter().filter_map(|spec| spec.within(len)).collect();
    if parts.is_empty() { Wanted::Unsatisfiable } else { Wanted::Parts(parts) }
}

/// One range as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// `a-b` or `a-`, inclusive.
    From { first: u64, last: Option<u64> },
    /// `-n`: the last n bytes.
    Suffix { len: u64 },
}

impl Spec {
    fn within(self, len: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From { first, last } => first..last.map_or(len, |last| last.saturating_add(1).min(len)),
            Self::Suffix { len: suffix } => len.saturating_sub(suffix)..len,
        };
        (range.start < range.end).then_some(range)
    }
}

fn parse(text: &str) -> Option<Vec<Spec>> {
    let (unit, list) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let specs: Vec<_> = list.split(',').take(RANGES_MAX + 1).map(parse_one).collect::<Option<_>>()?;
    (specs.len() <= RANGES_MAX).then_some(specs)
}

fn parse_one(text: &str) -> Option<Spec> {
    let (first, last) = text.trim().split_once('-')?;
    match (first.is_empty(), last.is_empty()) {
        (true, true) => None,
        (true, false) => Some(Spec::Suffix { len: number(last)? }),
        (false, true) => Some(Spec::From { first: number(first)?, last: None }),
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From { first, last: Some(last) })
        }
    }
}

/// Digits only: no sign, no space. A number too large for us is larger than any file.
fn number(text: &str) -> Option<u64> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(range: &str, len: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range.parse().unwrap());
        wanted(&headers, len, "\"tag\"")
    }

    fn one(range: Range<u64>) -> Wanted {
        Wanted::Parts(vec![range])
    }

    #[test]
    fn single_open_and_suffix_ranges() {
        assert_eq!(ask("bytes=0-9", 100), one(0..10));
        assert_eq!(ask("bytes=90-", 100), one(90..100));
        assert_eq!(ask("bytes=90-200", 100), one(90..100));
        assert_eq!(ask("bytes=-5", 100), one(95..100));
        assert_eq!(ask("bytes=-500", 100), one(0..100));
        assert_eq!(ask("bytes=0-99999999999999999999999", 100), one(0..100));
    }

    #[test]
    fn several_ranges_keep_their_order_and_lose_what_the_file_does_not_have() {
        assert_eq!(ask("bytes=50-59, 0-0,400-500", 100), Wanted::Parts(vec![50..60, 0..1]));
    }

    #[test]
    fn what_no_byte_fits_is_unsatisfiable() {
        for range in ["bytes=100-", "bytes=100-101", "bytes=-0"] {
            assert_eq!(ask(range, 100), Wanted::Unsatisfiable, "{range}");
        }
        assert_eq!(ask("bytes=0-", 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn what_means_nothing_is_ignored() {
        let many = format!("bytes={}", vec!["0-1"; 17].join(","));
        for range in
            ["bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=+1-2", "items=0-1", &many]
        {
            assert_eq!(ask(range, 100), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn if_range_with_another_tag_gives_the_whole_file() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=0-1".parse().unwrap());
        headers.insert(IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(wanted(&headers, 10, "\"tag\""), one(0..2));
        headers.insert(IF_RANGE, "\"older\"".parse().unwrap());
        assert_eq!(wanted(&headers, 10, "\"tag\""), Wanted::Whole);
    }
}
