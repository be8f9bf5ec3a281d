//! The chain in front of the person who asks.

use anyhow::Result;

use crate::browser::page::Page;
use crate::browser::stage::{self, Stage};

pub(super) fn the_chain_is_verified_in_front_of_the_person(stage: &mut Stage, page: &Page) -> Result<()> {
    stage::sign_in(page, stage.founder()?)?;
    page.click("nav a[href=\"#/ledger\"]")?;
    page.sees("#blocks [data-height]")?;
    page.click("#verify")?;
    page.says("#verified", "valid")
}

pub(super) fn transactions_are_filtered_by_file(stage: &mut Stage, page: &Page) -> Result<()> {
    let (one, other) = (stage.name("minutes.txt"), stage.name("protocol.txt"));
    let founder = stage.founder()?;
    for name in [&one, &other] {
        stage::publish(founder, name, &stage.file(name, 1_000)?)?;
    }
    stage::sign_in(page, founder)?;
    page.click("nav a[href=\"#/ledger\"]")?;
    page.says("#transactions", &other)?;
    page.fill("#filter-name", &one)?;
    page.until(
        "only what concerns the file",
        &format!(
            "((text) => text.includes({one:?}) && !text.includes({other:?}))(document.querySelector('#transactions').innerText)"
        ),
    )?;
    Ok(())
}
