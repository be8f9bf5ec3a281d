//! Why a peer could not be asked: few reasons, each of which calls for something else.

use std::{error::Error, io};

use hyper::StatusCode;
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

impl DialError {
    /// Why no connection came about.
    pub(super) fn of_connecting(error: &io::Error) -> Self {
        find(error).and_then(refused_in_handshake).unwrap_or_else(|| Self::Unreachable(root(error)))
    }

    /// Why a request or its answer broke off, over a connection that had come about.
    pub(super) fn of_exchange(error: &hyper::Error) -> Self {
        // With TLS 1.3 a node may be refused after it has begun to speak.
        if let Some(reason) = find(error).and_then(refused_in_handshake) {
            return reason;
        }
        // What the connection did comes before what HTTP makes of it.
        if error.is_parse() || error.is_user() {
            Self::Setup(root(error))
        } else {
            Self::Interrupted(root(error))
        }
    }

    /// Whether a connection ended without a word.
    pub(super) fn is_broken(error: &hyper::Error) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
        find::<io::Error>(error).is_some_and(|error| {
            matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
            )
        })
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

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn root(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// An error and what is behind it. An `io::Error` made of another error names as its source what is behind *that* one:
/// the other error itself has to be asked for.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause: &&'a (dyn Error + 'static)| {
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => cause.source(),
        }
    })
}
