//! File names on their way into a URL.

use swift_chain::FileName;

use crate::error::Error;

/// A name as somebody typed it, by the ledger's rules and in its form.
pub(crate) fn parse(text: &str) -> Result<FileName, Error> {
    FileName::normalized(text).map_err(|error| Error::Failed(format!("{text:?} cannot be a name: {error}")))
}

/// The path of a file's resource. A checked name has no `.` or `..` part, which a URL would swallow.
pub(crate) fn path_of(name: &FileName) -> String {
    format!("/v1/files/{}", encode_path(name.as_str()))
}

/// Percent-encodes each part of a path (RFC 3986, 2.3: everything but the unreserved characters).
pub(crate) fn encode_path(path: &str) -> String {
    path.split('/').map(encode_segment).collect::<Vec<_>>().join("/")
}

/// Percent-encodes one part of a path.
pub(crate) fn encode_segment(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_part_and_everything_else_is_encoded() {
        assert_eq!(encode_path("a/b c/ä#?%&+.txt"), "a/b%20c/%C3%A4%23%3F%25%26%2B.txt");
        assert_eq!(encode_path("plain-1_2.3~x"), "plain-1_2.3~x");
        assert_eq!(encode_segment("a/b"), "a%2Fb");
    }

    #[test]
    fn names_are_brought_into_the_ledgers_form() {
        let decomposed = parse("a\u{308}").unwrap();
        assert_eq!(decomposed.as_str(), "\u{e4}");
        assert_eq!(path_of(&decomposed), "/v1/files/%C3%A4");
    }

    #[test]
    fn a_bad_name_is_refused_with_its_rule() {
        for (name, rule) in
            [("../x", ".."), ("/etc/x", "absolute"), ("a//b", "empty part"), ("CON", "Windows")]
        {
            let error = parse(name).unwrap_err().to_string();
            assert!(error.contains(rule), "{error}");
        }
    }
}
