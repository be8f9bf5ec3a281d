//! Asking a node: one request, one answer, and what can go wrong between them.

mod body;
mod patience;
mod pinned;
mod reaching;

use std::{future::Future, time::Duration};

use reqwest::{Method, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{
    api::Problem,
    error::Error,
    output::note,
    target::Target,
    text::{name, shell},
};

pub(crate) use body::Upload;
pub(crate) use patience::Patience;
use patience::Said;
use pinned::Pin;
use reaching::{is_refused, over, root_cause};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a transfer may stand still.
const STALL_LIMIT: Duration = Duration::from_secs(60);
/// How long a node may think: a write waits for its block, and a large file for the disk.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);
/// How long a refusal takes that needs no body.
const REFUSAL_LIMIT: Duration = Duration::from_secs(5);
const JSON_LEN_MAX: usize = 64 << 20;
const PROBLEM_LEN_MAX: usize = 64 << 10;

/// A client of one node.
pub(crate) struct Client {
    http: reqwest::Client,
    target: Target,
    /// Set when the node is to prove its id.
    pin: Option<Pin>,
    /// Set when it is to do so before anything else, and then is asked in the clear.
    owner: Option<Owner>,
    said: Said,
}

/// The node whose token is at hand.
struct Owner {
    http: reqwest::Client,
    pin: Pin,
    has_proved: OnceCell<()>,
}

impl Client {
    pub(crate) fn new(target: Target) -> Result<Self, Error> {
        let pin = target.id.map(Pin::new);
        let http = over(pin.as_ref())?;
        let owner = target
            .owner
            .map(Pin::new)
            .map(|pin| Ok::<_, Error>(Owner { http: over(Some(&pin))?, pin, has_proved: OnceCell::new() }));
        let owner = owner.transpose()?;
        if target.token.is_some() && !target.is_private() {
            note(&format!("note: the token goes unencrypted to {}", shown_url(&target)));
        }
        Ok(Self { http, target, pin, owner, said: Said::default() })
    }

    /// How a further command for this node begins.
    pub(crate) fn command(&self) -> &str {
        &self.target.command
    }

    /// Asks for JSON.
    pub(crate) async fn get(&self, what: &str, path: &str) -> Result<Value, Error> {
        let answer = self.answer(what, self.request(Method::GET, path), STALL_LIMIT).await?;
        self.read_json(what, answer).await
    }

    /// Posts JSON, gets JSON.
    pub(crate) async fn post(&self, what: &str, path: &str, body: &impl Serialize) -> Result<Value, Error> {
        self.json(what, self.request(Method::POST, path).json(body)).await
    }

    /// Changes by JSON, gets JSON.
    pub(crate) async fn patch(&self, what: &str, path: &str, body: &impl Serialize) -> Result<Value, Error> {
        self.json(what, self.request(Method::PATCH, path).json(body)).await
    }

    /// Puts JSON, gets JSON.
    pub(crate) async fn set(&self, what: &str, path: &str, body: &impl Serialize) -> Result<Value, Error> {
        self.json(what, self.request(Method::PUT, path).json(body)).await
    }

    /// Asks by a method alone, gets JSON.
    pub(crate) async fn change(&self, what: &str, method: Method, path: &str) -> Result<Value, Error> {
        self.json(what, self.request(method, path)).await
    }

    /// Deletes, gets JSON.
    pub(crate) async fn delete(&self, what: &str, path: &str) -> Result<Value, Error> {
        self.json(what, self.request(Method::DELETE, path)).await
    }

    /// Begins to fetch content, from byte `from` on if the content still has the tag.
    pub(crate) async fn fetch(
        &self,
        what: &str,
        path: &str,
        resume: Option<Resume<'_>>,
    ) -> Result<Response, Error> {
        let mut request = self.request(Method::GET, path);
        if let Some(Resume { from, etag }) = resume {
            request = request.header("range", format!("bytes={from}-")).header("if-range", etag);
        }
        self.answer(what, request, STALL_LIMIT).await
    }

    /// Begins to hear of events, those behind the last one that was heard of if there was one.
    pub(crate) async fn stream(
        &self,
        what: &str,
        path: &str,
        last_id: Option<&str>,
    ) -> Result<Response, Error> {
        let mut request = self.request(Method::GET, path);
        if let Some(last_id) = last_id {
            request = request.header("last-event-id", last_id);
        }
        self.answer(what, request, STALL_LIMIT).await
    }

    /// Asks for bytes, at most so many.
    pub(crate) async fn bytes(&self, what: &str, path: &str, len_max: usize) -> Result<Vec<u8>, Error> {
        let mut answer = self.answer(what, self.request(Method::GET, path), STALL_LIMIT).await?;
        self.body(what, &mut answer, len_max).await
    }

    /// Posts a form, gets bytes.
    pub(crate) async fn post_form(
        &self,
        what: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Response, Error> {
        self.answer(what, self.request(Method::POST, path).form(fields), STALL_LIMIT).await
    }

    /// Sends content. There is no limit to its time, only to a standstill.
    pub(crate) async fn put(&self, what: &str, path: &str, upload: Upload) -> Result<Value, Error> {
        let len = upload.len();
        let (request, watch) = upload.attach(self.request(Method::PUT, path));
        let answer = tokio::select! {
            answer = self.answer(what, request, Duration::MAX) => answer,
            () = watch.stalls(STALL_LIMIT, ANSWER_LIMIT) => Err(self.silent(what)),
        };
        if answer.is_err() {
            watch.take_back();
        }
        match (answer, watch.fault()) {
            (Err(Error::Unreachable(_)), Some(fault)) => Err(Error::Failed(format!("{what}: {fault}"))),
            (Err(error), None) if error.lacks_reasons() => {
                Err(self.refusal(what, path, len).await.unwrap_or(error))
            }
            (answer, _) => self.read_json(what, answer?).await,
        }
    }

    /// Whether the node refuses this content by its head alone.
    ///
    /// A node that refuses early closes while the body still comes, and its reasons can be lost on the way. They
    /// arrive when the same is asked with the body held back.
    async fn refusal(&self, what: &str, path: &str, len: Option<u64>) -> Option<Error> {
        let held_back = self.request(Method::PUT, path).body(body::held_back());
        let request = match len {
            Some(len) => held_back.header("content-length", len),
            None => held_back,
        };
        self.answer(what, request, REFUSAL_LIMIT)
            .await
            .err()
            .filter(|error| matches!(error, Error::Refused { .. }))
    }

    /// The next bytes of an answer; none at its end.
    pub(crate) async fn piece(
        &self,
        what: &str,
        answer: &mut Response,
    ) -> Result<Option<impl AsRef<[u8]> + use<>>, Error> {
        self.within(what, STALL_LIMIT, answer.chunk()).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.target.url.as_str().trim_end_matches('/');
        let request = self.http.request(method, format!("{base}{path}"));
        match &self.target.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn json(&self, what: &str, request: RequestBuilder) -> Result<Value, Error> {
        let answer = self.answer(what, request, ANSWER_LIMIT).await?;
        self.read_json(what, answer).await
    }

    async fn read_json(&self, what: &str, mut answer: Response) -> Result<Value, Error> {
        let body = self.body(what, &mut answer, JSON_LEN_MAX).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| not_understood(what, &error.to_string()))
    }

    /// Waits as long as a refusal asks for, if the same may go well then; else it is the refusal again.
    pub(crate) async fn wait(&self, patience: &mut Patience, error: Error) -> Result<(), Error> {
        patience.wait(error, &self.said).await
    }

    /// The head of an answer that is no refusal. A node that is asked too often is asked again when it wants to be, if the
    /// request can be sent again.
    async fn answer(&self, what: &str, request: RequestBuilder, limit: Duration) -> Result<Response, Error> {
        let (mut patience, mut next) = (Patience::default(), request);
        loop {
            let again = next.try_clone();
            match (self.answer_once(what, next, limit).await, again) {
                (Err(error), Some(request)) => {
                    self.wait(&mut patience, error).await?;
                    next = request;
                }
                (answer, _) => return answer,
            }
        }
    }

    async fn answer_once(
        &self,
        what: &str,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<Response, Error> {
        self.meet_owner(what).await?;
        let mut answer = self.within(what, limit, request.send()).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let retry_after =
            answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        // A node that refuses early may close before its reasons are through.
        let body = self.body(what, &mut answer, PROBLEM_LEN_MAX).await.unwrap_or_default();
        let mut problem = Problem::read(status.as_u16(), &body);
        problem.retry_after = retry_after;
        Err(Error::Refused { what: what.to_owned(), problem })
    }

    /// Sees to it that the token's own node is the one that answers: over TLS, where it shows its key. The rest goes
    /// in the clear, which costs less: it stays on this machine, and nobody gets the port while the node has it.
    async fn meet_owner(&self, what: &str) -> Result<(), Error> {
        let Some(Owner { http, pin, has_proved }) = &self.owner else { return Ok(()) };
        let prove = || async {
            let mut url = self.target.url.clone();
            // It is http, and so can be https.
            let _ = url.set_scheme("https");
            url.set_path("healthz");
            match tokio::time::timeout(CONNECT_LIMIT, http.get(url).send()).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) if error.is_connect() && is_refused(&error) => Err(self.broken(what, &error)),
                Ok(Err(error)) => Err(self.stranger(what, pin, &root_cause(&error))),
                Err(_) => Err(self.stranger(what, pin, "it does not answer over TLS")),
            }
        };
        has_proved.get_or_try_init(prove).await.copied()
    }

    /// Somebody else has the port of the node whose token is at hand.
    fn stranger(&self, what: &str, pin: &Pin, why: &str) -> Error {
        let why = pin.met().map_or_else(|| why.to_owned(), |met| format!("it showed the key of {met}"));
        Error::Unreachable(format!(
            "{what}: what answers at {} is not {} ({why}); nothing was sent to it. The node may have stopped, and \
             another program may have its port{}",
            shown_url(&self.target),
            pin.node(),
            self.start_hint()
        ))
    }

    async fn body(&self, what: &str, answer: &mut Response, len_max: usize) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece(what, answer).await? {
            let piece = piece.as_ref();
            if body.len() + piece.len() > len_max {
                return Err(not_understood(what, "it is too long"));
            }
            body.extend_from_slice(piece);
        }
        Ok(body)
    }

    async fn within<T>(
        &self,
        what: &str,
        limit: Duration,
        step: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.broken(what, &error)),
            Err(_) => Err(self.silent(what)),
        }
    }

    fn broken(&self, what: &str, error: &reqwest::Error) -> Error {
        let (why, url) = (root_cause(error), shown_url(&self.target));
        if let Some((expected, met)) = self.pin.as_ref().and_then(|pin| Some((pin.node(), pin.met()?))) {
            return Error::Unreachable(format!(
                "{what}: the node at {url} is not {expected}: it showed the key of {met}; nothing was sent to it. Compare \
                 the id with what `swiftctl status` says on that machine, and the address"
            ));
        }
        if error.is_connect() {
            return Error::Unreachable(format!(
                "{what}: nothing answers at {url} ({why}); the node may not be running{}",
                self.start_hint()
            ));
        }
        Error::Unreachable(format!(
            "{what}: the connection to {url} broke ({why}); the node may have stopped, so look at its log, then repeat \
             the command"
        ))
    }

    fn silent(&self, what: &str) -> Error {
        Error::Unreachable(format!(
            "{what}: {} has stopped answering; look at the node's log, then repeat the command",
            shown_url(&self.target)
        ))
    }

    fn start_hint(&self) -> String {
        let folder = self.target.data_dir.as_ref();
        folder.map_or(String::new(), |folder| {
            let folder = shell::quote(&folder.to_string_lossy());
            format!(": start it with `swiftserve-node --data-dir {folder}`")
        })
    }
}

/// Where to go on, and with which content.
pub(crate) struct Resume<'a> {
    pub(crate) from: u64,
    pub(crate) etag: &'a str,
}

/// Reads an answer as what its route promises.
pub(crate) fn understand<T: DeserializeOwned>(what: &str, answer: &Value) -> Result<T, Error> {
    T::deserialize(answer).map_err(|error| not_understood(what, &error.to_string()))
}

/// A path with a query, its values percent-encoded.
pub(crate) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<_> =
        query.iter().map(|(key, value)| format!("{key}={}", name::encode_segment(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

fn not_understood(what: &str, why: &str) -> Error {
    Error::Failed(format!(
        "{what}: the answer is not what a node says ({why}); is this a SwiftServe node, of the same version?"
    ))
}

fn shown_url(target: &Target) -> &str {
    target.url.as_str().trim_end_matches('/')
}
