//! What members and strangers may cost a node before it has judged what they say: time, memory and attention.
//!
//! Around all routes. A body has to come in time; of one member only so much is in memory at once. Who is isolated is
//! refused, and refusals of members come slowly, so that saying the same again at once gains nothing. What the routes
//! refuse for what it is counts as the member's offence.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};
use swift_chain::NodeId;
use swift_p2p::{
    driver::Conduct,
    offences::{Offence, UNKNOWN_COST},
    transport::Caller,
};
use tokio::time::{Instant, Sleep, sleep};

use crate::{problem::Problem, services::Services};

/// From the beginning of a body until the rate below is asked of it.
const BODY_GRACE: Duration = Duration::from_secs(20);
/// Bytes of a body that a second has to bring after that, all in all. The slowest link that a node is of use on brings
/// more.
const BODY_RATE_MIN: u64 = 1024;
/// How long a refusal takes of one who is isolated, or says too much.
const REFUSAL_DELAY: Duration = Duration::from_secs(1);
/// What members may ask also while they are isolated: the ledger's messages prove themselves, and are bounded.
const OPEN_TO_ISOLATED: [&str; 6] =
    ["/peer/hello", "/peer/consensus", "/getBlockDatas", "/healthz", "/readyz", "/key"];

/// What validators say to agree on blocks: it has room of its own.
const VOTES: [&str; 2] = ["/peer/hello", "/peer/consensus"];

/// What became of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Came,
    /// It broke off, as connections do.
    Broke,
    TooSlow,
    NoRoom,
}

/// What a request's body takes, and what became of it: shared by the body and whoever waits for the answer.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<(Option<Room>, Fate)>>);

impl Held {
    fn state(&self) -> MutexGuard<'_, (Option<Room>, Fate)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(room: Option<Room>) -> Self {
        Self(Arc::new(Mutex::new((room, Fate::Came))))
    }

    fn take_in(&self, len: usize) -> bool {
        self.state().0.as_mut().is_none_or(|room| room.take_in(len))
    }

    fn set(&self, fate: Fate) {
        self.state().1 = fate;
    }

    /// Frees the room.
    fn end(&self) -> Fate {
        let (room, fate) = &mut *self.state();
        drop(room.take());
        *fate
    }
}

/// Stands before all routes.
pub(crate) async fn watch(State(services): State<Services>, mut request: Request, next: Next) -> Response {
    let member = match request.extensions().get() {
        Some(Caller::Node { id, standing }) if standing.is_member() => Some(*id),
        _ => None,
    };
    let conduct = &services.conduct;
    let path = request.uri().path().to_owned();
    if let Some(node) = member
        && let Err(problem) = admit(conduct, node, &path, request.method())
    {
        sleep(REFUSAL_DELAY).await;
        return problem.into_response();
    }
    let mut held = Held::default();
    if !request.body().is_end_stream() && !is_upload(request.method(), &path) {
        let room = member.map(|node| Room {
            conduct: conduct.clone(),
            node,
            votes: 0,
            len: 0,
            may_vote: VOTES.contains(&path.as_str()),
        });
        held = Held::of(room);
        request = request.map(|body| Body::new(Paced::new(body, held.clone(), BODY_GRACE)));
    }
    let response = next.run(request).await;
    // What was read is decoded by now, and what is kept of it has bounds of its own.
    let fate = held.end();
    let response = match fate {
        Fate::TooSlow => {
            let detail = format!("the body came more slowly than {BODY_RATE_MIN} bytes a second");
            Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail).into_response()
        }
        Fate::NoRoom => Problem::unavailable("too much is being said at once; ask again").into_response(),
        _ => response,
    };
    if let Some(node) = member {
        note(conduct, node, &path, fate, response.status());
        // What is not here was looked for: in the index, and in the ledger.
        let was_too_much = match response.status() {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::NOT_FOUND => charge(conduct, node, UNKNOWN_COST).is_err(),
            _ => false,
        };
        if was_too_much {
            sleep(REFUSAL_DELAY).await;
        }
    }
    response
}

/// An upload waits for its client, which may read from something that comes slowly; it has a bound of its own.
fn is_upload(method: &Method, path: &str) -> bool {
    path == "/upload" || (*method == Method::PUT && path.starts_with("/v1/files/"))
}

fn admit(conduct: &Conduct, node: NodeId, path: &str, method: &Method) -> Result<(), Problem> {
    if let Some(left) = conduct.isolated_for(&node).filter(|_| !OPEN_TO_ISOLATED.contains(&path)) {
        let seconds = left.as_secs() + 1;
        let detail = format!(
            "this node has nothing to do with yours for {seconds} s, because of what yours did wrong"
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, "isolated", detail));
    }
    conduct.heard(node);
    if *method == Method::POST { charge(conduct, node, 1) } else { Ok(()) }
}

/// A member says so many things more.
pub(crate) fn charge(conduct: &Conduct, node: NodeId, messages: usize) -> Result<(), Problem> {
    if conduct.charge(node, messages) {
        return Ok(());
    }
    conduct.note(node, Offence::Flood, &"more messages than a node can have to say");
    let detail = "these are more messages than a node can have to say; ask again later";
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail))
}

/// What the answer says of the request. Nodes say nothing by themselves that is refused for its form.
fn note(conduct: &Conduct, node: NodeId, path: &str, fate: Fate, status: StatusCode) {
    match (fate, status) {
        (Fate::TooSlow, _) => {
            conduct.note(node, Offence::Stalled, &format!("the body of a request to {path}"));
        }
        (
            Fate::Came,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY,
        ) => {
            // What is too long was not looked at.
            let kind = match path {
                _ if status == StatusCode::PAYLOAD_TOO_LARGE => Offence::Malformed,
                "/addBlock" | "/overwriteBlockchain" => Offence::BadBlocks,
                "/peer/transactions" => Offence::ForgedTransactions,
                _ => Offence::Malformed,
            };
            conduct.note(node, kind, &format!("a request to {path}, refused with {}", status.as_u16()));
        }
        _ => {}
    }
}

/// Memory that one request of a member takes.
struct Room {
    conduct: Conduct,
    node: NodeId,
    may_vote: bool,
    /// Of it, in the room for validators.
    votes: usize,
    len: usize,
}

impl Room {
    fn take_in(&mut self, len: usize) -> bool {
        if self.may_vote && self.conduct.take_in_votes(self.node, len) {
            self.votes += len;
            return true;
        }
        let fits = self.conduct.take_in(self.node, len);
        self.len += if fits { len } else { 0 };
        fits
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.conduct.let_go(self.node, self.len);
        self.conduct.let_go_votes(self.node, self.votes);
    }
}

/// A body that has to come in time, and for which there has to be room.
struct Paced {
    body: Body,
    held: Held,
    deadline: Pin<Box<Sleep>>,
    grace: Duration,
    began: Instant,
    len: u64,
}

impl Paced {
    fn new(body: Body, held: Held, grace: Duration) -> Self {
        Self { body, held, deadline: Box::pin(sleep(grace)), grace, began: Instant::now(), len: 0 }
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let due = self.began + allowed(self.grace, self.len);
        if self.deadline.deadline() != due {
            self.deadline.as_mut().reset(due);
        }
        self.deadline.as_mut().poll(context).is_ready()
    }

    fn end(&self, fate: Fate, why: &'static str) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.held.set(fate);
        Poll::Ready(Some(Err(axum::Error::new(why))))
    }
}

/// How long so many bytes of a body may take.
fn allowed(grace: Duration, len: u64) -> Duration {
    grace + Duration::from_millis(len.saturating_mul(1000) / BODY_RATE_MIN)
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let len = frame.data_ref().map_or(0, Bytes::len);
                self.len += len as u64;
                if self.held.take_in(len) {
                    Poll::Ready(Some(Ok(frame)))
                } else {
                    self.end(Fate::NoRoom, "too much is being said at once")
                }
            }
            Poll::Ready(Some(Err(error))) => {
                self.held.set(Fate::Broke);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if self.is_late(context) => self.end(Fate::TooSlow, "the body came too slowly"),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    /// What comes of a body, and what became of it.
    async fn read(body: Body) -> (Option<usize>, Fate) {
        let held = Held::default();
        let paced = Body::new(Paced::new(body, held.clone(), Duration::from_millis(10)));
        let read = axum::body::to_bytes(paced, usize::MAX).await;
        (read.ok().map(|bytes| bytes.len()), held.end())
    }

    #[test]
    fn a_body_of_one_byte_a_second_gets_no_hour_and_a_slow_one_gets_all_it_needs() {
        let is_late = |rate: u64, seconds: u64| allowed(BODY_GRACE, rate * seconds).as_secs() < seconds;
        assert!(is_late(1, 30) && is_late(900, 3_600));
        for seconds in [1, 20, 60, 3_600] {
            assert!(!is_late(1_024, seconds) && !is_late(8 << 20, seconds));
        }
        // Short ones may take their time.
        assert!(!is_late(1, 20));
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_broken_off() {
        let begins = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"a"))]);
        let never = begins.chain(stream::pending());
        assert_eq!(read(Body::from_stream(never)).await, (None, Fate::TooSlow));
    }

    #[tokio::test]
    async fn what_breaks_off_on_its_way_is_told_apart() {
        let broken = stream::iter([Ok(Bytes::from_static(b"a")), Err(std::io::Error::other("gone"))]);
        assert_eq!(read(Body::from_stream(broken)).await, (None, Fate::Broke));
        let whole = Body::from(vec![0; 100]);
        assert_eq!(read(whole).await, (Some(100), Fate::Came));
    }
}
