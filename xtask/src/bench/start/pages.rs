//! How long a page of many files takes, in each order, from the beginning and from the middle.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::interrupt::Interrupt;
use crate::scenario::node::Node;

/// A page may take so long.
const BAR: Duration = Duration::from_millis(10);
/// Times that each page is asked for; the median counts.
const REPEAT: usize = 21;
const ORDERS: [&str; 6] = [
    "sort=name&order=asc",
    "sort=name&order=desc",
    "sort=size&order=asc",
    "sort=size&order=desc",
    "sort=published&order=asc",
    "sort=published&order=desc",
];

/// Prints what pages take; whether all were fast enough. A search is shown beside them, and has no bar: it looks at every
/// name.
pub(super) fn measure(node: &Node, files: u64, interrupt: &Interrupt) -> Result<bool> {
    println!("page of 100 of {files} files           first   behind half of them   with a search");
    let mut slowest = Duration::ZERO;
    for order in ORDERS {
        interrupt.check()?;
        let first = median(node, order)?;
        let cursor = half_way(node, order, files)?;
        let middle = match cursor {
            Some(cursor) => median(node, &format!("{order}&after={cursor}"))?,
            None => first,
        };
        let search = median(node, &format!("{order}&search=99"))?;
        let ms = |took: Duration| took.as_secs_f64() * 1000.0;
        println!("{order:<32} {:>8.2} ms {:>16.2} ms {:>13.2} ms", ms(first), ms(middle), ms(search));
        slowest = slowest.max(first).max(middle);
    }
    let is_met = slowest < BAR;
    println!(
        "slowest page {:.2} ms: under {} ms? {}",
        slowest.as_secs_f64() * 1000.0,
        BAR.as_millis(),
        if is_met { "yes" } else { "NO" }
    );
    Ok(is_met)
}

fn median(node: &Node, query: &str) -> Result<Duration> {
    let mut took = Vec::new();
    for _ in 0..REPEAT {
        let begun = Instant::now();
        let page = node.get(&format!("/v1/files?{query}"))?;
        took.push(begun.elapsed());
        ensure!(page["files"].is_array(), "no page: {page}");
    }
    took.sort_unstable();
    Ok(took[REPEAT / 2])
}

/// The cursor behind half of the files; none where they are on one page.
fn half_way(node: &Node, order: &str, files: u64) -> Result<Option<String>> {
    let (mut seen, mut cursor) = (0, None::<String>);
    while seen < files / 2 {
        let after = cursor.as_ref().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let page = node.get(&format!("/v1/files?{order}&limit=1000{after}"))?;
        seen += page["files"].as_array().context("no page")?.len() as u64;
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(None),
        }
    }
    Ok(cursor)
}
