//! Where a request comes from, and whether anybody could read it on its way.

use std::{net::IpAddr, str::FromStr};

use axum::http::{HeaderMap, header::FORWARDED};
use swift_p2p::transport::Channel;

use crate::problem::Problem;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// A network of addresses, as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    ip: IpAddr,
    prefix: u8,
}

/// A text that names no network of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network of addresses: write for example 10.0.0.0/8 or 127.0.0.1")]
pub struct CidrError(String);

impl Cidr {
    /// Whether the address is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let same = |ours: u128, theirs: u128, len: u8| {
            let apart = u32::from(len - self.prefix);
            ours.checked_shr(apart).unwrap_or(0) == theirs.checked_shr(apart).unwrap_or(0)
        };
        match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                same(u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same(ours.to_bits(), theirs.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let read = || {
            let (ip, prefix) = match text.trim().split_once('/') {
                Some((ip, prefix)) => (ip, Some(prefix)),
                None => (text.trim(), None),
            };
            let ip: IpAddr = ip.parse().ok()?;
            let len = if ip.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(len), |prefix| prefix.parse().ok())?;
            (prefix <= len).then_some(Self { ip, prefix })
        };
        read().ok_or_else(|| CidrError(text.chars().take(80).collect()))
    }
}

/// Where a client's request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The client's address. A program that mounts the routes itself may give none.
    pub(crate) ip: Option<IpAddr>,
    /// How the bytes came here; behind a trusted proxy, how they came to that.
    pub(crate) channel: Channel,
    /// The connection itself comes from this machine, and nobody passed the request on.
    pub(crate) is_near: bool,
}

impl Source {
    /// Takes a proxy's word for it, if it is one that the operator trusts. Everybody else's words are not looked at.
    pub(crate) fn find(
        peer: Option<IpAddr>,
        channel: Channel,
        headers: &HeaderMap,
        trusted: &[Cidr],
    ) -> Result<Self, Problem> {
        let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
        // A program that mounts the routes itself and gives no address decides for itself.
        let is_near = peer.is_none_or(|ip| ip.to_canonical().is_loopback());
        let direct = Self { ip: peer, channel, is_near };
        if channel == Channel::Pinned || !peer.is_some_and(is_trusted) {
            return Ok(direct);
        }
        if !headers.contains_key(FORWARDED_FOR) {
            return if headers.contains_key(FORWARDED) || headers.contains_key(FORWARDED_PROTO) {
                // Taken for the proxy's own, it could pass as a request of this machine.
                Err(not_understood("the trusted proxy does not say for whom it asks"))
            } else {
                // The proxy itself, or somebody on its machine.
                Ok(direct)
            };
        }
        let mut ip = None;
        // The last was added by the proxy that called, the one before that by whoever called it, and so on: the first
        // from the end that is no trusted proxy is the client. What stands before it anybody may have written.
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            let value = value.to_str().map_err(|_| not_understood("it is no text"))?;
            for text in value.rsplit(',') {
                let stop = ip_of(text).ok_or_else(|| not_understood("it is no list of addresses"))?;
                ip = Some(stop);
                if !is_trusted(stop) {
                    return Ok(Self { ip, channel: forwarded_channel(headers), is_near: false });
                }
            }
        }
        Ok(Self { ip, channel: forwarded_channel(headers), is_near: false })
    }

    /// Whether only this machine can have read what came this way.
    pub(crate) fn is_safe(&self) -> bool {
        self.channel.is_private() || self.is_near
    }

    /// The scheme under which a browser knows this node.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.channel.is_private() { "https" } else { "http" }
    }
}

/// What the last proxy says of its client's connection; what it does not say was in the clear.
fn forwarded_channel(headers: &HeaderMap) -> Channel {
    let last = headers.get_all(FORWARDED_PROTO).iter().next_back().and_then(|value| value.to_str().ok());
    let last = last.and_then(|value| value.rsplit(',').next()).map(str::trim);
    if last.is_some_and(|proto| proto.eq_ignore_ascii_case("https")) {
        Channel::Certified
    } else {
        Channel::Plain
    }
}

fn not_understood(why: &str) -> Problem {
    Problem::bad_request(format!("X-Forwarded-For of the trusted proxy: {why}"))
}

/// An address, also with a port.
fn ip_of(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().ok().or_else(|| text.parse().ok().map(|at: std::net::SocketAddr| at.ip()))?;
    Some(IpAddr::to_canonical(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn find(peer: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> Result<Source, Problem> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<Cidr> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        Source::find(Some(ip(peer)), Channel::Plain, &map, &trusted)
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.7", "::ffff:192.0.2.7", "::c000:207"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "127.0.0.1"),
            ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
        ] {
            let network: Cidr = network.parse().unwrap();
            assert!(network.contains(ip(inside)) && !network.contains(ip(outside)), "{network:?}");
        }
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(ip("255.255.255.255")) && !all.contains(ip("::1")));
        assert!("::/0".parse::<Cidr>().unwrap().contains(ip("2001:db8::1")));
        for text in ["", "10.0.0.0/33", "::/129", "a/8", "10.0.0.0/", "10.0.0.0/-1", "example.org"] {
            assert!(text.parse::<Cidr>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_stranger_s_forwarded_headers_are_ignored() {
        let headers =
            [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https"), ("forwarded", "for=::1")];
        let found = find("192.0.2.1", &headers, &["10.0.0.0/8"]).unwrap();
        assert_eq!(found, Source { ip: Some(ip("192.0.2.1")), channel: Channel::Plain, is_near: false });
        assert!(!found.is_safe());
    }

    #[test]
    fn a_trusted_proxy_tells_address_and_scheme() {
        let headers = [("x-forwarded-for", "192.0.2.1:1234"), ("x-forwarded-proto", "https")];
        let found = find("10.0.0.1", &headers, &["10.0.0.0/8"]).unwrap();
        assert_eq!(found, Source { ip: Some(ip("192.0.2.1")), channel: Channel::Certified, is_near: false });
        let in_clear = find("10.0.0.1", &headers[..1], &["10.0.0.0/8"]).unwrap();
        assert_eq!(in_clear.channel, Channel::Plain);
    }

    #[test]
    fn what_a_client_writes_before_its_proxy_does_counts_for_nothing() {
        let claim = [("x-forwarded-for", "127.0.0.1, 192.0.2.1"), ("x-forwarded-proto", "https, http")];
        let found = find("10.0.0.1", &claim, &["10.0.0.0/8"]).unwrap();
        assert_eq!(found, Source { ip: Some(ip("192.0.2.1")), channel: Channel::Plain, is_near: false });
        let apart = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "192.0.2.1, 10.0.0.2")];
        assert_eq!(find("10.0.0.1", &apart, &["10.0.0.0/8"]).unwrap().ip, Some(ip("192.0.2.1")));
    }

    #[test]
    fn a_trusted_proxy_that_is_not_understood_is_refused_instead_of_taken_for_the_client() {
        for headers in [
            [("x-forwarded-for", "unknown")],
            [("x-forwarded-for", "")],
            [("x-forwarded-for", "192.0.2.1, ?")],
            [("forwarded", "for=192.0.2.1")],
            [("x-forwarded-proto", "https")],
        ] {
            assert!(find("127.0.0.1", &headers, &["127.0.0.1"]).is_err(), "{headers:?}");
        }
        assert!(find("127.0.0.1", &[], &["127.0.0.1"]).unwrap().is_safe(), "somebody on the proxy's machine");
    }

    #[test]
    fn only_encrypted_ways_and_this_machine_are_safe() {
        for (address, is_local) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.0.0.1", false),
            ("192.0.2.1", false),
            ("::ffff:10.0.0.1", false),
            ("2001:db8::1", false),
            ("0.0.0.0", false),
        ] {
            let over =
                |channel| Source::find(Some(ip(address)), channel, &HeaderMap::new(), &[]).unwrap().is_safe();
            assert_eq!(over(Channel::Plain), is_local, "{address}");
            assert!(over(Channel::Pinned) && over(Channel::Certified));
        }
        // What somebody says it came from counts for nothing here.
        let claim = [("x-forwarded-for", "127.0.0.1")];
        assert!(!find("10.0.0.1", &claim, &["10.0.0.0/8"]).unwrap().is_safe());
    }
}
