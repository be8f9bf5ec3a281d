//! TLS 1.3 configurations: node to node, client to node, and the operator's own certificate.
//!
//! Each is built on an explicit provider (aws-lc-rs), so that nothing depends on a process-wide default. Between nodes
//! there are no tickets, no resumption and no early data: each connection proves both keys anew.

mod raw_key;
mod stream;
mod verifier;

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    ClientConfig, ServerConfig,
    client::{AlwaysResolvesClientRawPublicKeys, Resumption},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{AlwaysResolvesServerRawPublicKeys, ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};
use swift_chain::{NetworkId, NodeId, NodeKey, NodeKeyError};

use super::caller::Channel;

pub(super) use raw_key::node_of;
pub(super) use stream::SecureStream;

/// The application protocol of a client that knows this node's id and checks its key, but has no key of its own.
pub const PINNED_ALPN: &[u8] = b"swift-client/1";

/// What the application protocols of all nodes begin with, whatever their version and network.
const NODE_ALPN_PREFIX: &[u8] = b"swift/";

/// TLS that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The node's key cannot be handed to the TLS stack.
    #[error("the node's key cannot be used for TLS: {0}")]
    NodeKey(#[from] NodeKeyError),
    /// The text holds no certificate or no private key.
    #[error("not a certificate chain and its private key in PEM: {0}")]
    Pem(String),
    /// The TLS stack takes neither; for an operator's certificate mostly: key and certificate do not belong together.
    #[error("the TLS stack refuses this key or certificate: {0}")]
    Rustls(#[from] rustls::Error),
}

/// `swift/1/` and the first 32 hexadecimal digits of the network's id: protocol version and network in the handshake.
fn node_alpn(network: NetworkId) -> Vec<u8> {
    format!("swift/1/{}", &network.to_string()[..32]).into_bytes()
}

/// aws-lc-rs, AES-128-GCM first: where AES is in hardware it is the cheapest.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::cipher_suite::{
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    let cipher_suites =
        vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
    Arc::new(CryptoProvider { cipher_suites, ..aws_lc_rs::default_provider() })
}

/// Whom a configuration lets in, before any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Whoever proves an Ed25519 key.
    Nodes,
    /// Whoever completes the handshake.
    Clients(Channel),
}

/// The server's side: one configuration for each audience, chosen by what the client's first message offers.
pub(super) struct ServerTls {
    nodes: Arc<ServerConfig>,
    pinned: Arc<ServerConfig>,
    operator: Option<OperatorTls>,
    refusal: Arc<ServerConfig>,
}

impl ServerTls {
    pub(super) fn new(key: &NodeKey, network: NetworkId) -> Result<Self, TlsError> {
        let provider = provider();
        let raw_key = raw_key::certified(key, &provider)?;
        let mut nodes = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(verifier::AnyNode::new(&provider)))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(raw_key.clone())));
        nodes.alpn_protocols = vec![node_alpn(network)];
        let mut pinned =
            server_without_client_key(&provider, Arc::new(AlwaysResolvesServerRawPublicKeys::new(raw_key)))?;
        pinned.alpn_protocols = vec![PINNED_ALPN.to_vec()];
        for config in [&mut nodes, &mut pinned] {
            config.ignore_client_order = true;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let refusal = server_without_client_key(&provider, Arc::new(NoCertificate))?;
        Ok(Self { nodes: nodes.into(), pinned: pinned.into(), operator: None, refusal: refusal.into() })
    }

    pub(super) fn set_operator(&mut self, tls: OperatorTls) {
        self.operator = Some(tls);
    }

    /// Every node of any network and version meets the nodes' configuration, which refuses what is not its own with
    /// the alert `no_application_protocol`: that is how the other side learns what is wrong.
    pub(super) fn choose(&self, hello: &ClientHello<'_>) -> (Arc<ServerConfig>, Audience) {
        let offers = |wanted: fn(&[u8]) -> bool| hello.alpn().is_some_and(|mut names| names.any(wanted));
        if offers(|name| name.starts_with(NODE_ALPN_PREFIX)) {
            (self.nodes.clone(), Audience::Nodes)
        } else if offers(|name| name == PINNED_ALPN) {
            (self.pinned.clone(), Audience::Clients(Channel::Pinned))
        } else {
            let config = self.operator.as_ref().map_or_else(|| self.refusal.clone(), OperatorTls::now);
            (config, Audience::Clients(Channel::Certified))
        }
    }
}

fn server_without_client_key(
    provider: &Arc<CryptoProvider>,
    resolver: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13])?;
    Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
}

/// Ends every handshake with the alert `access_denied`: no operator's certificate is installed.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// HTTPS for browsers and scripts with the operator's certificate, which can be exchanged while the port is open.
#[derive(Clone, Debug)]
pub struct OperatorTls(Arc<RwLock<Arc<ServerConfig>>>);

impl OperatorTls {
    /// The chain, leaf first, and the leaf's key, in PEM. Browsers want a P-256 or RSA key, not Ed25519.
    pub fn new(chain_pem: &str, key_pem: &str) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(operator_config(chain_pem, key_pem)?))))
    }

    /// From the next connection on this certificate is shown. One that cannot be used changes nothing.
    pub fn replace(&self, chain_pem: &str, key_pem: &str) -> Result<(), TlsError> {
        let config = operator_config(chain_pem, key_pem)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    fn now(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn operator_config(chain_pem: &str, key_pem: &str) -> Result<Arc<ServerConfig>, TlsError> {
    let pem = |what: &str, error: rustls::pki_types::pem::Error| TlsError::Pem(format!("{what}: {error}"));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| pem("the certificate", error))?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| pem("the key", error))?;
    if chain.is_empty() {
        return Err(TlsError::Pem("there is no certificate in it".to_owned()));
    }
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// How a client without a node key reaches `node` and nobody else: TLS that accepts that node's key alone.
pub fn pinned_client_tls(node: NodeId) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let builder = client_builder(&provider, node)?;
    Ok(client(builder.with_no_client_auth(), PINNED_ALPN.to_vec()))
}

/// The client's side of node to node TLS: shows its own key and accepts one node's alone.
pub(super) struct ClientTls {
    provider: Arc<CryptoProvider>,
    raw_key: Arc<CertifiedKey>,
    alpn: Vec<u8>,
}

impl ClientTls {
    pub(super) fn new(key: &NodeKey, network: NetworkId) -> Result<Self, TlsError> {
        let provider = provider();
        let raw_key = raw_key::certified(key, &provider)?;
        Ok(Self { provider, raw_key, alpn: node_alpn(network) })
    }

    pub(super) fn towards(&self, node: NodeId) -> Result<ClientConfig, TlsError> {
        let resolver = AlwaysResolvesClientRawPublicKeys::new(self.raw_key.clone());
        let builder = client_builder(&self.provider, node)?;
        Ok(client(builder.with_client_cert_resolver(Arc::new(resolver)), self.alpn.clone()))
    }
}

type ClientBuilder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client_builder(provider: &Arc<CryptoProvider>, node: NodeId) -> Result<ClientBuilder, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13])?;
    let verifier = Arc::new(verifier::ThatNode::new(provider, node));
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

fn client(mut config: ClientConfig, alpn: Vec<u8>) -> ClientConfig {
    config.alpn_protocols = vec![alpn];
    config.resumption = Resumption::disabled();
    // The name would be the peer's id: it is not needed to find the key, and an onlooker need not learn it.
    config.enable_sni = false;
    config
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, ClientConnection, Error, HandshakeKind, ServerConnection};

    use super::*;

    const NETWORK: NetworkId = NetworkId::from_bytes([1; 32]);

    /// A handshake without sockets: what kind it was, or why the client gave up.
    fn shake_hands(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Result<HandshakeKind, Error> {
        let mut server = ServerConnection::new(server.clone())?;
        let mut client = ClientConnection::new(client.clone(), "node".try_into().unwrap())?;
        while client.wants_write() || server.wants_write() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            server.read_tls(&mut bytes.as_slice()).unwrap();
            // The server's own error matters here only for the alert it sends.
            let _ = server.process_new_packets();
            bytes.clear();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            client.read_tls(&mut bytes.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(client.handshake_kind().unwrap())
    }

    #[test]
    fn no_session_is_resumed_even_for_a_client_that_asks() {
        let server = ServerTls::new(&NodeKey::from_seed([1; 32]), NETWORK).unwrap();
        let client = ClientTls::new(&NodeKey::from_seed([2; 32]), NETWORK).unwrap();
        let mut client = client.towards(NodeKey::from_seed([1; 32]).id()).unwrap();
        client.resumption = Resumption::in_memory_sessions(8);
        let client = Arc::new(client);
        for _ in 0..3 {
            let kind = shake_hands(&server.nodes, &client).unwrap();
            assert!(
                matches!(kind, HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_client_that_shows_no_key_is_no_node() {
        let key = NodeKey::from_seed([1; 32]);
        let server = ServerTls::new(&key, NETWORK).unwrap();
        let mut keyless = pinned_client_tls(key.id()).unwrap();
        keyless.alpn_protocols = vec![node_alpn(NETWORK)];
        let alert = shake_hands(&server.nodes, &Arc::new(keyless)).unwrap_err();
        assert!(matches!(alert, Error::AlertReceived(_)), "{alert:?}");
    }

    #[test]
    fn version_and_network_are_part_of_the_handshake() {
        let key = NodeKey::from_seed([1; 32]);
        let server = ServerTls::new(&key, NETWORK).unwrap();
        let client = ClientTls::new(&NodeKey::from_seed([2; 32]), NETWORK).unwrap();
        let mut newer = client.towards(key.id()).unwrap();
        assert_eq!(newer.alpn_protocols, [b"swift/1/01010101010101010101010101010101"]);
        newer.alpn_protocols = vec![b"swift/2/01010101010101010101010101010101".to_vec()];
        let alert = shake_hands(&server.nodes, &Arc::new(newer)).unwrap_err();
        assert_eq!(alert, Error::AlertReceived(AlertDescription::NoApplicationProtocol));
    }
}
