//! The routes of the original service: same names, same parameters, now guarded.

mod chain;
mod files;
mod offers;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::Response,
    routing::{get, post},
};

use swift_p2p::{driver::BODIES_OF_ONE_MAX, swarm::message::EXCHANGE_BYTES_MAX};

pub(crate) use offers::form_name;

use crate::{
    access, not_allowed,
    problem::{self, Problem},
    services::Services,
};

/// A question about blocks: a number.
const QUESTION_LEN_MAX: usize = 64;

/// Blocks that are posted in one piece: one, or a few that a member lacks.
const BLOCKS_BODY_LEN_MAX: usize = 8 * 1024 * 1024;

/// A whole chain that an operator posts in one piece.
const CHAIN_BODY_LEN_MAX: usize = 64 * 1024 * 1024;
/// The same of a member: it has to fit into what one may have in memory here, beside what else it says.
const CHAIN_OF_MEMBER_LEN_MAX: usize = BLOCKS_BODY_LEN_MAX;
const _: () = assert!(CHAIN_OF_MEMBER_LEN_MAX < BODIES_OF_ONE_MAX);

/// The form of a confirmation; its name is the longest part.
const FORM_LEN_MAX: usize = 16 * 1024;

pub(crate) fn router(services: &Services) -> Router<Services> {
    Router::new()
        .route("/key", get(chain::key))
        .route("/getHash", get(chain::hash))
        .route("/topBlockNumber", get(chain::top_block_number))
        .route("/totalBlocks", get(chain::total_blocks))
        .route("/addBlock", post(chain::add_block).layer(DefaultBodyLimit::max(BLOCKS_BODY_LEN_MAX)))
        .route("/getBlockDatas", post(chain::blocks).layer(DefaultBodyLimit::max(QUESTION_LEN_MAX)))
        .route(
            "/overwriteBlockchain",
            // It has a bound of its own, by who sends it.
            post(chain::overwrite).layer(DefaultBodyLimit::disable()),
        )
        .route("/download", get(files::download))
        .route("/response", post(offers::offer).layer(DefaultBodyLimit::max(EXCHANGE_BYTES_MAX)))
        .route("/webhook", post(offers::confirm).layer(DefaultBodyLimit::max(FORM_LEN_MAX)))
        .route("/upload", post(files::upload).layer(DefaultBodyLimit::disable()))
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::map_response(problem::of_rejection))
        .layer(middleware::from_fn_with_state(services.clone(), access::identify))
        // Around that, so that an unknown token is refused in this shape as well.
        .layer(middleware::map_response(in_legacy_shape))
}

/// Problems, in the shape these routes always had.
async fn in_legacy_shape(mut response: Response) -> Response {
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem.into_legacy(),
        None => response,
    }
}
