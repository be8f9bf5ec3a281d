//! Many files, and files whose names are odd.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::json;

use super::uploading::{file, files_of};
use crate::browser::page::{Page, keys};
use crate::browser::stage::Stage;

/// Enough for many pages.
const MANY: usize = 2_500;
const TOTAL: &str = "2,500 files";
const PAGE: usize = 50;

pub(super) fn many_files_are_paged_sorted_and_searched(stage: &mut Stage, page: &Page) -> Result<()> {
    let name = stage.name("many");
    let folder = stage.path(&name)?;
    fs::create_dir_all(&folder)?;
    for number in 0..MANY {
        // The later, the larger; no two are alike.
        fs::write(folder.join(format!("{number:04}.txt")), format!("{number:04}").repeat(number + 1))?;
    }
    let node = stage.found_apart()?;
    node.ctl(&[&"upload", &folder, &"--as", &"many"])?.ok()?;
    files_of(page, &node)?;
    shows(page, 0)?;

    // Where a page ends is seen from its beginning, and so is how to go on.
    page.until(
        "Next to be seen",
        "document.querySelector('#more').getBoundingClientRect().bottom <= innerHeight",
    )?;
    page.tab_to("#more")?;
    for number in [1, 2] {
        page.press(keys::ENTER)?;
        shows(page, number * PAGE)?;
    }
    page.until("the focus where it was", "document.activeElement?.id === 'more'")?;
    page.press(keys::ENTER)?;
    shows(page, 3 * PAGE)?;
    page.click("#back")?;
    shows(page, 2 * PAGE)?;

    // Who comes back from a file finds the page of the list, and the place on it.
    let opened = format!("{} a", file("many/0120.txt"));
    page.click(&opened)?;
    page.says("#main h1", "many/0120.txt")?;
    page.value("history.back()")?;
    shows(page, 2 * PAGE)?;
    page.until("the focus on the file", &format!("document.activeElement?.matches({})", json!(opened)))?;
    page.reload()?;
    shows(page, 2 * PAGE)?;

    for (column, first, second) in [("size", MANY - 1, 0), ("name", 0, MANY - 1)] {
        for first in [first, second] {
            page.click(&format!("[data-sort={column}] button"))?;
            shows_first(page, &format!("many/{first:04}.txt"))?;
        }
    }
    // On a phone not every column is there; every order is.
    let is_there = page.value("document.querySelector('[data-sort=published]').checkVisibility()")? == true;
    let newest =
        if is_there { "[data-sort=published] button" } else { "#order option[value='published desc']" };
    page.click(newest)?;
    page.until(
        "the order to be another",
        "document.querySelector('[data-sort=published]').getAttribute('aria-sort') === 'descending'",
    )?;
    ensure!(!page.scrolls_sideways()?, "the list scrolls sideways");

    page.fill("#search", "/077")?;
    page.says("#where-in-list", "1 to 10 of 10 files")?;
    page.sees_no("#more")?;
    page.fill("#search", "no such name")?;
    page.says("#main", "No file has this in its name")?;
    page.fill("#search", "many")?;
    page.says("#where-in-list", &format!("of {TOTAL}"))?;
    let took = page.run(PAGE_TIME, &[])?;
    println!(
        "a page of {MANY} files is shown {took} ms after it was asked for, of nine the one in the middle"
    );
    page.leave()
}

/// Waits until a page of the list is there that begins behind so many files, in the order of names.
fn shows(page: &Page, behind: usize) -> Result<()> {
    page.says("#where-in-list", &format!("{} to {} of {TOTAL}", behind + 1, behind + PAGE))?;
    shows_first(page, &format!("many/{:04}.txt", behind))
}

fn shows_first(page: &Page, name: &str) -> Result<()> {
    let first = "document.querySelector('#files tbody tr')?.dataset.name";
    page.until(&format!("{name} to come first"), &format!("{first} === {}", json!(name))).map(drop)
}

/// The browser's own clock, from a press on Next until what came was drawn.
const PAGE_TIME: &str = "
    const first = () => document.querySelector('#files tbody tr').dataset.name;
    const drawn = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    const times = [];
    for (let number = 0; number < 9; number += 1) {
        const [begun, before] = [performance.now(), first()];
        document.getElementById('more').click();
        while (first() === before) await new Promise(done => requestAnimationFrame(done));
        await drawn();
        times.push(performance.now() - begun);
    }
    return Math.round(times.sort((a, b) => a - b)[4]);";

pub(super) fn names_that_look_alike_are_told_apart(stage: &mut Stage, page: &Page) -> Result<()> {
    let node = stage.found_apart()?;
    let path = stage.file("odd", 1_000)?;
    let long = format!("{}/the end.txt", ["a folder with a long name"; 30].join("/"));
    let names = [
        "one space.txt",
        "one  space.txt",
        "plain.txt",
        "plain\u{fe0f}.txt",
        "pla\u{3164}in.txt",
        "-dash.txt",
        &long,
    ];
    for name in names {
        node.ctl(&[&"upload", &path, &format!("--as={name}")])?.ok()?;
    }
    files_of(page, &node)?;
    page.says("#where-in-list", &format!("of {} files", names.len()))?;
    let shown = page.value("[...document.querySelectorAll('#files th a')].map(link => link.innerText)")?;
    let shown: Vec<&str> = shown.as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    for expected in ["one space.txt", "one  space.txt", "plain.txt", "plain‹U+FE0F›.txt", "pla‹U+3164›in.txt"]
    {
        ensure!(shown.contains(&expected), "{expected} is not among {shown:?}");
    }
    // Of a very long one there is the beginning and the end; its own page has all of it.
    let clipped = shown.iter().find(|name| name.ends_with("the end.txt"));
    ensure!(clipped.is_some_and(|name| name.contains('…') && name.len() < 150), "{clipped:?}");
    page.click(&format!("{} a", file(&long)))?;
    page.says("#main h1", &long)?;
    page.click("nav a[href=\"#/files\"]")?;
    page.click(&format!("{} a", file("-dash.txt")))?;
    // No tool takes the name for an option.
    page.says(".command", "-o ./-dash.txt")?;
    page.says(".command", "download -- -dash.txt")?;
    page.leave()
}
