//! `cargo xtask screenshots`: each page of the dashboard as the documents show it, in light and dark, on a laptop and on a
//! phone.
//!
//! The network is real and the same every time, but for keys, ports and times, which are what they are.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::cases::PAGES;
use super::page::{Page, Theme, Width};
use super::programs::Programs;
use super::stage::{self, Stage};
use crate::cargo;
use crate::interrupt::Interrupt;
use crate::scenario::binaries::{Binaries, Profile};
use crate::scenario::node::Node;
use crate::scenario::wait::Patience;

/// Where they go, seen from the root.
const FOLDER: &str = "docs/screenshots";
const TRANSFERS: &str = "#/transfers";
/// All of them together; they are part of every clone.
const BYTES_MAX: u64 = 2_100_000;

/// The files of a small studio: who published each, and how many bytes it has.
const FILES: &[(&str, &str, u64)] = &[
    ("images/debian-13.2-netinst.iso", "mirror", 9_400_000),
    ("images/workstation-2026-11.img", "mirror", 14_200_000),
    ("builds/renderer-4.2.0-linux-x86_64.tar.zst", "ci", 3_150_000),
    ("builds/renderer-4.2.1-linux-x86_64.tar.zst", "ci", 3_170_000),
    ("builds/renderer-4.2.1-windows-x86_64.zip", "ci", 3_420_000),
    ("footage/harbour at dawn, take 3.mov", "anna", 22_500_000),
    ("footage/harbour at dawn, take 4.mov", "anna", 19_800_000),
    ("fonts/Überschrift Sans.otf", "anna", 184_000),
    ("models/lighthouse.blend", "jonas", 5_600_000),
    ("models/lighthouse-textures.zip", "jonas", 8_900_000),
    ("notes/release checklist.md", "ci", 4_300),
    ("notes/storyboard.pdf", "jonas", 1_240_000),
];
/// What is on its way while the pictures are taken.
const ARRIVING: &str = "footage/harbour at noon, take 1.mov";
const ARRIVING_BYTES: u64 = 88 << 20;
const ARRIVING_RATE: &str = "1600KiB/s";

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, interrupt: &Interrupt) -> Result<()> {
    let programs = Programs::find()?;
    let binaries = Binaries::find_or_build(Profile::Dev)?;
    let mut stage = Stage::found(binaries, &programs, &Patience::new(interrupt))?;
    let mut guest = stage.join()?;
    furnish(&stage, &guest)?;
    let folder = cargo::root()?.join(FOLDER);
    fs::create_dir_all(&folder)?;
    for width in Width::BOTH {
        let page = stage.page(*width)?;
        take_all(&stage, &page, *width, &folder)?;
        page.close()?;
        interrupt.check()?;
    }
    guest.stop()?;
    stage.stop()?;
    let bytes =
        fs::read_dir(&folder)?.try_fold(0, |sum, entry| anyhow::Ok(sum + entry?.metadata()?.len()))?;
    println!("{} has {bytes} bytes", folder.display());
    ensure!(bytes < BYTES_MAX, "the pictures have {bytes} bytes, {BYTES_MAX} are allowed");
    Ok(())
}

/// Puts files into the network, gives its members work, and lets a large file begin to spread slowly.
fn furnish(stage: &Stage, guest: &Node) -> Result<()> {
    let founder = stage.founder()?;
    let mut tokens: Vec<(&str, String)> = Vec::new();
    for (name, label, size) in FILES {
        if !tokens.iter().any(|(known, _)| known == label) {
            tokens.push((label, stage::token(founder, label, "read,publish,remove")?));
        }
        let token = tokens.iter().find(|(known, _)| known == label).map(|(_, token)| token.as_str());
        let content = fs::read(stage.file(name, *size)?)?;
        founder.http("PUT", &format!("/v1/files/{}", escaped(name)), token, &content)?.expect(200)?;
    }
    founder.ctl(&[&"node", &"role", &stage.node(1)?.id()?, &"admin"])?.ok()?;
    founder.ctl(&[&"node", &"role", &guest.id()?, &"reader"])?.ok()?;
    for node in [stage.node(1)?, stage.node(2)?, guest] {
        let whole = || Ok((node.get("/v1/status")?["store"]["wanted"] == 0).then_some(()));
        stage.patience().until("every node to have all files", super::cases::LIMIT, whole)?;
    }
    founder.ctl(&[&"limit", &"up", &ARRIVING_RATE])?.ok()?;
    stage::publish(founder, ARRIVING, &stage.file(ARRIVING, ARRIVING_BYTES)?)
}

fn take_all(stage: &Stage, page: &Page, width: Width, folder: &Path) -> Result<()> {
    let (founder, receiver) = (stage.founder()?, stage.node(1)?);
    page.expect_on_console(&["/v1/sessions", "401"]);
    page.open(&stage::address(founder, ""))?;
    page.sees("#signin")?;
    take(page, "sign-in", width, folder)?;
    stage::sign_in(page, founder)?;
    for (hash, there) in PAGES.iter().filter(|(hash, _)| *hash != TRANSFERS) {
        show(page, hash, there)?;
        take(page, hash.trim_start_matches("#/"), width, folder)?;
    }
    show(page, "#/nodes", "#invite")?;
    page.click("#invite")?;
    page.click("dialog[open] [value=confirm]")?;
    page.sees("#qr")?;
    take(page, "invite", width, folder)?;
    page.click("dialog[open] [value=confirm]")?;
    page.open(&stage::address(founder, &format!("#/files/{}", escaped(ARRIVING).replace('/', "%2F"))))?;
    let share = "[...document.querySelectorAll('#holders [data-share]')].some(e => e.dataset.share > 0.1 && e.dataset.share < 1)";
    page.until("some of the file to be on its way", share)?;
    page.value("document.querySelector('#holders').scrollIntoView({block: 'end'})")?;
    take(page, "file", width, folder)?;
    // Where something comes, there is more to see.
    stage::sign_in(page, receiver)?;
    show(page, TRANSFERS, "#incoming [data-file]")?;
    page.until(
        "only the large file to move",
        "document.querySelectorAll('#transfers [data-file]').length <= 2",
    )?;
    take(page, "transfers", width, folder)
}

/// Opens a page and waits until it has what it shows.
fn show(page: &Page, hash: &str, there: &str) -> Result<()> {
    page.click(&format!("nav a[href=\"{hash}\"]"))?;
    page.sees(there)?;
    page.sees_no("#main .loading")
}

fn take(page: &Page, name: &str, width: Width, folder: &Path) -> Result<()> {
    page.point_away()?;
    for theme in Theme::BOTH {
        page.wear(*theme)?;
        let file = folder.join(format!("{name}-{}-{}.png", theme.name(), width.px()));
        fs::write(&file, page.screenshot()?)?;
        println!("{}", file.display());
    }
    page.wear(Theme::Light)
}

/// A name as it stands in an address; its slashes stay.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_escaped_for_addresses() {
        assert_eq!(escaped("a b/Ü,1.md"), "a%20b/%C3%9C%2C1.md");
    }
}
