//! A node that is away for a while.

use anyhow::Result;

use super::uploading::{file, files_of, marked, unchanged};
use crate::browser::page::Page;
use crate::browser::stage::{self, Stage};

pub(super) fn a_node_that_comes_back_shows_what_it_missed(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["ERR_"]);
    page.expect_on_console(&["401"]);
    let (before, meanwhile) = (stage.name("before.txt"), stage.name("meanwhile.txt"));
    let paths = [stage.file(&before, 2_000)?, stage.file(&meanwhile, 2_000)?];
    stage::publish(stage.founder()?, &before, &paths[0])?;
    let mut guest = stage.join()?;
    files_of(page, &guest)?;
    page.sees(&file(&before))?;
    let mark = marked(page)?;
    guest.stop()?;
    page.says("#banner", "does not answer")?;
    // What was there stays to be read.
    page.sees(&file(&before))?;
    stage::publish(stage.founder()?, &meanwhile, &paths[1])?;
    guest.restart()?;
    // A start signs everybody out, and the page says so.
    page.sees("#signin")?;
    page.sees_no("#banner")?;
    page.fill("#token", &guest.token()?)?;
    page.click("#signin [type=submit]")?;
    page.sees(&file(&before))?;
    page.sees(&file(&meanwhile))?;
    unchanged(page, &mark)?;
    page.leave()
}

pub(super) fn a_node_that_hangs_is_noticed_and_loses_nothing(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["ERR_"]);
    let name = stage.name("meanwhile.txt");
    let path = stage.file(&name, 2_000)?;
    let mut guest = stage.join()?;
    files_of(page, &guest)?;
    let mark = marked(page)?;
    guest.pause()?;
    // Whoever only looks hears of it later: the page asks when it has heard nothing for a while.
    page.click("nav a[href=\"#/overview\"]")?;
    page.says("#banner", "does not answer")?;
    stage::publish(stage.founder()?, &name, &path)?;
    guest.resume()?;
    page.sees_no("#banner")?;
    page.says("#main", &name)?;
    page.click("nav a[href=\"#/files\"]")?;
    page.sees(&file(&name))?;
    unchanged(page, &mark)?;
    page.leave()
}
