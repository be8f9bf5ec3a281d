//! Requests, as they are answered.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::services::Services;

/// Bounds in seconds.
const BUCKETS_S: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];
/// Where a request goes that no route takes.
const NO_ROUTE: &str = "none";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    /// The pattern, not what was asked for.
    route: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Routed {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

type Make = fn() -> Histogram;

/// All since the node started.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    answered: Family<Answered, Counter>,
    seconds: Family<Routed, Histogram, Make>,
    refused: Family<Refused, Counter>,
}

impl Default for Requests {
    fn default() -> Self {
        let make: Make = || Histogram::new(BUCKETS_S);
        Self {
            answered: Family::default(),
            seconds: Family::new_with_constructor(make),
            refused: Family::default(),
        }
    }
}

impl Requests {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests that were answered", self.answered.clone());
        let help = "From the head of a request to the head of its answer";
        registry.register("http_request_seconds", help, self.seconds.clone());
        let help = "Requests that were refused for who asked, how often, or for want of room";
        registry.register("http_requests_refused", help, self.refused.clone());
    }

    fn note(&self, route: &str, method: &Method, status: StatusCode, began: Instant) {
        let route = route.to_owned();
        let answered = Answered { route: route.clone(), method: method_of(method), status: class_of(status) };
        self.answered.get_or_create(&answered).inc();
        self.seconds.get_or_create(&Routed { route }).observe(began.elapsed().as_secs_f64());
        if let Some(reason) = reason_of(status) {
            self.refused.get_or_create(&Refused { reason }).inc();
        }
    }
}

/// Around all routes.
pub(crate) async fn count(State(services): State<Services>, request: Request, next: Next) -> Response {
    let (began, method) = (Instant::now(), request.method().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    services.metrics().requests.note(route, &method, response.status(), began);
    response
}

fn method_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn class_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

fn reason_of(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED => Some("unauthorized"),
        StatusCode::FORBIDDEN => Some("forbidden"),
        StatusCode::REQUEST_TIMEOUT => Some("too_slow"),
        StatusCode::PAYLOAD_TOO_LARGE => Some("too_large"),
        StatusCode::TOO_MANY_REQUESTS => Some("too_many"),
        StatusCode::SERVICE_UNAVAILABLE => Some("unavailable"),
        StatusCode::INSUFFICIENT_STORAGE => Some("no_space"),
        _ => None,
    }
}
