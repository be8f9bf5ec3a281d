//! Errors as problem details (RFC 9457), each with a stable code.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use swift_chain::{DbError, NameError, ReceiptBuildError, Rejection, SubmitError};
use swift_chunks::{ReadError, StoreError};
use swift_p2p::driver::{HandOverError, LedgerError, NotFinal, PublishError, Stopped};

/// A request that failed, as the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    /// Seconds after which asking again makes sense.
    retry_after_s: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let passes = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        let retry_after_s = passes.then_some(1);
        Self { status, code, detail: detail.into(), retry_after_s }
    }

    /// Too much was asked; it is heard again after this time.
    pub(crate) fn rate_limited(detail: impl Into<String>, wait: Duration) -> Self {
        let whole_seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let retry_after_s = Some(whole_seconds.max(1));
        Self { retry_after_s, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail) }
    }

    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// What the node did not expect. The log gets the whole text.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed by an error of this node");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
    }

    /// The answer in the shape of the original service.
    pub(crate) fn into_legacy(self) -> Response {
        let body = Json(json!({ "status": false, "reason": self.detail, "code": self.code }));
        self.finish(body.into_response())
    }

    fn finish(&self, mut response: Response) -> Response {
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Bytes of a rejection that are told.
const REJECTION_LEN_MAX: usize = 1024;

/// Gives the shape of a problem to what is refused before a handler runs: a path that is no UTF-8, a body over its
/// limit.
pub(crate) async fn of_rejection(response: Response) -> Response {
    let status = response.status();
    let is_text = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !status.is_client_error() || !is_text {
        return response;
    }
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        _ => "bad_request",
    };
    let text = axum::body::to_bytes(response.into_body(), REJECTION_LEN_MAX).await.unwrap_or_default();
    Problem::new(status, code, String::from_utf8_lossy(&text)).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "reason": self.detail,
            "code": self.code,
        }));
        let mut response = self.finish(body.into_response());
        let content_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        // The routes of the original service put the same problem in their own shape.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_name", error.to_string())
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::NameTaken { .. } | Rejection::NameIsDirectory { .. } => {
                Self::conflict("name_taken", detail)
            }
            Rejection::Role { .. }
            | Rejection::NotThePublisher { .. }
            | Rejection::NotAMember { .. }
            | Rejection::Removed { .. } => Self::forbidden(detail),
            Rejection::NoSuchFile { .. } => Self::not_found(detail),
            Rejection::FileTooLarge { .. }
            | Rejection::TooManyFiles { .. }
            | Rejection::TooManyBytes { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail),
            _ => Self::conflict("conflict", detail),
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Refused(SubmitError::Rejected(rejection)) => rejection.into(),
            LedgerError::Refused(SubmitError::ChangeWaits { .. }) => {
                Self::conflict("conflict", error.to_string())
            }
            LedgerError::Refused(SubmitError::QueueFull) => Self::unavailable(error.to_string()),
            LedgerError::Stopped => Self::unavailable("the node is stopping"),
            LedgerError::Read(_) => Self::internal(&error),
        }
    }
}

impl From<HandOverError> for Problem {
    fn from(error: HandOverError) -> Self {
        match error {
            HandOverError::Busy | HandOverError::Stopped => Self::unavailable(error.to_string()),
            HandOverError::Forged(_) => Self::bad_request(error.to_string()),
        }
    }
}

impl From<NotFinal> for Problem {
    fn from(error: NotFinal) -> Self {
        let code = match error {
            NotFinal::NoQuorum(_) => "no_quorum",
            NotFinal::Slow(_) => "not_final",
        };
        Self::new(StatusCode::GATEWAY_TIMEOUT, code, error.to_string())
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        Self::internal(&error)
    }
}

impl From<ReceiptBuildError> for Problem {
    fn from(error: ReceiptBuildError) -> Self {
        match error {
            ReceiptBuildError::Db(error) => error.into(),
            ReceiptBuildError::NoTransaction { .. } | ReceiptBuildError::TakenOver { .. } => {
                Self::not_found(error.to_string())
            }
            ReceiptBuildError::TooManyChanges { .. } | ReceiptBuildError::TooLong => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", error.to_string())
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace { .. } => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "no_space", error.to_string())
            }
            StoreError::FileTooLong(_) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", error.to_string())
            }
            StoreError::NotFound(_)
            | StoreError::Suspect(_)
            | StoreError::Busy(_)
            | StoreError::Incomplete { .. } => Self::unavailable(error.to_string()),
            _ => Self::internal(&error),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::NotHeld { .. } | ReadError::Rotten { .. } => Self::unavailable(error.to_string()),
        }
    }
}

impl From<Stopped> for Problem {
    fn from(_: Stopped) -> Self {
        Self::unavailable("the node is stopping")
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Ledger(error) => error.into(),
            PublishError::Store(error) => error.into(),
            PublishError::Stopping => Self::unavailable(error.to_string()),
        }
    }
}
