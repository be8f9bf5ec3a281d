//! Callers are who their keys say, and nobody else is let in.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, http::Request};
use hyper::StatusCode;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore, crypto::aws_lc_rs,
    pki_types::pem::PemObject,
};
use swift_chain::{NetworkId, Role};
use swift_p2p::transport::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
};
use tokio_rustls::TlsConnector;

use super::harness::*;

/// A certificate for `localhost` and its P-256 key, made for these tests and good for a hundred years.
const OPERATOR_CERTIFICATE: &str = include_str!("operator.cert.pem");
const OPERATOR_KEY: &str = include_str!("operator.key.pem");

const PINNED_CLIENT: Caller = Caller::Client { channel: Channel::Pinned };
const BROWSER: Caller = Caller::Client { channel: Channel::Certified };
const CLIENT_IN_PLAIN: Caller = Caller::Client { channel: Channel::Plain };

#[tokio::test]
async fn a_member_is_served_and_known_by_its_key() {
    let server = Node::start().await;
    server.ledger.set(key(2).id(), Standing::Member(Role::Admin));
    assert_eq!(ask(&server.client(2)).await.unwrap(), node(2, Standing::Member(Role::Admin)));
}

#[tokio::test]
async fn strangers_and_the_removed_reach_the_service_as_such() {
    let server = Node::start().await;
    server.ledger.set(key(3).id(), Standing::Removed);
    assert_eq!(ask(&server.client(2)).await.unwrap(), node(2, Standing::Stranger));
    assert_eq!(ask(&server.client(3)).await.unwrap(), node(3, Standing::Removed));
}

#[tokio::test]
async fn the_standing_is_asked_anew_for_each_request() {
    let server = Node::start().await;
    let client = server.client(2);
    for standing in [Standing::Stranger, MEMBER, Standing::Member(Role::Reader), Standing::Removed] {
        server.ledger.set(key(2).id(), standing);
        assert_eq!(ask(&client).await.unwrap(), node(2, standing));
        assert_eq!(server.sessions.count(&key(2).id()), 1, "all over one connection");
    }
}

#[tokio::test]
async fn plain_http_on_the_same_port_is_a_client() {
    let server = Node::start().await;
    let mut tcp = server.connect().await;
    let answer = ask_plainly(&mut tcp, "/whoami", "}").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(&format!("{CLIENT_IN_PLAIN:?}")), "{answer}");
}

#[tokio::test]
async fn a_server_with_another_key_than_dialled_is_refused() {
    let server = Node::start().await;
    server.ledger.locate(key(9).id(), server.at);
    let dialer = Dialer::new(&key(2), network(), server.ledger.clone()).unwrap();
    assert_eq!(ask(&dialer.client(key(9).id()).unwrap()).await, Err(DialError::OtherKey));
    assert_eq!(server.sessions.counts(), SessionCounts::default());
}

#[tokio::test]
async fn nodes_of_different_networks_tell_each_other_apart() {
    let server = Node::start().await;
    let elsewhere = NetworkId::from_bytes([0xcd; 32]);
    let dialer = Dialer::new(&key(2), elsewhere, server.ledger.clone()).unwrap();
    let error = ask(&dialer.client(server.id).unwrap()).await.unwrap_err();
    assert_eq!(error, DialError::NotThisNetwork);
    assert_eq!(error.to_string(), "the peer is not a node of this network or speaks another version");
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_no_node() {
    let server = Node::start().await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    server.ledger.locate(server.id, other.local_addr().unwrap());
    let impostor = async {
        let (mut tcp, _) = other.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        until_closed(&mut tcp).await
    };
    let client = server.client(2);
    let (answer, _) = tokio::join!(ask(&client), impostor);
    assert_eq!(answer, Err(DialError::NotThisNetwork));
}

#[tokio::test]
async fn why_a_peer_does_not_answer_is_told_apart() {
    let server = Node::start().await;
    let client = server.client(2);
    server.ledger.set(key(2).id(), MEMBER);

    let missing = client.get("/nothing").send().await.unwrap().error_for_status().unwrap_err();
    assert_eq!(missing, DialError::Refused(StatusCode::NOT_FOUND));

    // Bound, so that nobody else gets the port, but not listening.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    server.ledger.locate(server.id, closed.local_addr().unwrap());
    assert!(matches!(ask(&server.client(2)).await, Err(DialError::Unreachable(_))));

    server.ledger.lose(server.id);
    assert_eq!(ask(&server.client(2)).await, Err(DialError::NoAddress));
}

#[tokio::test]
async fn a_host_name_in_the_ledger_is_looked_up() {
    let server = Node::start().await;
    let dialer = Dialer::new(&key(2), network(), server.ledger.clone()).unwrap();
    let address = format!("localhost:{}", server.at.port()).parse().unwrap();
    let client = dialer.client_at(server.id, address).unwrap();
    assert_eq!(ask(&client).await.unwrap(), node(2, Standing::Stranger));
}

#[tokio::test]
async fn a_path_cannot_lead_to_another_host() {
    let echo = async |request: Request<axum::body::Body>| request.uri().to_string();
    let server = Node::start_with(Router::new().fallback(echo), |config| config).await;
    let client = server.client(2);
    for (path, asked) in [
        ("//127.0.0.1:1/", "//127.0.0.1:1/"),
        ("@127.0.0.1:1/", "/@127.0.0.1:1/"),
        (":1/", "/:1/"),
        ("http://127.0.0.1:1/", "/http://127.0.0.1:1/"),
    ] {
        let answer = soon(client.get(path).send()).await.unwrap();
        assert_eq!(soon(answer.text()).await.unwrap(), asked);
    }
    for path in ["/a b", "/a\r\nx: y", "/\0"] {
        let error = soon(client.get(path).send()).await.unwrap_err();
        assert!(matches!(error, DialError::Setup(_)), "{path:?}: {error:?}");
    }
}

#[tokio::test]
async fn clients_are_kept_until_their_peer_moves_or_leaves() {
    let server = Node::start().await;
    let clients = PeerClients::new(Dialer::new(&key(2), network(), server.ledger.clone()).unwrap());
    assert_eq!(clients.client(&key(8).id()).unwrap_err(), DialError::NoAddress);
    ask(&clients.client(&server.id).unwrap()).await.unwrap();
    ask(&clients.client(&server.id).unwrap()).await.unwrap();
    assert_eq!(server.sessions.count(&key(2).id()), 1, "both over one connection");

    clients.refresh();
    assert_eq!(clients.count(), 1, "nothing has changed");
    server.ledger.locate(server.id, SocketAddr::from(([127, 0, 0, 2], server.at.port())));
    clients.refresh();
    assert_eq!(clients.count(), 0, "it has moved");

    server.ledger.locate(server.id, server.at);
    clients.client(&server.id).unwrap();
    server.ledger.lose(server.id);
    assert_eq!(clients.client(&server.id).unwrap_err(), DialError::NoAddress);
    assert_eq!(clients.count(), 0, "it has left");
}

#[tokio::test]
async fn a_client_without_a_key_can_pin_the_node_s_key() {
    let server = Node::start().await;
    let answer = https(&server, pinned_client_tls(server.id).unwrap()).await.unwrap();
    assert_eq!(answer, format!("{PINNED_CLIENT:?}"));
    let other = https(&server, pinned_client_tls(key(9).id()).unwrap()).await.unwrap_err();
    assert_eq!(other, rustls::Error::InvalidCertificate(CertificateError::NotValidForName));
}

#[tokio::test]
async fn https_needs_the_operator_s_certificate() {
    let bare = Node::start().await;
    // The alert says so: `access_denied`, instead of a connection that just ends.
    let refused = https(&bare, browser_tls()).await.unwrap_err();
    assert_eq!(refused, rustls::Error::AlertReceived(AlertDescription::AccessDenied));

    let operator = OperatorTls::new(OPERATOR_CERTIFICATE, OPERATOR_KEY).unwrap();
    let server = Node::start_with(axum::Router::new(), |config| config.with_operator_tls(operator)).await;
    assert_eq!(https(&server, browser_tls()).await.unwrap(), format!("{BROWSER:?}"));
    assert_eq!(ask(&server.client(2)).await.unwrap(), node(2, Standing::Stranger), "nodes as before");
}

#[test]
fn what_is_no_certificate_is_refused_when_it_is_set() {
    assert!(matches!(OperatorTls::new("", OPERATOR_KEY), Err(TlsError::Pem(_))));
    assert!(matches!(OperatorTls::new(OPERATOR_CERTIFICATE, ""), Err(TlsError::Pem(_))));
    let other_key = key(1).to_pem().unwrap();
    assert!(matches!(OperatorTls::new(OPERATOR_CERTIFICATE, &other_key), Err(TlsError::Rustls(_))));
}

#[tokio::test]
async fn tls_1_2_is_refused_with_its_alert() {
    let server = Node::start().await;
    let answer = exchange(&mut server.connect().await, &tls12_hello()).await;
    // Alert record, fatal, protocol_version (RFC 8446, section 6).
    assert_eq!(answer, [0x15, 3, 3, 0, 2, 2, 70]);
}

/// A ClientHello that offers TLS 1.2 and nothing later.
fn tls12_hello() -> Vec<u8> {
    let mut hello = vec![3, 3];
    hello.extend([7; 32]); // random
    hello.push(0); // no session
    hello.extend([0, 2, 0xc0, 0x2f, 1, 0]); // ECDHE-RSA-AES128-GCM, no compression
    let extensions = [
        [0, 10, 0, 4, 0, 2, 0, 29].as_slice(), // groups: X25519
        &[0, 13, 0, 4, 0, 2, 4, 3],            // signatures: ECDSA P-256
    ]
    .concat();
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let mut record = vec![0x16, 3, 1];
    record.extend(u16::try_from(hello.len() + 4).unwrap().to_be_bytes());
    record.extend([1, 0, 0, u8::try_from(hello.len()).unwrap()]);
    record.extend(hello);
    record
}

/// Trusts the operator's certificate, as a browser of that operator would.
fn browser_tls() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let certificate = rustls::pki_types::CertificateDer::from_pem_slice(OPERATOR_CERTIFICATE.as_bytes());
    roots.add(certificate.unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

async fn https(server: &Node, tls: ClientConfig) -> Result<String, rustls::Error> {
    let connector = TlsConnector::from(Arc::new(tls));
    let connecting = connector.connect("localhost".try_into().unwrap(), server.connect().await);
    let mut stream = soon(connecting).await.map_err(|error| {
        let reason = error.get_ref().and_then(|reason| reason.downcast_ref::<rustls::Error>());
        reason.cloned().unwrap_or_else(|| panic!("not the handshake failed: {error}"))
    })?;
    stream.write_all(b"GET /whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    Ok(body.to_owned())
}
