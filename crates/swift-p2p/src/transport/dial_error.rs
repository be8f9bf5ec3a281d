//! Why a peer could not be asked: few reasons, each of which calls for something else.

use std::{error::Error, io};

use reqwest::StatusCode;
use rustls::{AlertDescription, CertificateError};

/// Why a request to a peer brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// Nobody knows where the node is. It is no member, or the ledger is behind.
    #[error("no address is known for this node")]
    NoAddress,
    /// No connection came about: wrong address, machine down, network parted. Nothing was sent; try later.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// Somebody else answers at that address. Nothing was sent.
    #[error("another node answers at this address, or someone who pretends to be the one asked for")]
    OtherKey,
    /// Whoever answers does not take part in this network. Nothing was sent.
    #[error("the peer is not a node of this network or speaks another version")]
    NotThisNetwork,
    /// The node answered, with a status that is no success.
    #[error("the node refused: {0}")]
    Refused(StatusCode),
    /// A deadline set for the request passed. The node may have acted on it.
    #[error("the node did not answer in time")]
    TimedOut,
    /// The connection broke during the request or its answer. The node may have acted on it.
    #[error("the connection to the node broke: {0}")]
    Interrupted(String),
    /// The request could not be built or its answer not be understood: a fault of this program or the other's.
    #[error("the request to the node failed: {0}")]
    Setup(String),
}

/// What the resolver says when the address book has nothing.
#[derive(Debug, thiserror::Error)]
#[error("no address is known for this node")]
pub(super) struct NoAddress;

impl DialError {
    /// What lies behind an error of reqwest: it is found in the chain of sources, where the TLS stack and the resolver
    /// left it.
    pub fn of(error: &reqwest::Error) -> Self {
        if let Some(status) = error.status() {
            return Self::Refused(status);
        }
        if find::<NoAddress>(error).is_some() {
            return Self::NoAddress;
        }
        if let Some(reason) = find(error).and_then(refused_in_handshake) {
            return reason;
        }
        let root = || Causes::of(error).last().map_or_else(|| error.to_string(), ToString::to_string);
        if error.is_connect() {
            Self::Unreachable(root())
        } else if error.is_timeout() {
            Self::TimedOut
        } else if error.is_builder() || error.is_decode() && find::<hyper::Error>(error).is_none() {
            Self::Setup(root())
        } else {
            Self::Interrupted(root())
        }
    }
}

impl From<reqwest::Error> for DialError {
    fn from(error: reqwest::Error) -> Self {
        Self::of(&error)
    }
}

/// What a TLS error says about who is there; nothing when it only says that the connection ended.
fn refused_in_handshake(error: &rustls::Error) -> Option<DialError> {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(CertificateError::NotValidForName | CertificateError::BadSignature) => {
            Some(DialError::OtherKey)
        }
        Tls::AlertReceived(AlertDescription::CloseNotify | AlertDescription::UserCanceled) => None,
        // Whoever is there speaks no TLS, none that suits, or refuses ours: no node of this network does.
        Tls::AlertReceived(_)
        | Tls::InvalidCertificate(_)
        | Tls::InvalidMessage(_)
        | Tls::InappropriateMessage { .. }
        | Tls::InappropriateHandshakeMessage { .. }
        | Tls::PeerIncompatible(_)
        | Tls::PeerMisbehaved(_)
        | Tls::NoCertificatesPresented
        | Tls::NoApplicationProtocol => Some(DialError::NotThisNetwork),
        _ => None,
    }
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    Causes::of(error).find_map(|cause| cause.downcast_ref())
}

/// An error and what is behind it. An `io::Error` made of another error names as its source what is behind *that* one:
/// the other error itself has to be asked for.
struct Causes<'a> {
    next: Option<&'a (dyn Error + 'static)>,
}

impl<'a> Causes<'a> {
    fn of(error: &'a reqwest::Error) -> Self {
        Self { next: Some(error) }
    }
}

impl<'a> Iterator for Causes<'a> {
    type Item = &'a (dyn Error + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let cause = self.next?;
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        self.next = match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
        Some(cause)
    }
}
