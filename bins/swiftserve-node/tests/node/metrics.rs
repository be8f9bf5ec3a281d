//! `GET /metrics`: what a real node tells, and whether the documents say the same.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use crate::{
    client::answered,
    site::{Site, content},
};

/// A metric: its type, and its labels.
type Described = BTreeMap<String, (String, BTreeSet<String>)>;

/// The table in the operator's manual, by the names that its readers ask for.
fn documented() -> Described {
    let text = include_str!("../../../../docs/operations.md");
    let section = text.split("\n## ").find(|section| section.starts_with("Metrics\n")).unwrap();
    let mut described = Described::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").filter(|label| !label.is_empty());
        let labels = labels.map(|label| label.trim_matches('`').to_owned()).collect();
        let name = cells[1].trim_matches('`').to_owned();
        assert!(described.insert(name, (cells[2].to_owned(), labels)).is_none(), "{row}");
    }
    described
}

/// What an exposition in OpenMetrics text has, by the rules of that: types first, then samples of that metric alone, which
/// have the endings of its type, each once; the end is marked.
fn read(text: &str) -> (Described, BTreeMap<String, f64>) {
    let (mut described, mut samples) = (Described::new(), BTreeMap::new());
    let body = text.strip_suffix("# EOF\n").expect("an end");
    let (mut family, mut kind) = (String::new(), String::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').unwrap();
            (family, kind) = (name.to_owned(), of.to_owned());
            let asked_for = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            assert!(described.insert(asked_for, (kind.clone(), BTreeSet::new())).is_none(), "{line}");
        } else if line.starts_with("# HELP ") || line.starts_with("# UNIT ") {
            assert!(line.split(' ').count() > 3, "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let ending = name.strip_prefix(&family).expect(line);
            let endings: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                "gauge" => &[""],
                other => panic!("{other}"),
            };
            assert!(endings.contains(&ending), "{line}");
            let known = described.get_mut(if kind == "counter" { name } else { &family }).unwrap();
            for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once("=\"").expect(line);
                assert!(value.len() <= 60, "{line}");
                if label != "le" {
                    known.1.insert(label.to_owned());
                }
            }
            let value = value.replace("+Inf", "inf").parse().unwrap();
            assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    (described, samples)
}

async fn looked_at(site: &Site) -> (Described, BTreeMap<String, f64>) {
    let answer = site.client.get("/metrics").await.is(200);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), content_type);
    read(&answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_in_the_manual_and_every_one_in_the_manual_is_told() {
    let site = Site::found().await;
    site.client.anonymous().get("/v1/status").await.is(401);
    site.client.get("/v1/files").await.is(200);
    // A request is counted when it is answered.
    looked_at(&site).await;
    let (told, _) = looked_at(&site).await;
    assert_eq!(told, documented());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted_under_what_was_done_and_by_whom() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let bytes = content(5 << 20, 3);
    let block = founder.client.put("a file", &bytes).await.ok().json()["block"].as_f64().unwrap();
    member.completes("a file").await;
    assert_eq!(member.client.received("/v1/files/a file").await.1.len(), bytes.len());
    founder.client.get("/no/such/route").await.is(404);
    founder.client.with_token("sst_wrong").get("/v1/status").await.is(401);

    let ((_, at), (_, there)) = (looked_at(&founder).await, looked_at(&member).await);
    let len = bytes.len() as f64;
    let moved = |what: &str, direction: &str, peer: &str| {
        format!("swiftserve_content_{what}_total{{direction=\"{direction}\",peer=\"{peer}\"}}")
    };
    assert_eq!((at[&moved("bytes", "in", "client")], at[&moved("chunks", "in", "client")]), (len, 2.0));
    // Of members the manifest comes too.
    assert!((len..len + 1e3).contains(&there[&moved("bytes", "in", "member")]));
    assert_eq!(there[&moved("bytes", "out", "client")], len);
    assert!(at[&moved("bytes", "out", "member")] >= len && there[&moved("chunks", "in", "member")] >= 2.0);
    assert_eq!(there["swiftserve_transfer_seconds_count"], 1.0);
    assert_eq!((at["swiftserve_ledger_height"], at["swiftserve_ledger_files"]), (block, 1.0));
    assert_eq!((at["swiftserve_ledger_members"], at["swiftserve_ledger_lag_blocks"]), (2.0, 0.0));
    assert!(at["swiftserve_consensus_rounds_total"] >= at["swiftserve_ledger_blocks_total"]);
    let requests = |route: &str, method: &str, status: &str| {
        let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
        at[&format!("swiftserve_http_requests_total{{{labels}}}")]
    };
    assert_eq!(requests("/v1/files/{*name}", "PUT", "2xx"), 1.0);
    assert_eq!((requests("none", "GET", "4xx"), requests("/v1/status", "GET", "4xx")), (1.0, 1.0));
    assert_eq!(at["swiftserve_http_requests_refused_total{reason=\"unauthorized\"}"], 1.0);
    assert_eq!(at["swiftserve_security_events_total{kind=\"bad_token\"}"], 1.0);
    assert!(at["process_resident_memory_bytes"] > 1e6 && at["process_open_fds"] > 3.0);
    assert!(!at.keys().any(|series| series.contains("a file")), "names stand nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_take_a_token_that_may_read() {
    let site = Site::found().await;
    let publisher = site.client.scoped("writes", &["publish"]).await;
    answered(publisher.request(Method::GET, "/metrics")).await.refused(403, "forbidden");
    site.client.scoped("reads", &["read"]).await.get("/metrics").await.is(200);
}
