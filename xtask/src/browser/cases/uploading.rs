//! Files on their way into the network and through it, and what is refused.

use std::fs;

use anyhow::Result;
use serde_json::json;

use crate::browser::page::Page;
use crate::browser::stage::{self, Stage};
use crate::scenario::node::Node;

const MIB: u64 = 1 << 20;

pub(super) fn dropped_files_spread_live(stage: &mut Stage, page: &Page) -> Result<()> {
    let names = [stage.name("holiday.mp4"), stage.name("notes.txt")];
    let paths = [stage.file(&names[0], 12 * MIB)?, stage.file(&names[1], 3_000)?];
    files_of(page, stage.founder()?)?;
    let mark = marked(page)?;
    page.drop_on("#drop", &[&paths[0], &paths[1]])?;
    for name in &names {
        page.sees(&upload(name, "done"))?;
        page.sees(&file(name))?;
    }
    page.click(&format!("{} a", file(&names[0])))?;
    page.says("#main h1", &names[0])?;
    everywhere(page, 3)?;
    unchanged(page, &mark)
}

pub(super) fn chosen_files_are_published(stage: &mut Stage, page: &Page) -> Result<()> {
    let name = stage.name("minutes.pdf");
    let path = stage.file(&name, 300_000)?;
    files_of(page, stage.founder()?)?;
    page.choose("#upload-input", &[&path])?;
    page.sees(&upload(&name, "done"))?;
    page.sees(&file(&name))
}

pub(super) fn a_dropped_folder_keeps_its_paths(stage: &mut Stage, page: &Page) -> Result<()> {
    let folder = stage.name("album");
    for inside in
        ["cover.jpg", "disc one/first song.flac", "disc one/second song.flac", "disc two/Ärger & mehr.flac"]
    {
        stage.file(&format!("{folder}/{inside}"), 50_000)?;
    }
    files_of(page, stage.founder()?)?;
    page.drop_on("#drop", &[&stage.path(&folder)?])?;
    for inside in
        ["cover.jpg", "disc one/first song.flac", "disc one/second song.flac", "disc two/Ärger & mehr.flac"]
    {
        page.sees(&upload(&format!("{folder}/{inside}"), "done"))?;
    }
    page.fill("#search", &format!("{folder}/disc one"))?;
    page.until(
        "the two songs of the folder",
        "document.querySelectorAll('#files [data-name]').length === 2",
    )?;
    Ok(())
}

pub(super) fn a_bad_name_is_refused_in_words(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["/v1/files/", "400"]);
    let name = stage.name("what?.txt");
    let path = stage.file(&name, 1_000)?;
    files_of(page, stage.founder()?)?;
    page.drop_on("#drop", &[&path])?;
    page.says(&upload(&name, "failed"), "which some systems do not allow")
}

pub(super) fn a_taken_name_is_refused_and_can_be_replaced(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["/v1/files/", "409"]);
    let name = stage.name("plan.txt");
    let path = stage.file(&name, 20_000)?;
    stage::publish(stage.founder()?, &name, &path)?;
    fs::write(&path, "something else")?;
    files_of(page, stage.founder()?)?;
    page.sees(&file(&name))?;
    page.drop_on("#drop", &[&path])?;
    page.says(&upload(&name, "failed"), "replace")?;
    page.click(&format!("{} .actions button", upload(&name, "failed")))?;
    page.sees(&upload(&name, "done"))?;
    page.says(&file(&name), "14")
}

pub(super) fn a_file_without_room_is_refused_in_words(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["/v1/files/", "507"]);
    let name = stage.name("too-large.iso");
    let path = stage.file(&name, 24 * MIB)?;
    let small = stage.join_with(&["--quota", "8MiB", "--keep", "none"])?;
    files_of(page, &small)?;
    page.drop_on("#drop", &[&path])?;
    page.says(&upload(&name, "failed"), "bytes")?;
    // Before the node ends with this test, which is none of the page's business.
    page.leave()
}

pub(super) fn uploads_that_failed_are_tried_again_together(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["/v1/files/", "403"]);
    let names = [stage.name("first.txt"), stage.name("second.txt")];
    let paths = [stage.file(&names[0], 1_000)?, stage.file(&names[1], 1_000)?];
    let guest = stage.join()?;
    let becomes = |role: &str| -> Result<()> {
        stage.founder()?.ctl(&[&"node", &"role", &guest.id()?, &role])?.ok()?;
        let is_so = || Ok((guest.get("/v1/status")?["role"] == role).then_some(()));
        stage.patience().until("the node to have its role", super::LIMIT, is_so)
    };
    becomes("reader")?;
    files_of(page, &guest)?;
    page.drop_on("#drop", &[&paths[0], &paths[1]])?;
    for name in &names {
        page.sees(&upload(name, "failed"))?;
    }
    becomes("publisher")?;
    page.click("#retry-failed")?;
    for name in &names {
        page.sees(&upload(name, "done"))?;
    }
    page.sees_no("#retry-failed")?;
    page.leave()
}

pub(super) fn a_reader_is_not_offered_what_is_not_allowed(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["/v1/sessions", "401"]);
    let (label, name) = (stage.name("reader"), stage.name("read-me.txt"));
    let path = stage.file(&name, 5_000)?;
    let founder = stage.founder()?;
    stage::publish(founder, &name, &path)?;
    page.open(&stage::address(founder, "#/files"))?;
    page.fill("#token", &stage::token(founder, &label, "read")?)?;
    page.click("#signin [type=submit]")?;
    page.sees(&file(&name))?;
    page.sees_no("#drop")?;
    page.click(&format!("{} a", file(&name)))?;
    page.sees("#download")?;
    page.sees_no("#remove")?;
    page.click("nav a[href=\"#/nodes\"]")?;
    page.sees("#nodes [data-node]")?;
    page.sees_no("#invite")?;
    let headings = page.text("#nodes thead")?;
    anyhow::ensure!(!headings.contains("Actions"), "a column for what is not offered: {headings}");
    Ok(())
}

/// Opens the files of a node.
pub(super) fn files_of(page: &Page, node: &Node) -> Result<()> {
    stage::sign_in(page, node)?;
    page.click("nav a[href=\"#/files\"]")?;
    page.sees("#search")
}

/// A file's row in the list.
pub(super) fn file(name: &str) -> String {
    format!("#files [data-name={}]", json!(name))
}

fn upload(name: &str, state: &str) -> String {
    format!("#uploads [data-name={}][data-state={state}]", json!(name))
}

/// Waits until the page of a file shows so many nodes that have all of it.
pub(super) fn everywhere(page: &Page, nodes: usize) -> Result<()> {
    let whole = "[...document.querySelectorAll('#holders [data-node]')].filter(e => Number(e.dataset.share) === 1).length";
    page.until(&format!("{nodes} nodes to have the whole file"), &format!("{whole} === {nodes}")).map(drop)
}

/// Leaves a mark in the page, which no reload survives.
pub(super) fn marked(page: &Page) -> Result<String> {
    page.value("(window.mark = String(performance.timeOrigin))")
        .map(|mark| mark.as_str().unwrap_or_default().to_owned())
}

/// Fails if the page was loaded again since it was marked.
pub(super) fn unchanged(page: &Page, mark: &str) -> Result<()> {
    anyhow::ensure!(page.value("window.mark")? == json!(mark), "the page was loaded again");
    Ok(())
}
