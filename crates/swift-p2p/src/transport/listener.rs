//! The port: accepts connections and gives each to a task of its own.

use std::{error::Error, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
};
use swift_chain::{NetworkId, NodeKey};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{error, warn};

use super::{
    admission::{Admission, Limits},
    connection::{Shared, turn_away},
    sessions::Sessions,
    tls::{OperatorTls, ServerTls, TlsError},
};
use crate::security::{SecurityKind, SecurityLog};

/// How long connections that were cut have to notice.
const CUT_DEADLINE: Duration = Duration::from_secs(1);

/// Who this node is to its callers, and what it puts up with.
pub struct ListenerConfig {
    tls: ServerTls,
    sessions: Sessions,
    limits: Limits,
    security: Option<SecurityLog>,
}

impl ListenerConfig {
    /// Serves as the holder of `key` in `network`; the nodes that connect are listed in `sessions`.
    pub fn new(key: &NodeKey, network: NetworkId, sessions: Sessions) -> Result<Self, TlsError> {
        Ok(Self { tls: ServerTls::new(key, network)?, sessions, limits: Limits::default(), security: None })
    }

    /// Also serves HTTPS with the operator's certificate.
    #[must_use]
    pub fn with_operator_tls(mut self, tls: OperatorTls) -> Self {
        self.tls.set_operator(tls);
        self
    }

    /// Notes who is turned away.
    #[must_use]
    pub fn with_security(mut self, log: SecurityLog) -> Self {
        self.security = Some(log);
        self
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// A bound port. Until it serves, callers wait in the system's queue.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Binds; port 0 takes any free one.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Gives every request to `service` until `shutdown` resolves.
    ///
    /// Then it stops listening, ends idle connections and lets running requests finish until the instant `shutdown`
    /// resolved to; what runs longer is cut. Returns how many connections had to be cut. Dropping the future cuts all
    /// at once.
    ///
    /// Every request carries a [`Caller`](super::Caller) and a [`RemoteAddress`](super::RemoteAddress) in its
    /// extensions. `service` is cloned for each request; an `axum::Router` fits.
    pub async fn serve<S, B>(
        self,
        service: S,
        config: ListenerConfig,
        shutdown: impl Future<Output = Instant>,
    ) -> usize
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let shared = Arc::new(Shared {
            service,
            tls: config.tls,
            admission: Admission::new(config.limits),
            sessions: config.sessions,
            security: config.security,
            drain: CancellationToken::new(),
            cut: CancellationToken::new(),
        });
        let mut connections = JoinSet::new();
        let mut backoff = Backoff::default();
        let mut shutdown = pin!(shutdown);
        let deadline = loop {
            let accepted = tokio::select! {
                biased;
                deadline = &mut shutdown => break deadline,
                Some(ended) = connections.join_next() => {
                    report_panic(ended);
                    continue;
                }
                accepted = self.0.accept() => accepted,
            };
            match accepted {
                Ok((tcp, from)) => {
                    backoff = Backoff::default();
                    admit(&shared, tcp, from, &mut connections);
                }
                Err(error) => {
                    let Some(pause) = backoff.after(&error) else { continue };
                    warn!(%error, ?pause, "cannot accept connections");
                    tokio::select! {
                        deadline = &mut shutdown => break deadline,
                        () = sleep(pause) => {}
                    }
                }
            }
        };
        drop(self.0);
        shared.drain.cancel();
        if timeout_at(deadline, all_ended(&mut connections)).await.is_ok() {
            return 0;
        }
        let cut = connections.len();
        shared.cut.cancel();
        // A connection that does not notice in time, because its service blocks, is dropped with the set.
        let _ = timeout(CUT_DEADLINE, all_ended(&mut connections)).await;
        cut
    }
}

fn admit<S, B>(shared: &Arc<Shared<S>>, tcp: TcpStream, from: SocketAddr, connections: &mut JoinSet<()>)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
    if let Some(place) = shared.admission.enter(from.ip()) {
        connections.spawn(shared.clone().serve(tcp, from, place));
        return;
    }
    if let Some(security) = &shared.security {
        security.record_from(from.ip(), SecurityKind::RateLimited, from.ip(), "too many connections");
    }
    if let Some(leave) = shared.admission.refusal() {
        let drain = shared.drain.clone();
        connections.spawn(async move {
            drain.run_until_cancelled(turn_away(tcp)).await;
            drop(leave);
        });
    }
}

async fn all_ended(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.join_next().await {
        report_panic(ended);
    }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "the service failed on a connection");
    }
}

/// How long to wait after a failed accept: when descriptors have run out, trying again at once would spin.
#[derive(Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    /// No pause when only the one connection failed before it was accepted.
    fn after(&mut self, error: &io::Error) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            return None;
        }
        let pause = Self::FIRST.saturating_mul(1 << self.failures.min(10)).min(Self::LONGEST);
        self.failures += 1;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_to_accept_is_tried_again_ever_more_slowly() {
        let out_of_descriptors = io::Error::from_raw_os_error(24);
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..12).filter_map(|_| backoff.after(&out_of_descriptors)).collect();
        assert_eq!(pauses[0], Backoff::FIRST);
        assert!(pauses.is_sorted());
        assert_eq!(pauses[11], Backoff::LONGEST);
    }

    #[test]
    fn a_caller_that_hangs_up_early_delays_nobody() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.after(&io::ErrorKind::ConnectionAborted.into()), None);
    }
}
