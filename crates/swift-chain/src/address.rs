//! Where a node can be dialled.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::limits::HOST_LEN_MAX;

/// A host (IP address or DNS name) and a port other than 0. It is where a node was last seen, never who it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: u16,
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `:PORT` at the end, or it is no number from 1 to 65535.
    #[error("{0:?} has no port from 1 to 65535: write HOST:PORT, an IPv6 address as [::1]:PORT")]
    Port(String),
    /// The host is neither an IP address nor a DNS name.
    #[error("{0:?} is neither an IP address nor a host name")]
    Host(String),
}

impl Address {
    /// Checks host and port. An IPv6 host comes without brackets.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        if port == 0 {
            return Err(AddressError::Port(format!("{host}:0")));
        }
        let host = match host.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => return Err(AddressError::Host(host.to_owned())),
            Ok(ip) => ip.to_canonical().to_string(),
            Err(_) if is_dns_name(host) => host.to_ascii_lowercase(),
            Err(_) => return Err(AddressError::Host(host.chars().take(80).collect())),
        };
        Ok(Self { host, port })
    }

    /// The IP address (an IPv6 one without brackets) or the DNS name in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host, when it is an IP address.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The port, never 0.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether only the node's own machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.ip().map_or(self.host == "localhost", |ip| ip.is_loopback())
    }
}

/// Labels of letters, digits and hyphens, 1 to 63 bytes each (RFC 1123, section 2.1); not all digits, which would be a
/// mistyped IPv4 address.
fn is_dns_name(host: &str) -> bool {
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let all_digits = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= HOST_LEN_MAX
        && host.split('.').all(label_fits)
        && host.rsplit('.').next().is_some_and(|last| !all_digits(last))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let shown = || text.chars().take(80).collect::<String>();
        let (host, port) = text.rsplit_once(':').ok_or_else(|| AddressError::Port(shown()))?;
        let port = port.parse().map_err(|_| AddressError::Port(shown()))?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bracketed {
            Some(host) if host.contains(':') => Self::new(host, port),
            None if !host.contains(':') => Self::new(host, port),
            _ => Err(AddressError::Host(shown())),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_from_their_texts() {
        for text in ["127.0.0.1:8000", "[::1]:1", "node-7.example.org:65535", "localhost:80"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused() {
        for text in [
            "",
            "host",
            "host:",
            "host:0",
            "host:70000",
            "::1:80",
            "[host]:80",
            "a b:80",
            "-a:80",
            "1.2.3.400:80",
            "a..b:80",
            "http://a:80",
            "a/b:80",
            "0.0.0.0:80",
            "[::]:80",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        assert!("127.8.8.8:1".parse::<Address>().unwrap().is_loopback());
        assert!("[::1]:1".parse::<Address>().unwrap().is_loopback());
        assert!("[::ffff:127.0.0.1]:1".parse::<Address>().unwrap().is_loopback());
        assert!(!"10.0.0.1:1".parse::<Address>().unwrap().is_loopback());
    }
}
