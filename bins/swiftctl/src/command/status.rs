//! `status`: how the node and its network are.

use crate::{
    api::{Status, Store},
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, facts},
    text::{date, size},
};

pub(crate) async fn run(context: &Context, shown: &Shown) -> Result<(), Error> {
    let what = "cannot tell the status";
    let answer = context.client()?.get(what, "/v1/status").await?;
    let status: Status = understand(what, &answer)?;
    context.output(shown).show(&answer, || told(&status))
}

fn told(status: &Status) -> String {
    let mut pairs = vec![("node id", status.node_id.clone())];
    pairs.extend(status.role.clone().map(|role| ("role", role)));
    pairs.extend(status.address.clone().map(|address| ("address", address)));
    pairs.push(("version", status.version.clone()));
    pairs.push(("network id", status.network_id.clone()));
    pairs.push(("members", format!("{}, {} others online", status.members, status.peers_online)));
    pairs.push(("files", format!("{}, {}", status.files, size::human(status.bytes))));
    let time = status.head_time_ms.map(|ms| format!(", {}", date::rfc3339(ms))).unwrap_or_default();
    pairs.push(("height", format!("{}{time}", status.height)));
    pairs.push(("head", status.head_hash.clone()));
    pairs.extend(status.store.as_ref().map(|store| ("store", store_told(store))));
    pairs.push(("problem", status.problem.clone().unwrap_or_else(|| "none".into())));
    facts(pairs)
}

fn store_told(store: &Store) -> String {
    let mut told = size::human(store.bytes);
    if let Some(quota) = store.quota_bytes {
        told.push_str(&format!(" of {}", size::human(quota)));
    }
    if store.wanted > 0 {
        told.push_str(&format!(", {} contents on their way", store.wanted));
    }
    if let Some(available) = store.available_bytes {
        told.push_str(&format!(", {} available", size::human(available)));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown() {
        let status = r#"{"node_id": "n", "network_id": "w", "height": 12, "problem": "disk full: 0 B left",
            "store": {"bytes": 1024, "available_bytes": 2048}}"#;
        let told = told(&serde_json::from_str(status).unwrap());
        assert!(told.contains("problem     disk full: 0 B left"), "{told}");
        assert!(told.contains("store       1.0 KiB, 2.0 KiB available"), "{told}");
    }
}
