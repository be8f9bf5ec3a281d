//! The routes of a port that is open before its node is ready.

use std::sync::{Arc, PoisonError, RwLock};

use axum::{Router, extract::Request, http::StatusCode, response::IntoResponse, routing::get};
use swift_chain::{NodeIdError, NodeKey};
use tower::ServiceExt;

/// Which routes answer now. While a node joins, its port must already answer the member that dials it back; everything
/// else hears that the node is starting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes(Arc<RwLock<Option<Router>>>);

impl Routes {
    /// A service that hands each request to the routes of that moment.
    pub(crate) fn service(&self, key: &NodeKey) -> Result<Router, NodeIdError> {
        let (routes, pem) = (self.clone(), key.id().to_pem()?);
        let starting = Router::new()
            .route("/key", get(async || pem))
            .route("/healthz", get(async || "ok\n"))
            .fallback(async || (StatusCode::SERVICE_UNAVAILABLE, "the node is starting or stopping\n"));
        Ok(Router::new().fallback(move |request: Request| {
            let now = routes.now().unwrap_or_else(|| starting.clone());
            // A router's error type has no values.
            async move { now.oneshot(request).await.into_response() }
        }))
    }

    /// From now on these routes answer.
    pub(crate) fn set(&self, router: Router) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(router);
    }

    /// From now on nothing does, and what the routes held is let go.
    pub(crate) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn now(&self) -> Option<Router> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
