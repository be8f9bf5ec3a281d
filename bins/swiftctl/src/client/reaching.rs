//! How a node is reached, and why it could not be.

use std::sync::Arc;

use super::{CONNECT_LIMIT, pinned::Pin};
use crate::error::Error;

/// A client of the node that a pin names, or of any, which it does not ask over TLS then.
pub(super) fn over(pin: Option<&Pin>) -> Result<reqwest::Client, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = match pin {
        Some(pin) => pin.tls(provider),
        None => trusts_nobody(provider),
    };
    let tls = tls.map_err(|error| Error::Failed(format!("cannot set up TLS: {error}")))?;
    // A node is asked directly, and once: it carries a token, and a write is repeated by whoever wants it.
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_LIMIT)
        .user_agent(concat!("swiftctl/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::Failed(format!("cannot set up HTTP: {error}")))
}

/// Whether nobody listens there.
pub(super) fn is_refused(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The innermost reason: the outer ones repeat the address and say little.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Only http:// is spoken where no id is given, yet the HTTP library wants to know its TLS.
fn trusts_nobody(
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<rustls::ClientConfig, rustls::Error> {
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}
