//! Proofs that validators signed what excludes each other: listed, exported, and checked without any node.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use serde::Deserialize;
use serde_json::{Value, json};
use swift_chain::{Evidence, NetworkId};

use crate::{
    api::Status,
    client::{Client, understand},
    command::new_file::{Existing, NewFile},
    error::Error,
    output::{Output, facts, note, print, table},
    text::date,
};

/// What a node answers.
#[derive(Deserialize)]
struct Page {
    evidence: Vec<Row>,
    total: u64,
}

#[derive(Deserialize)]
struct Row {
    found_ms: u64,
    proof: String,
}

/// Lists what a node has found, after checking every proof; writes them into a folder when asked.
pub(super) async fn node(
    client: &Client,
    output: Output,
    network: Option<NetworkId>,
    folder: Option<&Path>,
) -> Result<(), Error> {
    let what = "cannot list the evidence";
    let status: Status = understand(what, &client.get(what, "/v1/status").await?)?;
    let claimed: NetworkId =
        status.network_id.parse().map_err(|error| Error::Failed(format!("{what}: {error}")))?;
    if let Some(network) = network.filter(|network| *network != claimed) {
        let says = format!("this node belongs to network {claimed}, not to {network}");
        return Err(Error::Integrity(says));
    }
    let answer = client.get(what, "/v1/evidence?limit=200").await?;
    let page: Page = understand(what, &answer)?;
    let mut proved = Vec::new();
    for row in &page.evidence {
        let bytes = from_hex(&row.proof)
            .ok_or_else(|| Error::Integrity("the node shows evidence in a form that is none".into()))?;
        proved.push((row.found_ms, check(&bytes, Some(claimed), "the node's evidence")?.1, bytes));
    }
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, &error))?;
        for (_, evidence, bytes) in &proved {
            let target = folder.join(format!("{}.evidence", evidence.id()));
            let mut export = NewFile::create(&target, Existing::Keep)?;
            export.write(bytes)?;
            let path = export.finish()?;
            note(&format!(
                "exported; check it anywhere: swiftctl inspect-chain --evidence --file {path} --network {claimed}"
            ));
        }
    }
    if proved.is_empty() && !output.is_json() {
        return print("no validator was caught signing what excludes each other");
    }
    let more = page.total.saturating_sub(proved.len() as u64);
    if more > 0 {
        note(&format!("{more} older ones are not shown"));
    }
    output.show(&answer, || told(proved.iter().map(|(found_ms, evidence, _)| (*found_ms, evidence))))
}

/// Checks a file with nothing but its bytes and, better, the network's id.
pub(super) fn file(output: Output, path: &Path, network: Option<NetworkId>) -> Result<(), Error> {
    let unreadable = |error| Error::file("read", path, &error);
    let source = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than the longest: what is longer is refused by its length.
    let most = u64::try_from(Evidence::FILE_LEN_MAX).unwrap_or(u64::MAX).saturating_add(1);
    source.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    let (network, evidence) = check(&bytes, network, &path.display().to_string())?;
    let offenders = evidence.offenders();
    let verdict: Value = json!({
        "valid": true, "network_id": network, "id": evidence.id(), "height": evidence.height(),
        "kind": evidence.kind(), "offenders": offenders,
    });
    output.show(&verdict, || {
        let offenders: Vec<_> = offenders.iter().map(ToString::to_string).collect();
        facts([
            ("evidence", "valid".into()),
            ("kind", evidence.kind().into()),
            ("height", evidence.height().to_string()),
            ("by", offenders.join(", ")),
            ("id", evidence.id().to_string()),
            ("network id", network.to_string()),
        ])
    })
}

fn check(bytes: &[u8], network: Option<NetworkId>, source: &str) -> Result<(NetworkId, Evidence), Error> {
    let (found, evidence) =
        Evidence::from_file(bytes).map_err(|error| Error::Integrity(format!("{source}: {error}")))?;
    match network.filter(|network| *network != found) {
        Some(network) => {
            Err(Error::Integrity(format!("{source} is about network {found}, not about {network}")))
        }
        None => Ok((found, evidence)),
    }
}

fn told<'e>(found: impl Iterator<Item = (u64, &'e Evidence)>) -> String {
    let rows = found.map(|(found_ms, evidence)| {
        let offenders: Vec<_> = evidence.offenders().iter().map(ToString::to_string).collect();
        [
            evidence.height().to_string(),
            evidence.kind().to_owned(),
            offenders.join(", "),
            date::rfc3339(found_ms),
            evidence.id().to_string(),
        ]
    });
    table(["height", "kind", "by", "found", "id"], rows)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 2 * Evidence::FILE_LEN_MAX {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks(2).map(|pair| Some(digit(&pair[0])? << 4 | digit(&pair[1])?)).collect()
}
