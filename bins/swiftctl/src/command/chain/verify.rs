//! Verifying a chain: a node's, or a file's.

use std::{fs::File, io::Read, path::Path};

use serde_json::{Value, json};
use swift_chain::{Audit, AuditError, NetworkId};

use super::{Args, verifier::Verifier};
use crate::{
    api::Status,
    client::{Client, understand},
    command::new_file::{Existing, NewFile},
    error::Error,
    output::{Output, facts, note},
    text::date,
};

const PIECE_LEN: usize = 256 << 10;

/// Verifies a chain file.
pub(super) fn file(output: Output, path: &Path, network: Option<NetworkId>) -> Result<(), Error> {
    let unreadable = |error| Error::file("read", path, &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut verifier = Verifier::new(network);
    let mut piece = vec![0; PIECE_LEN];
    let what = path.display().to_string();
    loop {
        let len = file.read(&mut piece).map_err(unreadable)?;
        if len == 0 {
            break;
        }
        let pushed = verifier.push(&piece[..len]);
        pushed.map_err(|error| invalid(output, &what, &verifier, &error.to_string()))?;
    }
    conclude(output, &what, &mut verifier)
}

/// Verifies a node's chain, and that it ends where the node says.
pub(super) async fn node(client: &Client, output: Output, args: &Args) -> Result<(), Error> {
    let what = "cannot verify the chain";
    let status: Status = understand(what, &client.get(what, "/v1/status").await?)?;
    let claimed: NetworkId =
        status.network_id.parse().map_err(|error| Error::Failed(format!("{what}: {error}")))?;
    if let Some(network) = args.network.filter(|network| *network != claimed) {
        let says = format!("this node belongs to network {claimed}, not to {network}");
        return Err(Error::Integrity(says));
    }
    let export = args.export.as_deref();
    let mut export = export.map(|target| NewFile::create(target, Existing::Keep)).transpose()?;
    let mut verifier = Verifier::new(Some(claimed));
    verifier.watch(status.height);
    let source = "the node's chain";
    let mut answer = client.post_form(what, "/getBlockDatas", &[("num", "0")]).await?;
    while let Some(piece) = client.piece(what, &mut answer).await? {
        let pushed = verifier.push(piece.as_ref());
        pushed.map_err(|error| invalid(output, source, &verifier, &error.to_string()))?;
        if let Some(export) = &mut export {
            export.write(piece.as_ref())?;
        }
    }
    check_claim(output, source, &verifier, &status)?;
    conclude(output, source, &mut verifier)?;
    match export {
        Some(export) => {
            let path = export.finish()?;
            note(&format!(
                "exported; check it anywhere: swiftctl inspect-chain --file {path} --network {claimed}"
            ));
            Ok(())
        }
        None => Ok(()),
    }
}

/// The chain must have the block that the node called its head.
fn check_claim(output: Output, source: &str, verifier: &Verifier, status: &Status) -> Result<(), Error> {
    let why = match verifier.watched() {
        None => format!("it ends before block {}, which the node calls its head", status.height),
        Some(hash) if hash.to_string() != status.head_hash => {
            format!("its block {} is {hash}, the node calls it {}", status.height, status.head_hash)
        }
        Some(_) => return Ok(()),
    };
    Err(invalid(output, source, verifier, &why))
}

fn conclude(output: Output, source: &str, verifier: &mut Verifier) -> Result<(), Error> {
    let finished = verifier.finish().map(|audit| (audit_json(audit), audit_text(audit)));
    match finished {
        Ok((json, text)) => output.show(&json, || text),
        Err(error) => Err(invalid(output, source, verifier, &said(&error))),
    }
}

fn said(error: &AuditError) -> String {
    error.to_string()
}

fn audit_json(audit: &Audit) -> Value {
    let head = audit.head();
    json!({
        "valid": true,
        "network_id": audit.network(),
        "origin": audit.origin().map(|origin| json!({
            "network_id": origin.network,
            "height": origin.height,
            "hash": origin.hash,
            "state": origin.state,
        })),
        "height": head.height,
        "blocks": head.height + 1,
        "transactions": audit.transactions(),
        "files": audit.state().files().count(),
        "members": audit.state().members().count(),
        "head_hash": head.hash,
        "head_time_ms": head.time_ms,
        "state_hash": head.state_hash,
    })
}

fn audit_text(audit: &Audit) -> String {
    let head = audit.head();
    let recovered = audit.origin().map(|origin| {
        let (network, height, hash) = (origin.network, origin.height, origin.hash);
        ("goes on from", format!("network {network}, block {hash} at height {height}"))
    });
    let shown = [
        ("chain", "valid".into()),
        ("blocks", (head.height + 1).to_string()),
        ("transactions", audit.transactions().to_string()),
        ("files", audit.state().files().count().to_string()),
        ("members", audit.state().members().count().to_string()),
        ("head", format!("{} at height {}, {}", head.hash, head.height, date::rfc3339(head.time_ms))),
        ("network id", audit.network().to_string()),
    ];
    facts(shown.into_iter().chain(recovered))
}

/// The verdict that a chain is wrong, also for programs.
fn invalid(output: Output, source: &str, verifier: &Verifier, why: &str) -> Error {
    let good = verifier.head().map(|head| head.height);
    if output.is_json() {
        let verdict = json!({"valid": false, "reason": why, "valid_height": good});
        if let Err(error) = output.show(&verdict, String::new) {
            return error;
        }
    }
    let until = match good {
        Some(height) => format!("it is valid up to block {height}"),
        None => "not even its beginning is valid".to_owned(),
    };
    Error::Integrity(format!("{source} is invalid: {why}; {until}, so do not trust what comes behind"))
}
