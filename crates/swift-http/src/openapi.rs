//! The routes for clients, and `/openapi.json`, which is made from them.
//!
//! A route is an [`Operation`] with a handler: the router and the document are made from the same list, so nothing is
//! served that the document does not know. What answers look like stands in [`shapes`]; a test asks a real node for every
//! operation and compares.

mod document;
mod operation;
mod shape;
mod shapes;

use axum::{
    Extension,
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};
use swift_chain::Hash;

use crate::content::matches_etag;

pub(crate) use operation::{Body, Operation, Who, delete, get, patch, post, put, router};
pub(crate) use shape::{any_of, choice, filled, flag, hash, integer, named, node_id, text};

/// The document, made once when the router is.
#[derive(Clone)]
pub(crate) struct Document {
    json: Bytes,
    tag: HeaderValue,
}

impl Document {
    /// Of all operations of a router.
    pub(crate) fn of<'o>(operations: impl IntoIterator<Item = &'o Operation>) -> Self {
        let json = document::of(operations).to_string();
        let hash = Hash::from_bytes(Sha256::digest(&json).into());
        // A hash is digits and letters.
        let tag = HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        Self { json: json.into(), tag }
    }
}

/// `GET /openapi.json`.
pub(crate) async fn send(Extension(document): Extension<Document>, headers: HeaderMap) -> Response {
    let Document { json, tag } = document;
    let has_it = tag.to_str().is_ok_and(|tag| matches_etag(&headers, tag));
    let mut response = if has_it {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], json).into_response()
    };
    response.headers_mut().insert(header::ETAG, tag);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Files in a folder and below it, with their texts.
    fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn nothing_is_routed_but_what_the_document_is_made_from() {
        let mut found = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        // Routes for members alone are in docs/protocol.md.
        let known = ["openapi/operation.rs", "openapi.rs", "lib.rs", "peer/ledger.rs", "peer/swarm.rs"];
        let routes = found.iter().filter(|(_, text)| text.contains(".route("));
        let unknown: Vec<_> = routes
            .filter(|(path, _)| !known.iter().any(|known| path.ends_with(&format!("src/{known}"))))
            .collect();
        assert!(unknown.is_empty(), "make these operations: {unknown:#?}");
        let own = found.iter().find(|(path, _)| path.ends_with("src/lib.rs")).unwrap();
        assert!(!own.1.lines().any(|line| !line.starts_with("//!") && line.contains(".route(")));
    }
}
