//! The routes of the original service: same names, same parameters, now guarded.

mod chain;
mod files;
mod offers;

use axum::{Router, extract::DefaultBodyLimit, middleware, response::Response};

use swift_p2p::{driver::BODIES_OF_ONE_MAX, swarm::message::EXCHANGE_BYTES_MAX};

pub(crate) use offers::form_name;

use crate::{
    access, not_allowed,
    openapi::{self, Body, Operation, Who, filled, get, hash, integer, named, post},
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

/// All of them: the router and the document are made from this list.
pub(crate) fn operations() -> Vec<Operation> {
    let file_form = || Body::Of("multipart/form-data", named("Upload"));
    let form = || Body::Of("application/x-www-form-urlencoded", named("Form"));
    let answered = || Body::Json(named("Answered"));
    let at_most = DefaultBodyLimit::max;
    let operations = vec![
        get("/key", Who::Anyone, "This node's Ed25519 public key, PEM.", chain::key).gives(200, Body::text()),
        get("/getHash", Who::ReadOrMember, "The hash of a block, empty if there is none.", chain::hash)
            .required("num", integer(), "the block's height")
            .gives(200, Body::text()),
        get("/topBlockNumber", Who::ReadOrMember, "The head's height.", chain::top_block_number)
            .gives(200, Body::text()),
        get("/totalBlocks", Who::ReadOrMember, "Blocks, the genesis block included.", chain::total_blocks)
            .gives(200, Body::text()),
        get("/download", Who::ReadOrMember, "A file, by `file` or by `id`.", files::download)
            .query("file", filled(), "the file with this name")
            .query("id", hash(), "some file with this content")
            .header("range", "which bytes")
            .header("if-range", "the tag that the range is of")
            .header("if-none-match", "a tag: content that has it is not sent")
            .with_head()
            .gives(200, Body::bytes())
            .gives(206, Body::bytes())
            .gives(304, Body::Empty)
            .gives(416, Body::Empty)
            .refuses(&["bad_name", "not_found", "not_live", "no_space"]),
        post("/addBlock", Who::AdminOrMember, "Takes a block with its certificate.", chain::add_block)
            .may_take(Body::bytes())
            .gives(200, answered())
            .refuses(&["conflict", "too_large"])
            .served(|handler| handler.layer(at_most(BLOCKS_BODY_LEN_MAX))),
        post("/getBlockDatas", Who::ReadOrMember, "The chain from block `num` on.", chain::blocks)
            .may_take(Body::text())
            .gives(200, Body::bytes())
            .refuses(&["too_large"])
            .served(|handler| handler.layer(at_most(QUESTION_LEN_MAX))),
        post(
            "/overwriteBlockchain",
            Who::AdminOrMember,
            "Takes a whole chain, where there is none.",
            chain::overwrite,
        )
        .takes(Body::bytes())
        .gives(200, answered())
        .refuses(&["conflict", "too_large"])
        // It has a bound of its own, by who sends it.
        .served(|handler| handler.layer(DefaultBodyLimit::disable())),
        post("/upload", Who::Publish, "Stores a file and publishes it.", files::upload)
            .takes(file_form())
            .written("Uploaded")
            .refuses(&["bad_name", "name_taken", "length_mismatch", "too_large", "no_space", "too_slow"])
            .served(|handler| handler.layer(DefaultBodyLimit::disable())),
        post(
            "/response",
            Who::PublishOrMember,
            "An offer; from a token a hint to fetch a file.",
            offers::offer,
        )
        .takes(form())
        .gives(200, answered())
        .gives(200, Body::bytes())
        .refuses(&["too_large"])
        .served(|handler| handler.layer(at_most(EXCHANGE_BYTES_MAX))),
        post("/webhook", Who::PublishOrMember, "A confirmation.", offers::confirm)
            .takes(form())
            .gives(200, answered())
            .gives(204, Body::Empty)
            .refuses(&["too_large"])
            .served(|handler| handler.layer(at_most(FORM_LEN_MAX))),
    ];
    operations.into_iter().map(Operation::legacy).collect()
}

pub(crate) fn router(services: &Services, operations: Vec<Operation>) -> Router<Services> {
    openapi::router(operations)
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
