//! What a client shows to be let in.

use axum::http::{HeaderMap, header};
use swift_chain::NodeId;

use super::remote::Source;
use crate::{
    problem::Problem,
    services::Services,
    tokens::{SecretHash, TokenRecord},
};

/// Longer than any credential of a node is.
const CREDENTIAL_LEN_MAX: usize = 256;

/// A secret as it came, not judged yet. It is not for printing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    /// Nothing.
    None,
    /// A token.
    Bearer(&'a str),
    /// The cookie of a browser that is signed in.
    Session(&'a str),
}

/// The hash of a credential that let somebody in, to see later whether it still does.
#[derive(Clone, Copy)]
pub(crate) enum Shown {
    Token(SecretHash),
    Session(SecretHash),
}

impl Shown {
    /// What it allows now.
    pub(crate) fn grant(self, services: &Services, now_ms: u64) -> Option<TokenRecord> {
        match self {
            Self::Token(hash) => services.tokens.find_by_hash(&hash, now_ms),
            Self::Session(hash) => services.sessions().find_by_hash(&services.tokens, &hash, now_ms),
        }
    }
}

impl<'a> Credential<'a> {
    /// What is kept of it.
    pub(crate) fn shown(&self) -> Option<Shown> {
        match self {
            Self::None => None,
            Self::Bearer(token) => Some(Shown::Token(SecretHash::of(token))),
            Self::Session(secret) => Some(Shown::Session(SecretHash::of(secret))),
        }
    }

    /// A token before a cookie: whoever writes a header of its own means it.
    pub(crate) fn of(headers: &'a HeaderMap, cookie: &str) -> Result<Self, Problem> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(session_of(headers, cookie).map_or(Self::None, Self::Session));
        };
        let token = value.to_str().ok().filter(|_| values.next().is_none()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.filter(|token| token.len() <= CREDENTIAL_LEN_MAX);
        token
            .map(Self::Bearer)
            .ok_or_else(|| Problem::unauthorized("the Authorization header is not of the form Bearer TOKEN"))
    }
}

/// The name of the cookie of this node: browsers give cookies to all ports of a host. The prefix makes a browser refuse
/// it from anybody but this very host over TLS.
pub(crate) fn cookie_name(node: &NodeId, source: &Source) -> String {
    let prefix = if source.channel.is_private() { "__Host-" } else { "" };
    format!("{prefix}swift-{}", node.short())
}

fn session_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, secret) = pairs.find(|(key, _)| *key == name)?;
    (secret.len() <= CREDENTIAL_LEN_MAX).then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Result<String, u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        match Credential::of(&map, "swift-abc") {
            Ok(Credential::None) => Ok("none".into()),
            Ok(Credential::Bearer(token)) => Ok(format!("token {token}")),
            Ok(Credential::Session(secret)) => Ok(format!("session {secret}")),
            Err(problem) => Err(problem.status.as_u16()),
        }
    }

    #[test]
    fn only_bearer_credentials_are_read() {
        assert_eq!(read(&[]).unwrap(), "none");
        assert_eq!(read(&[("authorization", "Bearer abc")]).unwrap(), "token abc");
        assert_eq!(read(&[("authorization", "bearer  abc ")]).unwrap(), "token abc");
        assert_eq!(read(&[("authorization", "Basic abc")]), Err(401));
        assert_eq!(read(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]), Err(401));
        assert_eq!(read(&[("authorization", &format!("Bearer {}", "x".repeat(10_000)))]), Err(401));
    }

    #[test]
    fn the_cookie_of_this_node_is_found_among_others() {
        let cookies = "a=b; swift-abcd=no; swift-abc=yes; swift-abc=later";
        assert_eq!(read(&[("cookie", cookies)]).unwrap(), "session yes");
        assert_eq!(read(&[("cookie", "a=b"), ("cookie", "swift-abc=yes")]).unwrap(), "session yes");
        assert_eq!(read(&[("cookie", "xswift-abc=no; __Host-swift-abc=no; swift-abc")]).unwrap(), "none");
        assert_eq!(read(&[("cookie", "swift-abc=s"), ("authorization", "Bearer t")]).unwrap(), "token t");
    }
}
