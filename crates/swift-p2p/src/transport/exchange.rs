//! A request to a peer and its answer.

use std::{
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body as _, Incoming},
    header::{HOST, HeaderName, HeaderValue},
};
use tokio::time::{Instant, timeout_at};

use super::{
    dial_error::DialError,
    dialer::PeerClient,
    line::{Line, Payload},
    pool::Pool,
};

/// A request that is being put together.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct PeerRequest {
    client: PeerClient,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    /// None where it says something that no header can.
    is_sound: bool,
    timeout: Option<Duration>,
}

impl PeerRequest {
    pub(super) fn new(client: PeerClient, method: Method, path: &str) -> Self {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { client, method, path, headers, body, is_sound: true, timeout: None }
    }

    /// With a header.
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => _ = self.headers.insert(name, value),
            _ => self.is_sound = false,
        }
        self
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// All of it has to be done within this time, from now to the last byte of the answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends it and waits for the head of the answer.
    ///
    /// It goes over a connection that waits for its next use, or over a new one. If such a connection turns out to be
    /// closed, the request is said again over a new one, provided that nothing of it was sent or that saying it twice
    /// changes nothing.
    pub async fn send(self) -> Result<PeerResponse, DialError> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        in_time(deadline, self.exchange(deadline)).await
    }

    async fn exchange(self, deadline: Option<Instant>) -> Result<PeerResponse, DialError> {
        let request = self.build()?;
        let pool = self.client.pool();
        if let Some(mut line) = pool.take() {
            let again = request.clone();
            match line.send(request).await {
                Ok(response) => return Ok(PeerResponse::new(response, line, pool, deadline)),
                Err(mut failed) => {
                    let unsent = failed.take_message();
                    if unsent.is_none() && !(self.method.is_idempotent() && was_closed(failed.error())) {
                        return Err(DialError::of_exchange(failed.error()));
                    }
                    let mut line = self.client.dial().await?;
                    let sent = line.send(unsent.unwrap_or(again)).await;
                    return answered(sent, line, pool, deadline);
                }
            }
        }
        let mut line = self.client.dial().await?;
        let sent = line.send(request).await;
        answered(sent, line, pool, deadline)
    }

    fn build(&self) -> Result<Request<Payload>, DialError> {
        let unsound = || DialError::Setup("the request's path or a header is not one".into());
        let path: Uri = self.path.parse().map_err(|_| unsound())?;
        if !self.is_sound || path.authority().is_some() {
            return Err(unsound());
        }
        let mut request = Request::new(Payload::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = path;
        *request.headers_mut() = self.headers.clone();
        // HTTP/1.1 wants the header. Who is asked for is settled by the key, so nothing needs to stand in it.
        request.headers_mut().insert(HOST, HeaderValue::from_static(""));
        Ok(request)
    }
}

fn answered(
    sent: Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<Payload>>>,
    line: Box<Line>,
    pool: &Arc<Pool>,
    deadline: Option<Instant>,
) -> Result<PeerResponse, DialError> {
    match sent {
        Ok(response) => Ok(PeerResponse::new(response, line, pool, deadline)),
        Err(failed) => Err(DialError::of_exchange(failed.error())),
    }
}

/// The answer to a request. Dropped before its end, it takes its connection with it.
#[derive(Debug)]
pub struct PeerResponse {
    status: StatusCode,
    headers: HeaderMap,
    /// None when it has been read, or has failed.
    coming: Option<Coming>,
    deadline: Option<Instant>,
}

/// A body, and the connection over which it comes.
struct Coming {
    body: Incoming,
    line: Box<Line>,
    pool: Weak<Pool>,
}

impl PeerResponse {
    fn new(
        response: Response<Incoming>,
        line: Box<Line>,
        pool: &Arc<Pool>,
        deadline: Option<Instant>,
    ) -> Self {
        let (parts, body) = response.into_parts();
        let coming = Some(Coming { body, line, pool: Arc::downgrade(pool) });
        let mut answer = Self { status: parts.status, headers: parts.headers, coming, deadline };
        answer.end_if_read();
        answer
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// An answer that is no success as an error.
    pub fn error_for_status(self) -> Result<Self, DialError> {
        if self.status.is_client_error() || self.status.is_server_error() {
            Err(DialError::Refused(self.status))
        } else {
            Ok(self)
        }
    }

    /// The next piece of the body; none at its end. Nothing is read ahead of who asks.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, DialError> {
        let Some(Coming { body, line, .. }) = &mut self.coming else { return Ok(None) };
        let piece = async { line.piece(body).await.map_err(|error| DialError::of_exchange(&error)) };
        match in_time(self.deadline, piece).await {
            Ok(Some(piece)) => {
                self.end_if_read();
                Ok(Some(piece))
            }
            Ok(None) => {
                self.end();
                Ok(None)
            }
            Err(error) => {
                self.coming = None;
                Err(error)
            }
        }
    }

    /// The rest of the body, however long: for those who know that it is short.
    pub async fn bytes(mut self) -> Result<Bytes, DialError> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut all = [first, second].concat();
        while let Some(piece) = self.chunk().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }

    /// The rest of the body as text.
    pub async fn text(self) -> Result<String, DialError> {
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into()).map_err(|_| DialError::Setup("the answer is not text".into()))
    }

    fn end_if_read(&mut self) {
        if self.coming.as_ref().is_some_and(|coming| coming.body.is_end_stream()) {
            self.end();
        }
    }

    /// The connection may be used again.
    fn end(&mut self) {
        if let Some(Coming { body, line, pool }) = self.coming.take() {
            drop(body);
            if let Some(pool) = pool.upgrade() {
                pool.give_back(line);
            }
        }
    }
}

impl Drop for PeerResponse {
    /// What is left of a short answer may be here already.
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Coming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coming").field("body", &self.body).finish_non_exhaustive()
    }
}

async fn in_time<T>(
    deadline: Option<Instant>,
    step: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    match deadline {
        Some(deadline) => timeout_at(deadline, step).await.unwrap_or(Err(DialError::TimedOut)),
        None => step.await,
    }
}

/// Whether the other side had closed the connection before it took the request.
fn was_closed(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_closed() || error.is_canceled() || DialError::is_broken(error)
}
