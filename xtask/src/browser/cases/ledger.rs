//! The chain in front of the person who asks.

use anyhow::Result;

use crate::browser::page::Page;
use crate::browser::stage::{self, Stage};

pub(super) fn the_chain_is_verified_in_front_of_the_person(stage: &mut Stage, page: &Page) -> Result<()> {
    stage::sign_in(page, stage.founder()?)?;
    page.click("nav a[href=\"#/ledger\"]")?;
    page.sees("#blocks [data-height]")?;
    page.click("#verify")?;
    page.sees("#verified[data-state=good]")?;
    page.says("#verified", "signatures hold")
}

pub(super) fn a_block_shows_who_signed_it(stage: &mut Stage, page: &Page) -> Result<()> {
    let name = stage.name("signed.txt");
    let founder = stage.founder()?;
    stage::publish(founder, &name, &stage.file(&name, 500)?)?;
    let signer = founder.id()?;
    stage::sign_in(page, founder)?;
    page.click("nav a[href=\"#/ledger\"]")?;
    page.says("#blocks", &name)?;
    page.click("#blocks [data-height] button")?;
    page.says("#blocks .signers", signer.get(..8).unwrap_or_default())
}

pub(super) fn transactions_are_filtered_by_file_and_node(stage: &mut Stage, page: &Page) -> Result<()> {
    let (one, other) = (stage.name("minutes.txt"), stage.name("protocol.txt"));
    let (founder, second) = (stage.founder()?, stage.node(1)?);
    stage::publish(founder, &one, &stage.file(&one, 1_000)?)?;
    stage::publish(second, &other, &stage.file(&other, 1_000)?)?;
    stage::sign_in(page, founder)?;
    page.click("nav a[href=\"#/ledger\"]")?;
    page.says("#transactions", &one)?;
    page.says("#transactions", &other)?;
    page.fill("#filter-name", &one)?;
    only(page, &one, &other)?;
    page.fill("#filter-name", "")?;
    page.says("#transactions", &other)?;
    page.fill("#filter-node", &second.id()?)?;
    only(page, &other, &one)
}

/// Waits until the transactions are about one file and not about another.
fn only(page: &Page, there: &str, gone: &str) -> Result<()> {
    let told = "document.querySelector('#transactions').innerText";
    let holds = format!("{told}.includes({there:?}) && !{told}.includes({gone:?})");
    page.until(&format!("only what concerns {there}"), &holds).map(drop)
}
