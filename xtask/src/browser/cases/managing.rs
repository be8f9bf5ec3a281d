//! Members that come, change and go.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::uploading::{marked, unchanged};
use crate::browser::page::Page;
use crate::browser::stage::{self, Stage};
use crate::scenario::node::Node;

/// How long a node that was removed may take to hear of it and end.
const FAREWELL: Duration = Duration::from_secs(30);

pub(super) fn an_invited_node_appears_live(stage: &mut Stage, page: &Page) -> Result<()> {
    nodes_of(page, stage.founder()?)?;
    let mark = marked(page)?;
    page.click("#invite")?;
    page.click("dialog[open] [value=confirm]")?;
    let ticket = page.text("#ticket")?;
    page.sees("#qr")?;
    page.click("#copy-ticket")?;
    page.says("#copy-ticket", "copied")?;
    let copied = page.run("return await navigator.clipboard.readText();", &[])?;
    ensure!(copied == ticket, "what was copied is not the ticket: {copied}");
    let fourth = stage.join_by(&ticket)?;
    page.until(
        "the node that joined in the table",
        &format!("document.querySelector({})", quoted(&row(&fourth)?)),
    )?;
    page.click("dialog[open] [value=confirm]")?;
    page.sees_no("dialog[open]")?;
    unchanged(page, &mark)?;
    page.leave()
}

pub(super) fn a_role_is_changed(stage: &mut Stage, page: &Page) -> Result<()> {
    let guest = stage.join()?;
    let row = row(&guest)?;
    nodes_of(page, stage.founder()?)?;
    page.says(&row, "publisher")?;
    page.click(&format!("{row} button.role"))?;
    page.click("dialog[open] #role option[value=reader]")?;
    page.click("dialog[open] [value=confirm]")?;
    page.sees_no("dialog[open]")?;
    page.says(&row, "reader")?;
    let refused = guest.ctl(&[&"upload", &stage.file("by-a-reader.txt", 100)?])?.refused();
    refused.map(drop)
}

pub(super) fn a_removed_node_stops_and_is_gone_from_the_table(stage: &mut Stage, page: &Page) -> Result<()> {
    let mut guest = stage.join()?;
    let row = row(&guest)?;
    nodes_of(page, stage.founder()?)?;
    let mark = marked(page)?;
    page.sees(&row)?;
    page.click(&format!("{row} button.remove"))?;
    page.sees("dialog[open] [value=confirm]")?;
    // Whoever thinks better of it has removed nothing.
    page.click("dialog[open] [value=cancel]")?;
    page.sees_no("dialog[open]")?;
    guest.assert_running()?;
    page.click(&format!("{row} button.remove"))?;
    page.click("dialog[open] [value=confirm]")?;
    page.sees_no(&row)?;
    stage
        .patience()
        .until("the removed node to stop", FAREWELL, || Ok(guest.assert_running().is_err().then_some(())))?;
    ensure!(
        guest.log()?.contains("this node was removed from the network"),
        "it does not say why it stopped"
    );
    unchanged(page, &mark)
}

/// Opens the nodes that a node knows.
fn nodes_of(page: &Page, node: &Node) -> Result<()> {
    stage::sign_in(page, node)?;
    page.click("nav a[href=\"#/nodes\"]")?;
    page.sees("#nodes [data-node]")
}

/// A node's row in the table.
fn row(node: &Node) -> Result<String> {
    Ok(format!("#nodes [data-node=\"{}\"]", node.id()?))
}

fn quoted(text: &str) -> String {
    serde_json::json!(text).to_string()
}
