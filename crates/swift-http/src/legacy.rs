//! The routes of the original service: same names, same parameters, now guarded.

mod chain;
mod files;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::Response,
    routing::{get, post},
};

use crate::{problem::Problem, services::Services};

/// A chain stream that is posted in one piece.
const CHAIN_BODY_LEN_MAX: usize = 64 * 1024 * 1024;

pub(crate) fn router() -> Router<Services> {
    Router::new()
        .route("/key", get(chain::key))
        .route("/getHash", get(chain::hash))
        .route("/topBlockNumber", get(chain::top_block_number))
        .route("/totalBlocks", get(chain::total_blocks))
        .route("/addBlock", post(chain::add_block).layer(DefaultBodyLimit::max(CHAIN_BODY_LEN_MAX)))
        .route("/getBlockDatas", post(chain::blocks))
        .route(
            "/overwriteBlockchain",
            post(chain::overwrite).layer(DefaultBodyLimit::max(CHAIN_BODY_LEN_MAX)),
        )
        .route("/download", get(files::download))
        .route("/upload", post(files::upload).layer(DefaultBodyLimit::disable()))
        .layer(middleware::map_response(in_legacy_shape))
}

/// Problems, in the shape these routes always had.
async fn in_legacy_shape(mut response: Response) -> Response {
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem.into_legacy(),
        None => response,
    }
}
