//! What every page must be: narrow enough, usable by everybody, and small.

use anyhow::{Result, ensure};

use crate::browser::axe::Axe;
use crate::browser::page::{Page, Theme};
use crate::browser::stage::{self, Stage};

/// What the first page may weigh, with all that it needs.
const FIRST_PAGE_BYTES_MAX: u64 = 100_000;

pub(super) fn no_page_scrolls_sideways(stage: &mut Stage, page: &Page) -> Result<()> {
    each(stage, page, |page, what| {
        let wide = page.value(WIDE)?;
        ensure!(!page.scrolls_sideways()?, "{what} scrolls sideways, because of {wide}");
        Ok(())
    })
}

pub(super) fn nothing_keeps_anybody_from_using_a_page(stage: &mut Stage, page: &Page) -> Result<()> {
    let axe = Axe::find_or_get()?;
    each(stage, page, |page, what| {
        Theme::BOTH.iter().try_for_each(|theme| {
            page.wear(*theme)?;
            axe.assert_usable(page, &format!("{what}, {}", theme.name()))
        })
    })
}

pub(super) fn the_first_page_is_small(stage: &mut Stage, page: &Page) -> Result<()> {
    let address = stage::sign_in_address(stage.founder()?)?;
    page.open(&address)?;
    page.sees("#main h1")?;
    page.sees_no("#main .loading")?;
    let bytes = page.value(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]\
         .reduce((sum, entry) => sum + entry.transferSize, 0)",
    )?;
    let readable =
        page.value("Math.round(performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0)")?;
    let all = page
        .value("Math.round(Math.max(...performance.getEntriesByType('resource').map(e => e.responseEnd)))")?;
    println!("the first page: {bytes} bytes, first seen after {readable} ms, all of it here after {all} ms");
    let bytes = bytes.as_u64().unwrap_or(u64::MAX);
    ensure!(bytes > 1_000 && bytes < FIRST_PAGE_BYTES_MAX, "the first page takes {bytes} bytes");
    Ok(())
}

/// What sticks out of the page.
const WIDE: &str = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)\
    .slice(0, 5).map(e => e.outerHTML.slice(0, 120))";

/// Looks at every page there is: signed out and in, with something to show on each, and its dialogs.
fn each(stage: &mut Stage, page: &Page, look: impl Fn(&Page, &str) -> Result<()>) -> Result<()> {
    page.expect_on_console(&["/v1/sessions", "401"]);
    let name =
        stage.name("a rather long name of a film that somebody recorded in the summer of last year.mkv");
    let path = stage.file(&name, 6 << 20)?;
    let founder = stage.founder()?;
    stage::publish(founder, &name, &path)?;
    page.open(&stage::address(founder, ""))?;
    page.sees("#signin")?;
    look(page, "the sign-in page")?;
    stage::sign_in(page, founder)?;
    for (hash, there) in PAGES {
        page.click(&format!("nav a[href=\"{hash}\"]"))?;
        page.sees(there)?;
        page.sees_no("#main .loading")?;
        look(page, hash)?;
    }
    page.click("nav a[href=\"#/files\"]")?;
    page.click(&format!("{} a", super::uploading::file(&name)))?;
    super::uploading::everywhere(page, 3)?;
    look(page, "the page of a file")?;
    page.click("#remove")?;
    page.sees("dialog[open]")?;
    look(page, "the question before a file is removed")?;
    page.click("dialog[open] [value=cancel]")?;
    page.click("nav a[href=\"#/nodes\"]")?;
    page.click("#invite")?;
    page.sees("dialog[open]")?;
    look(page, "the question who is invited")?;
    page.click("dialog[open] [value=confirm]")?;
    page.sees("#ticket")?;
    look(page, "the ticket")?;
    page.click("dialog[open] [value=confirm]")?;
    page.click("nav a[href=\"#/ledger\"]")?;
    page.click("#verify")?;
    page.sees("#verified[data-state=good]")?;
    page.click("#blocks [data-height] button")?;
    page.sees("#blocks .signers")?;
    look(page, "a verified chain, and all of a block")
}

/// Every page, and what it has when it is there.
pub(crate) const PAGES: &[(&str, &str)] = &[
    ("#/overview", "#main h1"),
    ("#/files", "#files [data-name]"),
    ("#/transfers", "#main h1"),
    ("#/nodes", "#nodes [data-node]"),
    ("#/ledger", "#blocks [data-height]"),
];
