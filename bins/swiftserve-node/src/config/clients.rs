//! What an operator decides about clients, as people write it.

use std::{fmt, path::PathBuf, str::FromStr};

use swift_http::{Cidr, RequestLimits, RequestRate};

use super::{
    Args, ConfigError, FileSettings,
    layers::{Layers, bad},
};

/// Settings about clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// Take tokens over plain HTTP also from other machines.
    pub allow_plain_http: bool,
    /// Names under which clients call this node, besides addresses, `localhost` and its own.
    pub host_names: Vec<String>,
    /// The certificate shown to browsers.
    pub certificate: Option<CertificateFiles>,
    /// Proxies whose word is taken for where a request comes from.
    pub trusted_proxies: Vec<Cidr>,
    /// How many requests clients may make.
    pub requests: RequestLimits,
}

/// A certificate chain and the key of its first certificate, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the node's own certificate first.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What flags, environment and file say of them.
pub(super) fn settings(
    args: &Args,
    layers: &Layers<'_>,
    settings: Option<&FileSettings>,
) -> Result<ClientSettings, ConfigError> {
    let in_file = |pick: fn(&FileSettings) -> Option<&str>| settings.and_then(pick);
    let switch = layers.switch(&["SWIFTSERVE_ALLOW_PLAIN_HTTP"])?;
    let allow_plain_http = args.allow_plain_http
        || switch.or(settings.and_then(|settings| settings.allow_plain_http)).unwrap_or(false);
    let host_names = layers.parsed::<List<HostName>>(
        "client-host",
        joined(&args.client_host).as_deref(),
        &["SWIFTSERVE_CLIENT_HOST"],
        in_file(|file| file.client_host.as_deref()),
    )?;
    let trusted_proxies = layers.parsed::<List<Cidr>>(
        "trusted-proxy",
        joined(&args.trusted_proxy).as_deref(),
        &["SWIFTSERVE_TRUSTED_PROXY"],
        in_file(|file| file.trusted_proxy.as_deref()),
    )?;
    let per_token = layers.parsed::<Rate>(
        "requests-per-token",
        args.requests_per_token.as_deref(),
        &["SWIFTSERVE_REQUESTS_PER_TOKEN"],
        in_file(|file| file.requests_per_token.as_deref()),
    )?;
    let per_address = layers.parsed::<Rate>(
        "requests-per-address",
        args.requests_per_address.as_deref(),
        &["SWIFTSERVE_REQUESTS_PER_ADDRESS"],
        in_file(|file| file.requests_per_address.as_deref()),
    )?;
    let failures = layers.parsed::<Rate>(
        "failures-per-address",
        args.failures_per_address.as_deref(),
        &["SWIFTSERVE_FAILURES_PER_ADDRESS"],
        in_file(|file| file.failures_per_address.as_deref()),
    )?;
    let default = RequestLimits::default();
    Ok(ClientSettings {
        allow_plain_http,
        host_names: host_names
            .map(|List(names)| names.into_iter().map(|HostName(name)| name).collect())
            .unwrap_or_default(),
        certificate: certificate(args, layers, settings)?,
        trusted_proxies: trusted_proxies.map(|List(networks)| networks).unwrap_or_default(),
        requests: RequestLimits {
            per_token: per_token.map_or(default.per_token, |Rate(rate)| rate),
            per_address: per_address.map_or(default.per_address, |Rate(rate)| rate),
            failures: failures.map_or(default.failures, |Rate(rate)| rate),
        },
    })
}

/// Both files or none.
fn certificate(
    args: &Args,
    layers: &Layers<'_>,
    settings: Option<&FileSettings>,
) -> Result<Option<CertificateFiles>, ConfigError> {
    let in_file = |pick: fn(&FileSettings) -> Option<&str>| settings.and_then(pick);
    let chain = layers.text(
        "tls-cert",
        args.tls_cert.as_deref(),
        &["SWIFTSERVE_TLS_CERT"],
        in_file(|file| file.tls_cert.as_deref()),
    );
    let key = layers.text(
        "tls-key",
        args.tls_key.as_deref(),
        &["SWIFTSERVE_TLS_KEY"],
        in_file(|file| file.tls_key.as_deref()),
    );
    match (chain, key) {
        (Some((chain, _)), Some((key, _))) => {
            Ok(Some(CertificateFiles { chain: chain.into(), key: key.into() }))
        }
        (Some((_, from)), None) => Err(bad(from)("the certificate needs its key: give --tls-key as well")),
        (None, Some((_, from))) => Err(bad(from)("the key needs its certificate: give --tls-cert as well")),
        (None, None) => Ok(None),
    }
}

/// A flag that is given several times is one list.
fn joined(values: &[String]) -> Option<String> {
    (!values.is_empty()).then(|| values.join(","))
}

/// Values with commas between them.
struct List<T>(Vec<T>);

impl<T: FromStr<Err: fmt::Display>> FromStr for List<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| part.parse().map_err(|error: T::Err| error.to_string()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A host name without a port.
struct HostName(String);

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What a node could be dialled at is also what it can be called.
        match swift_chain::Address::new(text, 1) {
            Ok(address) if address.ip().is_none() => Ok(Self(address.host().to_owned())),
            Ok(_) => Err(format!("{text:?} is an address, under which clients may call the node anyway")),
            Err(_) => {
                Err(format!("{text:?} is no host name: write for example files.example.org, without a port"))
            }
        }
    }
}

/// A rate of requests, or `none`.
struct Rate(Option<RequestRate>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => Ok(Self(None)),
            text => text
                .parse()
                .map(|rate| Self(Some(rate)))
                .map_err(|error: swift_http::RequestRateError| error.to_string()),
        }
    }
}
