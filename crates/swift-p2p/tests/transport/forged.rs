//! Handshakes of somebody who has no key, none that is one, or another's.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use swift_p2p::transport::{Limits, Standing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::harness::*;

/// Takes any server, to be the one that is judged.
#[derive(Debug)]
struct Careless;

impl ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// What comes for a request over TLS: with this application protocol, showing this as the key, signed by key 2.
async fn answer(server: &Node, alpn: Option<&[u8]>, shown: Option<Vec<u8>>) -> String {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Careless));
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key(2).to_der().unwrap()));
            let signing = provider.key_provider.load_private_key(private).unwrap();
            let certified = CertifiedKey::new(vec![CertificateDer::from(shown)], signing);
            builder.with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::new(
                certified,
            ))))
        }
    };
    config.alpn_protocols = alpn.into_iter().map(<[u8]>::to_vec).collect();
    let connector = TlsConnector::from(Arc::new(config));
    let connecting = connector.connect("localhost".try_into().unwrap(), server.connect().await);
    let Ok(mut stream) = soon(connecting).await else { return String::new() };
    // The server judges last: its refusal may be an answer to this.
    let _ = stream.write_all(b"GET /whoami HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

/// An Ed25519 key as TLS carries it without a certificate.
fn raw(number: u8) -> Vec<u8> {
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    [&prefix[..], key(number).id().as_bytes()].concat()
}

#[tokio::test]
async fn only_who_holds_the_key_that_it_shows_gets_an_answer() {
    let server = Node::start().await;
    let alpn = format!("swift/1/{}", &network().to_string()[..32]);
    let honest = answer(&server, Some(alpn.as_bytes()), Some(raw(2))).await;
    assert!(honest.starts_with("HTTP/1.1 200") && honest.ends_with(&node(2, Standing::Stranger)), "{honest}");
    let another = raw(3);
    let (mut cut, mut long) = (raw(2), raw(2));
    cut.pop();
    long.push(0);
    for shown in [None, Some(another), Some(cut), Some(long), Some(Vec::new()), Some(vec![0x30; 2_000])] {
        assert_eq!(answer(&server, Some(alpn.as_bytes()), shown.clone()).await, "", "{shown:?}");
    }
}

#[tokio::test]
async fn without_the_networks_protocol_there_is_no_answer() {
    let server = Node::start().await;
    for alpn in [None, Some(&b"h2"[..]), Some(b"http/1.1"), Some(b"swift/1/"), Some(b"swift/2/00")] {
        assert_eq!(answer(&server, alpn, Some(raw(2))).await, "", "{alpn:?}");
    }
    assert_eq!(server.sessions.counts().sessions, 0);
}

#[tokio::test]
async fn one_node_has_a_bounded_number_of_connections() {
    let server = Node::start_limited(Limits { connections_per_node_max: 2, ..Limits::default() }).await;
    server.ledger.set(key(2).id(), MEMBER);
    let clients = [2, 2, 2].map(|number| server.client(number));
    assert_eq!(ask(&clients[0]).await.unwrap(), node(2, MEMBER));
    assert_eq!(ask(&clients[1]).await.unwrap(), node(2, MEMBER));
    assert!(ask(&clients[2]).await.is_err(), "a third connection");
    server.ledger.set(key(3).id(), MEMBER);
    assert_eq!(ask(&server.client(3)).await.unwrap(), node(3, MEMBER));
}

/// A thousand connections with heads as long as they may be are 64 MiB.
#[tokio::test]
async fn the_head_of_a_clients_request_is_bounded() {
    let server = Node::start().await;
    let mut tcp = server.connect().await;
    let endless = [&b"GET /whoami HTTP/1.1\r\nx: "[..], &vec![b'x'; 256 << 10]].concat();
    // The connection may be closed before all of it has gone.
    let _ = tcp.write_all(&endless).await;
    let mut answer = Vec::new();
    let _ = soon(tcp.read_to_end(&mut answer)).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200"), "it was taken");
}
