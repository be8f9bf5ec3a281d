//! `GET /v1/verify`: checks the whole chain again while the caller watches.

use std::{
    convert::Infallible,
    ops::ControlFlow,
    pin::Pin,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde_json::{Value, json};
use swift_chain::{DbError, Flaw, LedgerReader, RecheckError, Rechecked};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    access::{Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

/// Between two reports of how far it is.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// Reports that may wait to be sent. The last place is for the verdict.
const REPORTS_MAX: usize = 4;

pub(super) async fn verify(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
) -> Result<Response, Problem> {
    let turn = services.verifying().try_acquire_owned().map_err(|_| {
        let detail = "this node verifies its chain for somebody already; ask again when that has ended";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "verifying", detail)
    })?;
    let (report, reports) = mpsc::channel(REPORTS_MAX);
    let ledger = services.ledger.clone();
    tokio::spawn(async move {
        let verified = ledger.read(move |reader| recheck(reader, &report, turn)).await;
        if let Err(error) = verified {
            tracing::error!(%error, "the chain is not sound");
        }
    });
    let told = Told { reports, stopping: Box::pin(services.events.closed()) };
    let body = Body::from_stream(stream::unfold(told, |mut told| async move {
        let piece = told.next().await?;
        Some((Ok::<_, Infallible>(piece), told))
    }));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What the caller is sent.
struct Told {
    reports: mpsc::Receiver<Bytes>,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Told {
    /// Nothing after the verdict, and when the node stops.
    async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            report = self.reports.recv() => report,
            () = &mut self.stopping => None,
        }
    }
}

/// Goes through the ledger on a thread that may block, as long as somebody listens. Damage is passed on when the caller has
/// been told: the node must stop then.
fn recheck(
    reader: &LedgerReader,
    report: &mpsc::Sender<Bytes>,
    _turn: OwnedSemaphorePermit,
) -> Result<(), DbError> {
    let mut last = None::<Instant>;
    let verdict = reader.recheck(|done| {
        if report.is_closed() {
            return ControlFlow::Break(());
        }
        if last.is_none_or(|last| last.elapsed() >= REPORT_EVERY) && report.capacity() > 1 {
            last = Some(Instant::now());
            // Who is gone is found out above.
            let _ = report.try_send(event("progress", &progress(done)));
        }
        ControlFlow::Continue(())
    });
    let (told, damage) = match verdict {
        Ok(None) => return Ok(()),
        Ok(Some(done)) => (event("done", &sound(&done)), None),
        Err(RecheckError::Broken { height, flaw }) => {
            tracing::error!(height, %flaw, "a block of this node's chain is not sound");
            let told = event("broken", &json!({ "height": height, "reason": flaw.to_string() }));
            (told, if let Flaw::Stored(error) = flaw { Some(error) } else { None })
        }
        Err(RecheckError::Db(error)) => {
            (event("failed", &json!({ "reason": error.to_string() })), Some(error))
        }
    };
    // A place was kept for it, unless nobody listens any more.
    let _ = report.try_send(told);
    damage.map_or(Ok(()), Err)
}

fn progress(done: &Rechecked) -> Value {
    json!({
        "height": done.head.height, "head": done.goal,
        "transactions": done.transactions, "signatures": done.signatures,
    })
}

fn sound(done: &Rechecked) -> Value {
    json!({
        "height": done.head.height, "hash": done.head.hash, "blocks": done.head.height + 1,
        "transactions": done.transactions, "signatures": done.signatures,
    })
}

fn event(kind: &str, data: &Value) -> Bytes {
    format!("event: {kind}\ndata: {data}\n\n").into()
}
