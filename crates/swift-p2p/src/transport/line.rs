//! One HTTP/1.1 connection to a peer. No task of its own moves it: whoever waits for an answer does, so that what
//! comes in is handed on by nobody, and what nobody asks for is not read.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
    },
};
use hyper_util::rt::TokioIo;

use super::tls::SecureStream;

/// The longest head of an answer: a grain tree stands in some.
const HEAD_LEN_MAX: usize = 16 * 1024;
/// What one read of an answer's body may take.
const READ_LEN_MAX: usize = 256 * 1024;

/// A connection that is shaken hands over.
pub(super) struct Line {
    requests: SendRequest<Payload>,
    /// None once it has ended.
    connection: Option<Connection<TokioIo<SecureStream>, Payload>>,
    is_resting: Arc<AtomicBool>,
}

impl Line {
    pub(super) async fn begin(stream: SecureStream) -> io::Result<Self> {
        let is_resting = stream.resting();
        let builder = Builder::new().max_buf_size(READ_LEN_MAX).max_header_size(HEAD_LEN_MAX).clone();
        let begun = builder.handshake(TokioIo::new(stream)).await;
        let (requests, connection) = begun.map_err(io::Error::other)?;
        Ok(Self { requests, connection: Some(connection), is_resting })
    }

    /// Sends a request and waits for the head of its answer. A request of which nothing was sent comes back with the
    /// error.
    pub(super) async fn send(
        &mut self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Payload>>> {
        self.is_resting.store(false, Ordering::Relaxed);
        let mut answered = pin!(self.requests.try_send_request(request));
        let connection = &mut self.connection;
        poll_fn(|cx| {
            move_on(connection, cx);
            answered.as_mut().poll(cx)
        })
        .await
    }

    /// The next piece of an answer's body; none at its end.
    pub(super) async fn piece(&mut self, body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
        poll_fn(|cx| {
            loop {
                // Asking for a piece is what makes the connection read one.
                let frame = match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => {
                        move_on(&mut self.connection, cx);
                        Pin::new(&mut *body).poll_frame(cx)
                    }
                    ready => ready,
                };
                return match frame {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(None) => Poll::Ready(Ok(None)),
                    Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(piece) => Poll::Ready(Ok(Some(piece))),
                        Err(_trailers) => continue,
                    },
                };
            }
        })
        .await
    }

    /// Whether another request can be sent now. It is looked at, not waited for; a line that can rests from now on.
    pub(super) fn is_free(&mut self) -> bool {
        self.is_resting.store(true, Ordering::Relaxed);
        move_on(&mut self.connection, &mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.requests.is_ready()
    }
}

/// Does what can be done. How the connection ends, its request or its body learns.
fn move_on(connection: &mut Option<Connection<TokioIo<SecureStream>, Payload>>, cx: &mut Context<'_>) {
    if let Some(running) = connection
        && Pin::new(running).poll(cx).is_ready()
    {
        *connection = None;
    }
}

/// The body of a request: bytes that are at hand.
#[derive(Clone, Debug)]
pub(super) struct Payload(Bytes);

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
