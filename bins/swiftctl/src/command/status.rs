//! `status`: how the node and its network are.

use crate::{
    api::{AtRisk, LoneFile, Quorum, Scrub, ScrubPass, Scrubbing, Status, Store, Validator},
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, facts, table},
    text::{date, printable, size},
};

pub(crate) async fn run(context: &Context, shown: &Shown) -> Result<(), Error> {
    let what = "cannot tell the status";
    let answer = context.client()?.get(what, "/v1/status?copies").await?;
    let status: Status = understand(what, &answer)?;
    context.output(shown).show(&answer, || told(&status))
}

/// Validators that are listed one by one; of more, only those that are away.
const VALIDATORS_LISTED_MAX: usize = 16;

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
    pairs.extend(status.last_certificate.as_ref().map(|last| {
        let signers = last.signers.len();
        ("signed by", format!("{signers} {}, in round {}", validators(signers), last.round))
    }));
    pairs.extend(status.quorum.as_ref().map(|quorum| ("quorum", quorum_told(quorum))));
    pairs.extend(validators_told(status).into_iter().map(|validator| ("validator", validator)));
    let warning = status.quorum.as_ref().and_then(|quorum| quorum.warning.clone());
    let is_lost = status.quorum.as_ref().is_some_and(|quorum| !quorum.has_quorum);
    if !is_lost {
        pairs.extend(warning.clone().map(|warning| ("warning", warning)));
    }
    if status.evidence > 0 {
        pairs.push(("evidence", evidence_told(status.evidence)));
    }
    pairs.extend(status.store.as_ref().map(|store| ("store", store_told(store))));
    pairs.extend(status.store.as_ref().and_then(disk_told).map(|disk| ("disk", disk)));
    pairs.extend(status.scrub.as_ref().map(|scrub| ("scrub", scrub_told(scrub))));
    pairs.push(("problem", status.problem.clone().unwrap_or_else(|| "none".into())));
    let mut text = String::new();
    if is_lost {
        let why = printable(&warning.unwrap_or_default());
        text.push_str(&format!("NO QUORUM: writes wait and nothing becomes final: {why}\n\n"));
    }
    // A network of one has one copy of everything, which nobody need be told first.
    if let Some(at_risk) = status.at_risk.as_ref().filter(|at_risk| at_risk.count > 0 && status.members > 1) {
        text.push_str(&at_risk_told(at_risk));
    }
    text + &facts(pairs)
}

/// What to worry about comes first.
fn at_risk_told(at_risk: &AtRisk) -> String {
    let AtRisk { count, looked_at, files } = at_risk;
    let (noun, of) = (if *count == 1 { "file has" } else { "files have" }, looked_at);
    let mut text = format!("AT RISK: {count} {noun} no second copy that can be reached ({of} looked at)\n");
    let rows = files.iter().map(|LoneFile { name, size, copies }| {
        let copies = if *copies == 1 { "1 copy".to_owned() } else { format!("{copies} copies") };
        [name.clone(), size::human(*size), copies]
    });
    text.push_str(&table(["name", "size", "copies"], rows));
    let more = count.saturating_sub(files.len() as u64);
    if more > 0 {
        text.push_str(&format!("\nand {more} more; see `swiftctl ls`"));
    }
    text + "\n\n"
}

fn evidence_told(count: u64) -> String {
    let proofs = if count == 1 { "proof" } else { "proofs" };
    format!("{count} {proofs} that a validator lied; see `swiftctl inspect-chain --evidence`")
}

fn quorum_told(quorum: &Quorum) -> String {
    let Quorum { total, needed, reachable, faults_tolerated, .. } = quorum;
    let mut told = format!("weight {reachable} of {total} can be reached, {needed} is needed");
    if *faults_tolerated > 0 {
        told.push_str(&format!("; any {faults_tolerated} may be away"));
    }
    told
}

fn validators_told(status: &Status) -> Vec<String> {
    let row = |validator: &Validator| {
        let Validator { node_id, weight, online, signed_last } = validator;
        let is_here = *node_id == status.node_id;
        let place = if is_here {
            "this node"
        } else if *online {
            "online"
        } else {
            "AWAY"
        };
        let signed = if *signed_last { ", signed the last block" } else { "" };
        format!("{node_id}  weight {weight}, {place}{signed}")
    };
    let all = &status.validators;
    if all.len() <= VALIDATORS_LISTED_MAX {
        return all.iter().map(row).collect();
    }
    let (online, away): (Vec<_>, Vec<_>) = all.iter().partition(|validator| validator.online);
    let mut rows: Vec<_> = away.into_iter().map(row).collect();
    rows.push(format!("{} online; see `swiftctl nodes`", online.len()));
    rows
}

fn validators(count: usize) -> &'static str {
    if count == 1 { "validator" } else { "validators" }
}

/// What is used of what, and what would be refused next.
fn store_told(store: &Store) -> String {
    let mut told = size::human(store.bytes);
    if let Some(quota) = store.quota_bytes {
        told.push_str(&format!(" of {}", size::human(quota)));
    }
    let parts = [("in the trash", store.trashed_bytes), ("set aside for transfers", store.reserved_bytes)];
    for (what, bytes) in parts.into_iter().filter(|(_, bytes)| *bytes > 0) {
        told.push_str(&format!(", {} {what}", size::human(bytes)));
    }
    if store.wanted > 0 {
        told.push_str(&format!(", {} contents on their way", store.wanted));
    }
    if let Some(available) = store.available_bytes {
        told.push_str(&format!("; {} available", size::human(available)));
    }
    told
}

fn disk_told(store: &Store) -> Option<String> {
    let (free, floor) = (size::human(store.free_bytes?), size::human(store.free_floor_bytes?));
    Some(format!("{free} free, of which {floor} are left free"))
}

/// What is looked at, when everything was last, and what that found.
fn scrub_told(scrub: &Scrub) -> String {
    let mut told = match &scrub.last {
        Some(ScrubPass { ended_ms, contents, found_bad, .. }) => {
            let ended = ended_ms.map(date::rfc3339).unwrap_or_default();
            let found = if *found_bad == 0 { "all sound".to_owned() } else { format!("{found_bad} rotten") };
            let noun = if *contents == 1 { "content" } else { "contents" };
            format!("last ended {ended}, {contents} {noun}, {found}")
        }
        None => "none has ended yet".to_owned(),
    };
    if scrub.unrepaired > 0 {
        told.push_str(&format!("; {} NOT WHOLE AGAIN, see `swiftctl scrub`", scrub.unrepaired));
    }
    if let Some(Scrubbing { file, done_bytes, total_bytes, found_bad, .. }) = &scrub.running {
        let (percent, total) = (size::percent(*done_bytes, *total_bytes), size::human(*total_bytes));
        let of = file.as_ref().map(|file| format!("{file}, ")).unwrap_or_default();
        told.push_str(&format!("; running: {of}{percent} % of {total}"));
        if *found_bad > 0 {
            told.push_str(&format!(", {found_bad} rotten"));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told_of(status: Value) -> String {
        told(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_problem_is_shown() {
        let told = told_of(json!({
            "node_id": "n", "network_id": "w", "height": 12, "problem": "disk full: 0 B left",
            "store": {"bytes": 1024, "available_bytes": 2048}
        }));
        assert!(told.contains("problem     disk full: 0 B left"), "{told}");
        assert!(told.contains("store       1.0 KiB; 2.0 KiB available"), "{told}");
    }

    #[test]
    fn the_store_shows_what_would_be_refused_next() {
        let told = told_of(json!({"node_id": "n", "network_id": "w", "height": 12, "store": {
            "bytes": 3 << 20, "quota_bytes": 4 << 20, "trashed_bytes": 1 << 20, "reserved_bytes": 1 << 10, "wanted": 2,
            "free_floor_bytes": 1 << 28, "free_bytes": 1 << 30, "available_bytes": 1 << 20,
        }}));
        let store = "store       3.0 MiB of 4.0 MiB, 1.0 MiB in the trash, 1.0 KiB set aside for transfers, 2 contents on \
                     their way; 1.0 MiB available\n";
        assert!(told.contains(store), "{told}");
        assert!(told.contains("disk        1.0 GiB free, of which 256 MiB are left free\n"), "{told}");
    }

    #[test]
    fn a_scrub_tells_what_it_found_and_how_far_it_is() {
        let told = |scrub: Value| {
            let told = told_of(json!({"node_id": "n", "network_id": "w", "height": 12, "scrub": scrub}));
            let line = told.lines().find(|line| line.starts_with("scrub")).unwrap().to_owned();
            line.trim_start_matches("scrub").trim().to_owned()
        };
        assert_eq!(told(json!({"running": null, "last": null})), "none has ended yet");
        let last = json!({"started_ms": 0, "ended_ms": 0, "contents": 3, "bytes": 9, "found_bad": 0});
        assert_eq!(told(json!({"last": last})), "last ended 1970-01-01T00:00:00Z, 3 contents, all sound");
        let running =
            json!({"file": null, "started_ms": 0, "done_bytes": 1, "total_bytes": 4, "found_bad": 2});
        let told = told(json!({"running": running, "unrepaired": 1}));
        let expected =
            "none has ended yet; 1 NOT WHOLE AGAIN, see `swiftctl scrub`; running: 25 % of 4 B, 2 rotten";
        assert_eq!(told, expected);
    }

    #[test]
    fn a_validator_that_was_caught_is_spoken_of() {
        let told = told_of(json!({"node_id": "n", "network_id": "w", "height": 12, "evidence": 1}));
        assert!(told.contains("evidence    1 proof that a validator lied; see"), "{told}");
        let told = told_of(json!({"node_id": "n", "network_id": "w", "height": 12, "evidence": 0}));
        assert!(!told.contains("evidence"), "{told}");
    }

    #[test]
    fn files_without_a_second_copy_come_first() {
        let lone = json!({"count": 3, "looked_at": 9, "files": [
            {"name": "gone", "size": 1, "copies": 0}, {"name": "big.iso", "size": 1 << 30, "copies": 1},
        ]});
        let status = |members: u64, at_risk: &Value| {
            told_of(
                json!({"node_id": "n", "network_id": "w", "height": 12, "members": members, "at_risk": at_risk}),
            )
        };
        let told = status(2, &lone);
        let expected = "AT RISK: 3 files have no second copy that can be reached (9 looked at)\nNAME     SIZE     \
                        COPIES\ngone     1 B      0 copies\nbig.iso  1.0 GiB  1 copy\nand 1 more; see `swiftctl ls`\n\n\
                        node id";
        assert!(told.starts_with(expected), "{told}");
        assert!(status(1, &lone).starts_with("node id"));
        assert!(status(2, &json!({"count": 0, "looked_at": 9, "files": []})).starts_with("node id"));
    }

    /// A network of `weights`, of whose validators the first is this node.
    fn network(weights: &[u64], online: impl Fn(usize) -> bool, quorum: &Value) -> Value {
        let rows: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(at, weight)| {
                json!({"node_id": format!("node-{at}"), "weight": weight, "online": online(at), "signed_last": at < 3})
            })
            .collect();
        json!({
            "node_id": "node-0", "network_id": "w", "height": 12, "validators": rows, "quorum": quorum,
            "last_certificate": {"height": 12, "round": 1, "signers": ["node-0", "node-1", "node-2"]}
        })
    }

    #[test]
    fn validators_are_told_with_what_may_be_away() {
        let quorum = json!({"total": 4, "needed": 3, "reachable": 3, "has_quorum": true, "faults_tolerated": 1,
            "warning": null});
        let told = told_of(network(&[1, 1, 1, 1], |at| at != 2, &quorum));
        for line in [
            "signed by   3 validators, in round 1",
            "quorum      weight 3 of 4 can be reached, 3 is needed; any 1 may be away",
            "validator   node-0  weight 1, this node, signed the last block",
            "validator   node-1  weight 1, online, signed the last block",
            "validator   node-2  weight 1, AWAY, signed the last block",
            "validator   node-3  weight 1, online",
        ] {
            assert!(told.lines().any(|found| found == line), "{line:?} is missing in:\n{told}");
        }
        assert!(!told.contains("warning"), "{told}");
    }

    #[test]
    fn a_set_that_tolerates_nothing_is_warned_of() {
        let quorum = json!({"total": 2, "needed": 2, "reachable": 2, "has_quorum": true, "faults_tolerated": 0,
            "warning": "none of the 2 validators may be away"});
        let told = told_of(network(&[1, 1], |_| true, &quorum));
        assert!(told.contains("\nquorum      weight 2 of 2 can be reached, 2 is needed\n"), "{told}");
        assert!(told.contains("\nwarning     none of the 2 validators may be away\n"), "{told}");
    }

    #[test]
    fn a_lost_quorum_stands_above_everything_else() {
        let quorum = json!({"total": 4, "needed": 3, "reachable": 2, "has_quorum": false, "faults_tolerated": 1,
            "warning": "weight 2 of 4 can be reached, 3 is needed; away: node-2, node-3"});
        let told = told_of(network(&[1, 1, 1, 1], |at| at < 2, &quorum));
        let first = "NO QUORUM: writes wait and nothing becomes final: weight 2 of 4 can be reached, 3 is needed; \
                     away: node-2, node-3\n\nnode id";
        assert!(told.starts_with(first) && !told.contains("warning"), "{told}");
    }

    #[test]
    fn of_very_many_validators_only_the_absent_are_listed() {
        let quorum =
            json!({"total": 20, "needed": 14, "reachable": 19, "has_quorum": true, "faults_tolerated": 6});
        let told = told_of(network(&[1; 20], |at| at != 7, &quorum));
        assert_eq!(told.lines().filter(|line| line.starts_with("validator")).count(), 2, "{told}");
        assert!(told.contains("validator   node-7  weight 1, AWAY\n"), "{told}");
        assert!(told.contains("validator   19 online; see `swiftctl nodes`\n"), "{told}");
    }
}
