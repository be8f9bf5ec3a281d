//! The operations of `/v1`: the router and the document are made from this list.

use axum::extract::DefaultBodyLimit;

use super::{
    blocks, events, evidence, files, invites, keep, limits, nodes, peers, priorities, proof, refusals, scrub,
    security, sessions, status, tokens, transactions, transfers, trash, verify,
};
use crate::openapi::{
    Body, Operation, Who, any_of, choice, delete, filled, flag, get, hash, integer, named, node_id, patch,
    post, put, text,
};

/// All of them.
pub(crate) fn operations() -> Vec<Operation> {
    let groups = [of_node(), of_files(), of_members(), of_ledger(), of_store(), of_transfers(), of_clients()];
    groups.into_iter().flatten().collect()
}

fn of_node() -> Vec<Operation> {
    vec![
        get("/v1/status", Who::ReadOrMember, "This node, its network and its store.", status::status)
            .query("copies", flag(), "also looks for files without a second copy")
            .shows("Status"),
        get(
            "/v1/events",
            Who::Read,
            "What happens, as server-sent events; `security` takes scope `admin`.",
            events::watch,
        )
        .query(
            "types",
            text(),
            "some of `ledger`, `file`, `transfer`, `node`, `security`, with commas between",
        )
        .header("last-event-id", "where to go on")
        .gives(200, Body::events())
        .refuses(&["too_many_streams"]),
        get(
            "/v1/security",
            Who::Admin,
            "What was noted of those who were refused, the latest first.",
            security::list,
        )
        .paged()
        .shows("SecurityEvents"),
    ]
}

fn of_files() -> Vec<Operation> {
    let no_limit = DefaultBodyLimit::disable;
    vec![
        get("/v1/files", Who::Read, "Live files, in pages.", files::list)
            .query("search", text(), "only names that have this text, without regard to capitals")
            .query("prefix", text(), "only names that begin so, without regard to capitals")
            .query("publisher", node_id(), "only what this node published")
            .query("sort", choice(&["name", "size", "published"]), "what orders them")
            .query("order", choice(&["asc", "desc"]), "which end comes first")
            .query("copies", flag(), "asks others first who has them")
            .paged()
            .shows("Files"),
        get("/v1/files/{*name}", Who::ReadOrMember, "The content of a file.", files::fetch)
            .query("meta", flag(), "its record in place of its content")
            .query("copies", flag(), "who has it in place of its content")
            .query(
                "holders",
                flag(),
                "which nodes hold how much of it, and which parts, in place of its content",
            )
            .header("range", "which bytes")
            .header("if-range", "the tag that the range is of")
            .header("if-none-match", "a tag: content that has it is not sent")
            .with_head()
            .gives(200, Body::bytes())
            .gives(200, Body::Json(any_of(&["File", "Copies", "Holders"])))
            .gives(206, Body::bytes())
            .gives(304, Body::Empty)
            .gives(416, Body::Empty)
            .refuses(&["bad_name", "not_found", "no_space", "unavailable"]),
        put("/v1/files/{*name}", Who::Publish, "Stores the body and publishes it under a name.", files::put)
            .query("replace", flag(), "in the place of what the name holds")
            .header("if-match", "the tag of what the name must hold, which is replaced")
            .header("if-none-match", "`*`: the name must hold nothing")
            .takes(Body::bytes())
            .written("Published")
            .refuses(&[
                "bad_name",
                "name_taken",
                "length_mismatch",
                "precondition_failed",
                "too_large",
                "no_space",
                "too_slow",
                "unavailable",
            ])
            .served(|handler| handler.layer(no_limit())),
        delete("/v1/files/{*name}", Who::Remove, "Withdraws a name.", files::remove)
            .header("if-match", "the tag of what the name must hold")
            .written("Withdrawn")
            .refuses(&["bad_name", "not_found", "precondition_failed"]),
        get("/v1/proof", Who::Read, "The receipt of a live file, by `name` or by `id`.", proof::receipt)
            .query("name", filled(), "of the file with this name")
            .query("id", hash(), "of some file with this content")
            .gives(200, Body::bytes())
            .refuses(&["bad_name", "not_found", "too_large"]),
    ]
}

fn of_members() -> Vec<Operation> {
    vec![
        get("/v1/nodes", Who::Read, "Members.", nodes::list).paged().shows("Nodes"),
        patch(
            "/v1/nodes/{id}",
            Who::Admin,
            "Changes a member's role, or its weight as a validator.",
            nodes::update,
        )
        .query("force", flag(), "also where no quorum would be left")
        .takes(Body::Json(named("NodeChange")))
        .written("Changed")
        .refuses(&["not_found", "no_quorum_after"]),
        delete("/v1/nodes/{id}", Who::Admin, "Removes a member for good.", nodes::remove)
            .query("force", flag(), "also where no quorum would be left")
            .written("Changed")
            .refuses(&["not_found", "no_quorum_after"]),
        post("/v1/invites", Who::Admin, "A ticket, for one node to join with.", invites::invite)
            .query("qr", flag(), "draws the ticket besides")
            .may_take(Body::Json(named("NewInvite")))
            .shows("Invite"),
        get("/v1/peers", Who::Read, "The other members as this node has found them.", peers::list)
            .paged()
            .shows("Peers"),
    ]
}

fn of_ledger() -> Vec<Operation> {
    vec![
        get("/v1/blocks", Who::Read, "Blocks, from 1 on.", blocks::list)
            .query("from", integer(), "the first block")
            .query("limit", integer(), "blocks on the page: 50, at most 200")
            .shows("Blocks"),
        get("/v1/blocks/{height}", Who::Read, "One block.", blocks::one)
            .shows("Block")
            .refuses(&["not_found"]),
        get("/v1/transactions", Who::Read, "Who did what, the newest first.", transactions::list)
            .query("name", filled(), "what concerns this name")
            .query("node", node_id(), "what concerns this node")
            .query("since_ms", integer(), "nothing older")
            .paged()
            .shows("Transactions"),
        get("/v1/refusals", Who::Read, "Writes that were refused after they had waited.", refusals::list)
            .paged()
            .shows("Refusals"),
        get(
            "/v1/evidence",
            Who::Read,
            "Proofs that validators signed what excludes each other.",
            evidence::list,
        )
        .paged()
        .shows("Evidence"),
        get("/v1/verify", Who::Read, "Checks the whole chain again, as server-sent events.", verify::verify)
            .gives(200, Body::events())
            .refuses(&["verifying"]),
    ]
}

fn of_store() -> Vec<Operation> {
    vec![
        get("/v1/trash", Who::Read, "What names meant and do not mean any more.", trash::list)
            .paged()
            .shows("Trash"),
        post("/v1/trash", Who::Publish, "Publishes such content again.", trash::restore)
            .takes(Body::Json(named("Restore")))
            .written("Restored")
            .refuses(&["bad_name", "name_taken", "not_found", "not_whole", "too_large"]),
        delete("/v1/trash", Who::Admin, "Deletes now what nothing uses any more.", trash::empty)
            .shows("Emptied"),
        get("/v1/scrub", Who::Read, "How far the scrubs are and what they found.", scrub::show)
            .query("file", filled(), "of this file besides")
            .shows("Scrubs")
            .refuses(&["bad_name", "not_found"]),
        post("/v1/scrub", Who::Admin, "Has what is stored verified now.", scrub::begin)
            .takes(Body::Json(named("NewScrub")))
            .gives(202, Body::Json(named("ScrubBegun")))
            .refuses(&["bad_name", "not_found", "unavailable"]),
        get("/v1/keep", Who::Read, "What this node keeps.", keep::show).shows("Keep"),
        put("/v1/keep", Who::Admin, "Changes what this node keeps.", keep::set)
            .takes(Body::Json(named("NewKeep")))
            .shows("KeepSet"),
        get("/v1/pins", Who::Read, "Pinned names.", keep::pins).paged().shows("Pins"),
        put("/v1/pins/{*name}", Who::Admin, "Keeps a live file whatever the rule says.", keep::pin)
            .shows("Pinned")
            .refuses(&["bad_name", "not_found", "unavailable"]),
        delete("/v1/pins/{*name}", Who::Admin, "Leaves a file to the rule again.", keep::unpin)
            .shows("Unpinned")
            .refuses(&["bad_name", "not_found"]),
        get("/v1/promises", Who::Read, "What was promised between this node and others.", keep::promises)
            .shows("Promises"),
    ]
}

fn of_transfers() -> Vec<Operation> {
    vec![
        get("/v1/transfers", Who::Read, "What is coming in and going out.", transfers::list)
            .paged()
            .shows("Transfers"),
        get("/v1/limits", Who::Read, "Limits on what moves between members.", limits::show).shows("Limits"),
        patch("/v1/limits", Who::Admin, "Sets limits.", limits::change)
            .takes(Body::Json(named("NewLimits")))
            .shows("Limits"),
        get(
            "/v1/priorities",
            Who::Read,
            "Files on their way here that are not of normal priority.",
            priorities::list,
        )
        .paged()
        .shows("Priorities"),
        put(
            "/v1/priorities/{*name}",
            Who::Admin,
            "How soon a file on its way here is wanted.",
            priorities::change,
        )
        .takes(Body::Json(named("NewPriority")))
        .shows("PrioritySet")
        .refuses(&["bad_name", "not_found", "not_arriving"]),
    ]
}

fn of_clients() -> Vec<Operation> {
    let short = || DefaultBodyLimit::max(sessions::SIGN_IN_LEN_MAX);
    vec![
        get("/v1/tokens", Who::Admin, "Tokens.", tokens::list).paged().shows("Tokens"),
        post("/v1/tokens", Who::Admin, "Makes a token.", tokens::create)
            .takes(Body::Json(named("NewToken")))
            .gives(201, Body::Json(named("TokenMade")))
            .refuses(&["conflict"]),
        delete("/v1/tokens/{label}", Who::Admin, "Revokes a token.", tokens::revoke)
            .shows("TokenRevoked")
            .refuses(&["not_found"]),
        get("/v1/sessions", Who::Token, "Who is asking.", sessions::show).shows("Session"),
        post("/v1/sessions", Who::Anyone, "Signs a browser in.", sessions::sign_in)
            .takes(Body::Json(named("SignIn")))
            .gives(201, Body::Json(named("Session")))
            .refuses(&["unauthorized", "forbidden", "too_large"])
            .served(|handler| handler.layer(short())),
        delete("/v1/sessions", Who::Anyone, "Signs a browser out.", sessions::sign_out)
            .shows("SignedOut")
            .refuses(&["unauthorized", "forbidden"]),
        post("/v1/dashboard", Who::Admin, "A sign-in address.", sessions::invite)
            .gives(201, Body::Json(named("SignInAddress"))),
    ]
}
