//! The document, made from the operations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    operation::{Body, Operation, Parameter, Who},
    shape::{filled, integer, named, node_id},
    shapes,
};

/// What a refusal is known by.
pub(crate) struct Code {
    pub(crate) name: &'static str,
    status: u16,
    meaning: &'static str,
}

const fn code(name: &'static str, status: u16, meaning: &'static str) -> Code {
    Code { name, status, meaning }
}

/// All codes that a client may see.
pub(crate) const CODES: &[Code] = &[
    code("unauthorized", 401, "no credential, or an unknown or expired one"),
    code("forbidden", 403, "the credential, this node's role, or the page that asks does not allow it"),
    code("not_found", 404, "no such file, node, block or route"),
    code("method_not_allowed", 405, "this route does not take this method"),
    code("bad_name", 400, "the file name breaks a rule"),
    code("bad_request", 400, "a parameter or the body is wrong"),
    code("name_taken", 409, "the name holds other content"),
    code("not_whole", 409, "what is to be restored is not whole in this node's trash"),
    code("not_live", 409, "to members: no live file has this content"),
    code("conflict", 409, "the ledger's rules refuse it, or a change of the same member waits"),
    code("no_quorum_after", 409, "after this change this node would reach no quorum"),
    code("precondition_failed", 412, "the name does not hold what the request says it must"),
    code("length_mismatch", 400, "the body ended before Content-Length"),
    code("too_large", 413, "over a limit of the ledger, or of the route"),
    code("no_space", 507, "the disk or the quota is full"),
    code("no_quorum", 504, "this node reaches no quorum; the write is kept"),
    code("not_final", 504, "no block had the write in time; it goes on"),
    code("rate_limited", 429, "too many requests of this token or address"),
    code("verifying", 429, "the node verifies its chain for somebody already"),
    code("too_many_streams", 503, "too many streams of events are open"),
    code("unavailable", 503, "the content is not here (yet), or the node is stopping"),
    code("not_arriving", 409, "a priority for a file that is not on its way here"),
    code("too_many_connections", 503, "to members: more connections with content than are allowed"),
    code("isolated", 403, "to members: this node has nothing to do with the caller for a while"),
    code("too_many_requests", 429, "to members: more messages than a node can have to say"),
    code("too_slow", 408, "the body came more slowly than 1 KiB a second"),
    code("internal", 500, "an error of the node"),
];

/// Codes that every operation may refuse with.
const EVERYWHERE: [&str; 6] =
    ["bad_request", "unauthorized", "forbidden", "rate_limited", "unavailable", "internal"];

/// The document of some operations.
pub(super) fn of<'o>(operations: impl IntoIterator<Item = &'o Operation>) -> Value {
    let mut paths = BTreeMap::<String, Map<String, Value>>::new();
    for operation in operations {
        let path = paths.entry(operation.path.replace("{*", "{")).or_default();
        path.insert(operation.method.to_owned(), described(operation, operation.method));
        if operation.has_head {
            path.insert("head".to_owned(), described(operation, "head"));
        }
    }
    let schemas: Map<String, Value> = shapes::all().map(|(name, shape)| (name.to_owned(), shape)).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "SwiftServe",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The HTTP interface of a node",
            "description": about(),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "v1", "description": "The JSON interface." },
            { "name": "original", "description": "The routes of the original service." },
            { "name": "node", "description": "What anybody may ask a node." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "A token of this node. Its scopes are `read`, `publish`, `remove`, `admin`.",
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "swift-NODE",
                    "description": "The cookie of `POST /v1/sessions`: `swift-` and the first 10 characters of the node's id, \
                                    with the prefix `__Host-` over TLS.",
                },
                "member": {
                    "type": "mutualTLS",
                    "description": "A member of the network, over TLS 1.3 with its node key.",
                },
            },
        },
    })
}

fn about() -> String {
    let mut about = "Sizes are bytes, times milliseconds since 1970. Lists come in pages: give `next` back as `after`. Every \
                     write can be repeated safely. Errors are problem details (RFC 9457) with a stable `code`:\n\n\
                     | code | status | meaning |\n| --- | --- | --- |\n"
        .to_owned();
    for Code { name, status, meaning } in CODES {
        about.push_str(&format!("| `{name}` | {status} | {meaning} |\n"));
    }
    about
}

fn described(operation: &Operation, method: &str) -> Value {
    let tag = match operation.path {
        path if path.starts_with("/v1/") => "v1",
        _ if operation.is_legacy => "original",
        _ => "node",
    };
    let mut described = json!({
        "operationId": id(method, operation.path),
        "tags": [tag],
        "summary": operation.about,
        "description": operation.who.told(),
        "parameters": parameters(operation),
        "responses": answers(operation, method == "head"),
        "security": security(operation.who),
    });
    if let Some((body, is_needed)) = &operation.request {
        described["requestBody"] = json!({ "content": content([body]), "required": is_needed });
    }
    described
}

/// As in `get_v1_files_name`.
fn id(method: &str, path: &str) -> String {
    let words = path.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    [method].into_iter().chain(words).collect::<Vec<_>>().join("_")
}

fn security(who: Who) -> Value {
    match who {
        Who::Anyone => json!([]),
        Who::Token | Who::Read | Who::Publish | Who::Remove | Who::Admin => {
            json!([{ "bearer": [] }, { "session": [] }])
        }
        Who::ReadOrMember | Who::PublishOrMember | Who::AdminOrMember => {
            json!([{ "bearer": [] }, { "session": [] }, { "member": [] }])
        }
    }
}

fn parameters(operation: &Operation) -> Value {
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let (name, about, shape) = match name {
            "*name" => ("name", "a file's name; its slashes may stand as they are", filled()),
            "id" => ("id", "a node's id", node_id()),
            "height" => ("height", "a block's height", integer()),
            other => (other, "which one", filled()),
        };
        json!({ "name": name, "in": "path", "required": true, "description": about, "schema": shape })
    });
    let others = operation.parameters.iter().map(|Parameter { name, place, shape, about, is_required }| {
        json!({ "name": name, "in": place, "required": is_required, "description": about, "schema": shape })
    });
    Value::Array(in_path.chain(others).collect())
}

fn content<'b>(bodies: impl IntoIterator<Item = &'b Body>) -> Map<String, Value> {
    let mut content = Map::new();
    for body in bodies {
        match body {
            Body::Empty => {}
            Body::Json(shape) => {
                content.insert("application/json".into(), json!({ "schema": shape }));
            }
            Body::Of(kind, shape) => {
                content.insert((*kind).into(), json!({ "schema": shape }));
            }
        }
    }
    content
}

fn answers(operation: &Operation, is_head: bool) -> Map<String, Value> {
    let mut answers = Map::new();
    for (status, _) in &operation.answers {
        let bodies = operation.answers.iter().filter(|(other, _)| other == status).map(|(_, body)| body);
        let content = if is_head { Map::new() } else { content(bodies) };
        answers.insert(status.to_string(), answer(said(*status), content));
    }
    let mut codes = BTreeMap::<u16, Vec<&Code>>::new();
    for name in EVERYWHERE.iter().chain(&operation.refusals) {
        for code in CODES.iter().filter(|code| code.name == *name) {
            codes.entry(code.status).or_default().push(code);
        }
    }
    let refusal = |about: &str| {
        let (kind, shape) = if operation.is_legacy {
            ("application/json", "Refused")
        } else {
            ("application/problem+json", "Problem")
        };
        let content = if is_head { Map::new() } else { content([&Body::Of(kind, named(shape))]) };
        answer(about, content)
    };
    for (status, codes) in codes {
        let told: Vec<String> =
            codes.iter().map(|code| format!("`{}`: {}", code.name, code.meaning)).collect();
        answers.insert(status.to_string(), refusal(&told.join("; ")));
    }
    answers.insert("default".into(), refusal("Anything else that went wrong."));
    answers
}

fn answer(about: &str, content: Map<String, Value>) -> Value {
    let mut answer = json!({ "description": about });
    if !content.is_empty() {
        answer["content"] = Value::Object(content);
    }
    answer
}

fn said(status: u16) -> &'static str {
    match status {
        201 => "It is made.",
        202 => "It is durable here, and goes on.",
        206 => "The bytes that were asked for.",
        304 => "The caller has it already.",
        416 => "There are no such bytes.",
        _ => "So it is.",
    }
}
