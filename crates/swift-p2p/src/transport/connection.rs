//! One connection, from its first byte to its end: who is there, then HTTP/1.1.

use std::{
    error::Error,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::server::Acceptor;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use tracing::debug;

use super::{
    admission::{Admission, Place},
    caller::{Caller, Channel, Crowded, HangUp, RemoteAddress},
    sessions::{Session, Sessions, Visit},
    socket::{Socket, discard, first_byte, part, prepare},
    tls::{Audience, ServerTls, node_of},
};
use crate::security::{SecurityKind, SecurityLog};

type BoxError = Box<dyn Error + Send + Sync>;

/// The first byte of every TLS connection: a handshake record. No HTTP method begins with it.
const TLS_HANDSHAKE: u8 = 0x16;
/// Encrypted bytes that may wait for the socket: more only costs memory, also between nodes.
const TLS_BUFFER_BYTES: usize = 64 << 10;
/// What one read from a connection may take: large enough that a body is not read in crumbs.
const READ_BUFFER_BYTES: usize = 8_192 + 4_096 * 100;
/// The same from a client, which has proved nothing when it sends the head of its first request: so much a thousand of
/// them can make a node hold.
const CLIENT_BUFFER_BYTES: usize = 64 << 10;
/// How long a caller has to send the request that will be refused.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(2);

/// What all connections of a listener share.
pub(super) struct Shared<S> {
    pub(super) service: S,
    pub(super) tls: ServerTls,
    pub(super) admission: Admission,
    pub(super) sessions: Sessions,
    pub(super) security: Option<SecurityLog>,
    /// Cancelled when the listener stops: no further requests.
    pub(super) drain: CancellationToken,
    /// Cancelled when running requests have had their time.
    pub(super) cut: CancellationToken,
}

/// Who is on an open connection.
enum Guest {
    Client(Caller),
    Node(Arc<Session>),
}

impl Guest {
    fn caller(&self) -> Caller {
        match self {
            Self::Client(caller) => *caller,
            Self::Node(session) => session.caller(),
        }
    }

    /// A request has arrived: whether its connection is one too many, and what to hold until its answer is sent.
    fn visit(&self) -> (bool, Option<Visit>) {
        match self {
            Self::Client(_) => (false, None),
            Self::Node(session) => {
                let (is_crowded, visit) = session.visit();
                (is_crowded, Some(visit))
            }
        }
    }
}

/// A body, and the visit that ends when it has been sent.
struct Attended<B> {
    body: Pin<Box<B>>,
    _visit: Option<Visit>,
}

impl<B: Body> Body for Attended<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that is ready for HTTP.
enum Met {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>, Guest),
    /// A node that has too many connections, or is no member, while all seats for those are taken.
    Unseated(Box<TlsStream<TcpStream>>),
}

impl<S, B> Shared<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Serves an admitted connection to its end.
    pub(super) async fn serve(self: Arc<Self>, tcp: TcpStream, from: SocketAddr, place: Place) {
        let met = tokio::select! {
            biased;
            () = self.drain.cancelled() => return,
            met = self.meet(tcp, from.ip()) => met,
        };
        let served = match met {
            Ok(Some(Met::Plain(tcp))) => {
                self.converse(tcp, Guest::Client(Caller::Client { channel: Channel::Plain }), from).await
            }
            Ok(Some(Met::Tls(tls, guest))) => self.converse(*tls, guest, from).await,
            Ok(Some(Met::Unseated(tls))) => refuse(*tls).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = served {
            debug!(%from, error = &*error, "connection ended");
        }
        drop(place);
    }

    /// Waits for the first byte and, with TLS, for the handshake; nothing when the caller has gone.
    async fn meet(&self, tcp: TcpStream, from: IpAddr) -> io::Result<Option<Met>> {
        prepare(&tcp)?;
        let deadline = Instant::now() + self.admission.limits().handshake_deadline;
        match timeout_at(deadline, first_byte(&tcp)).await?? {
            None => Ok(None),
            Some(TLS_HANDSHAKE) => timeout_at(deadline, self.shake_hands(tcp, from)).await?.map(Some),
            Some(_) => Ok(Some(Met::Plain(tcp))),
        }
    }

    async fn shake_hands(&self, tcp: TcpStream, from: IpAddr) -> io::Result<Met> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
        let (config, audience) = self.tls.choose(&hello.client_hello());
        let mut tls = hello.into_stream(config).await?;
        tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        let tls = Box::new(tls);
        Ok(match audience {
            Audience::Clients(channel) => Met::Tls(tls, Guest::Client(Caller::Client { channel })),
            Audience::Nodes => match self.register(&tls, from)? {
                Some(session) => Met::Tls(tls, Guest::Node(Arc::new(session))),
                None => Met::Unseated(tls),
            },
        })
    }

    /// Lists the node's connection; nothing when it has too many, or is no member and no seat is free.
    fn register(&self, tls: &TlsStream<TcpStream>, from: IpAddr) -> io::Result<Option<Session>> {
        let raw_key = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let Some(node) = raw_key.and_then(node_of) else {
            return Err(io::Error::other("the handshake ended without a node's key"));
        };
        let session = self.sessions.register(node, self.cut.child_token());
        if self.sessions.count(&node) > self.admission.limits().connections_per_node_max {
            return Ok(None);
        }
        if !session.standing().is_member() {
            let Some(seat) = self.admission.seat_stranger(from) else {
                if let Some(security) = &self.security {
                    let detail = "too many nodes that are no members";
                    security.record_from(from, SecurityKind::RateLimited, node, detail);
                }
                return Ok(None);
            };
            session.take_seat(seat);
        }
        Ok(Some(session))
    }

    /// Hands each request, its caller known, to the service.
    async fn converse<I: Socket>(
        self: &Arc<Self>,
        io: I,
        guest: Guest,
        from: SocketAddr,
    ) -> Result<(), BoxError> {
        let is_client = matches!(guest, Guest::Client(_));
        let cut = match &guest {
            Guest::Node(session) => session.cut().clone(),
            Guest::Client(_) => self.cut.child_token(),
        };
        let hang_up = is_client.then(|| HangUp(cut.clone()));
        let shared = self.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(guest.caller());
            request.extensions_mut().insert(RemoteAddress(from));
            if let Some(hang_up) = &hang_up {
                request.extensions_mut().insert(hang_up.clone());
            }
            let (is_crowded, visit) = guest.visit();
            if is_crowded {
                request.extensions_mut().insert(Crowded);
            }
            let answered = shared.service.clone().oneshot(request);
            Box::pin(async move {
                let mut response =
                    answered.await?.map(|body| Attended { body: Box::pin(body), _visit: visit });
                if is_crowded {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, S::Error>(response)
            })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.admission.limits().header_deadline)
            // No node looks at it, and many answers to nodes are shorter than it.
            .auto_date_header(is_client)
            .max_buf_size(if is_client { CLIENT_BUFFER_BYTES } else { READ_BUFFER_BYTES })
            .half_close(false)
            .serve_connection(TokioIo::new(io), service);
        let ended = tokio::select! {
            biased;
            () = cut.cancelled() => None,
            ended = http_end(&mut connection) => Some(ended),
            () = self.drain.cancelled() => {
                Pin::new(&mut connection).graceful_shutdown();
                tokio::select! {
                    biased;
                    () = cut.cancelled() => None,
                    ended = http_end(&mut connection) => Some(ended),
                }
            }
        };
        let io = connection.into_parts().io.into_inner();
        match ended {
            Some(Ok(())) => {
                cut.run_until_cancelled(part(io)).await;
            }
            Some(Err(error)) => return Err(error.into()),
            None => discard(&io)?,
        }
        Ok(())
    }
}

/// Tells a caller who has no place that there is none: 503 to plain HTTP, an end to anything else.
pub(super) async fn turn_away(tcp: TcpStream) {
    let told = async {
        match first_byte(&tcp).await? {
            Some(TLS_HANDSHAKE) | None => Ok(()),
            Some(_) => refuse(tcp).await,
        }
    };
    // Nobody waits for the outcome: the caller is told if it listens.
    let _: Result<Result<(), BoxError>, _> = timeout(REFUSAL_DEADLINE * 2, told).await;
}

/// Answers one request with 503, whatever it asks.
async fn refuse<I: Socket>(io: I) -> Result<(), BoxError> {
    let service = service_fn(|_: Request<Incoming>| async {
        Response::builder()
            .status(StatusCode::SERVICE_UNAVAILABLE)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(RETRY_AFTER, "5")
            .body("too many connections\n".to_owned())
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(io), service);
    let served = poll_fn(|context| Pin::new(&mut connection).poll(context));
    timeout(REFUSAL_DEADLINE, served).await??;
    Ok(())
}

/// Runs a connection until HTTP is done with it, but leaves its closing to [`part`].
async fn http_end<I, S, B>(connection: &mut http1::Connection<TokioIo<I>, S>) -> hyper::Result<()>
where
    I: Socket,
    S: HttpService<Incoming, ResBody = B> + Unpin,
    S::Error: Into<BoxError>,
    S::Future: Unpin,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    poll_fn(|context| connection.poll_without_shutdown(context)).await
}
