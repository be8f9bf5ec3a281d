//! Whether a request is for this node, and from whose page it comes: browsers send requests for any page they show.

use axum::http::{HeaderMap, HeaderName, Method, Uri, header, uri::Authority};

use super::{credential::Credential, remote::Source};
use crate::problem::Problem;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The name under which a client calls this node. A page can give a name of its own the address of this node, and would
/// then be of the node's own site to a browser (DNS rebinding); but it cannot change what the browser puts here.
pub(super) fn check_host(uri: &Uri, headers: &HeaderMap, names: &[String]) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (None, _) => return Err(Problem::bad_request("the Host header is missing")),
        (Some(_), Some(_)) => return Err(Problem::bad_request("there is more than one Host header")),
    };
    let host = host.to_str().map_err(|_| Problem::bad_request("the Host header is no text"))?;
    check_name(host, names)?;
    // A target with a host in it is for proxies. Of two that differ, somebody on the way may have looked at the other.
    match uri.authority() {
        Some(target) if !target.as_str().eq_ignore_ascii_case(host) => {
            Err(Problem::bad_request("the target of the request is not on the host of the Host header"))
        }
        _ => Ok(()),
    }
}

fn check_name(host: &str, names: &[String]) -> Result<(), Problem> {
    let is_known = host.parse::<Authority>().is_ok_and(|authority| {
        let name = authority.host();
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        let has_port = authority.port_u16().is_some() || authority.as_str() == name;
        let is_name = bare.parse::<std::net::IpAddr>().is_ok()
            || bare.eq_ignore_ascii_case("localhost")
            || names.iter().any(|known| known.eq_ignore_ascii_case(bare));
        has_port && is_name && !host.contains('@')
    });
    if is_known {
        return Ok(());
    }
    let host: String = host.chars().take(80).collect();
    Err(Problem::forbidden(format!(
        "this node is not called {host:?}; names besides IP addresses and localhost are given by --client-host"
    )))
}

/// A browser says from which page a request comes; programs say nothing. A page of another site, and that is also one on
/// another port, may not change anything, nor do anything in a session.
pub(super) fn check_page(
    method: &Method,
    headers: &HeaderMap,
    source: &Source,
    credential: &Credential<'_>,
) -> Result<(), Problem> {
    let is_write = !matches!(*method, Method::GET | Method::HEAD);
    let is_session = matches!(credential, Credential::Session(_));
    if !is_write && !is_session {
        return Ok(());
    }
    let foreign = || Err(Problem::forbidden("a page of another site may not do this"));
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next();
    if origins.next().is_some() || origin.is_some_and(|origin| !is_own(origin.as_bytes(), headers, source)) {
        return foreign();
    }
    let site = headers.get(FETCH_SITE).map(header::HeaderValue::as_bytes);
    match (site, origin) {
        (Some(b"same-origin"), _) | (None, Some(_)) => Ok(()),
        // The address bar, a bookmark, a program.
        (Some(b"none") | None, None) if !(is_write && is_session) => Ok(()),
        (Some(b"none"), Some(_)) => Ok(()),
        (Some(b"none") | None, None) => Err(Problem::forbidden(
            "in a session nothing is changed without the Origin header that browsers send",
        )),
        (Some(_), _) => foreign(),
    }
}

/// Whether a page's origin is this node as the request names it.
fn is_own(origin: &[u8], headers: &HeaderMap, source: &Source) -> bool {
    let host = headers.get(header::HOST).map_or(&b""[..], header::HeaderValue::as_bytes);
    let own = [source.scheme().as_bytes(), b"://", host].concat();
    !host.is_empty() && origin.eq_ignore_ascii_case(&own)
}

#[cfg(test)]
mod tests {
    use swift_p2p::transport::Channel;

    use super::*;

    fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn host(target: &str, headers: &[(&'static str, &str)]) -> Result<(), u16> {
        let names = ["files.example".to_owned()];
        check_host(&target.parse().unwrap(), &map(headers), &names).map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn a_node_is_called_by_an_address_localhost_or_a_name_it_was_given() {
        for name in [
            "localhost",
            "LocalHost:80",
            "127.0.0.1",
            "10.1.2.3:8000",
            "[::1]",
            "[2001:db8::1]:8000",
            "files.example",
            "Files.Example:443",
        ] {
            assert_eq!(host("/", &[("host", name)]), Ok(()), "{name}");
        }
        for name in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:8000",
            "localhost.",
            "[::1]evil.example",
            "::1",
            "user@localhost",
            "localhost:",
            "localhost:99999",
            "localhost:80:80",
            "127.0.0.1.evil.example",
            "xfiles.example",
            "localhost/evil",
            "[::1",
            "local host",
        ] {
            assert_eq!(host("/", &[("host", name)]), Err(403), "{name}");
        }
    }

    #[test]
    fn there_is_one_host() {
        assert_eq!(host("/", &[]), Err(400));
        assert_eq!(host("/", &[("host", "localhost"), ("host", "localhost")]), Err(400));
        assert_eq!(host("/", &[("host", "localhost"), ("host", "evil.example")]), Err(400));
    }

    #[test]
    fn a_target_with_a_host_names_the_same_one() {
        assert_eq!(host("http://localhost:80/v1", &[("host", "localhost:80")]), Ok(()));
        assert_eq!(host("http://evil.example/v1", &[("host", "localhost")]), Err(400));
        assert_eq!(host("http://localhost/v1", &[("host", "evil.example")]), Err(403));
        assert_eq!(host("http://evil.example/v1", &[("host", "evil.example")]), Err(403));
        assert_eq!(host("http://localhost/v1", &[]), Err(400));
    }

    fn page(method: &Method, is_session: bool, over: Channel, headers: &[(&'static str, &str)]) -> bool {
        let source = Source { ip: None, channel: over, is_near: true };
        let credential = if is_session { Credential::Session("s") } else { Credential::Bearer("t") };
        let mut headers = map(headers);
        headers.insert("host", "localhost:8000".parse().unwrap());
        check_page(method, &headers, &source, &credential).is_ok()
    }

    #[test]
    fn a_page_of_another_site_neither_writes_nor_uses_a_session() {
        for headers in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "http://localhost:8001")],
            &[("origin", "https://localhost:8000")],
            &[("origin", "http://localhost:8000.evil.example")],
            &[("origin", "")],
            &[("origin", "http://localhost:8000"), ("origin", "https://evil.example")],
            &[("origin", "http://localhost:8000"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "anything")],
        ] {
            for is_session in [true, false] {
                assert!(!page(&Method::POST, is_session, Channel::Plain, headers), "{headers:?}");
                assert!(!page(&Method::DELETE, is_session, Channel::Plain, headers), "{headers:?}");
            }
            assert!(!page(&Method::GET, true, Channel::Plain, headers), "{headers:?}");
            // The browser gives the answer to no page of another site, and such a page knows no token.
            assert!(page(&Method::GET, false, Channel::Plain, headers), "{headers:?}");
        }
    }

    #[test]
    fn a_page_of_this_node_may_do_what_its_session_allows() {
        for headers in [
            &[("origin", "http://localhost:8000")][..],
            &[("origin", "http://localhost:8000"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "same-origin")],
        ] {
            assert!(page(&Method::POST, true, Channel::Plain, headers), "{headers:?}");
            assert!(page(&Method::GET, true, Channel::Plain, headers), "{headers:?}");
        }
        assert!(page(&Method::POST, true, Channel::Certified, &[("origin", "https://localhost:8000")]));
        assert!(page(&Method::GET, true, Channel::Plain, &[("sec-fetch-site", "none")]), "a bookmark");
    }

    #[test]
    fn in_a_session_a_write_says_from_which_page_it_comes_and_a_program_with_a_token_need_not() {
        assert!(!page(&Method::POST, true, Channel::Plain, &[]));
        assert!(!page(&Method::POST, true, Channel::Plain, &[("sec-fetch-site", "none")]));
        assert!(page(&Method::POST, false, Channel::Plain, &[]));
        assert!(page(&Method::GET, true, Channel::Plain, &[]));
    }
}
