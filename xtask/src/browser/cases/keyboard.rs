//! All of it without a mouse.

use anyhow::Result;

use super::uploading::file;
use crate::browser::page::{Page, keys};
use crate::browser::stage::{self, Stage};

pub(super) fn a_file_is_found_and_removed_by_keyboard(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["/v1/sessions", "401"]);
    let name = stage.name("old-report.txt");
    let path = stage.file(&name, 4_000)?;
    let founder = stage.founder()?;
    stage::publish(founder, &name, &path)?;
    page.open(&stage::address(founder, ""))?;
    // The form has the focus already.
    page.until("the focus on the token", "document.activeElement?.id === 'token'")?;
    page.press(&founder.token()?)?;
    page.press(keys::ENTER)?;
    page.tab_to("nav a[href=\"#/files\"]")?;
    page.press(keys::ENTER)?;
    page.tab_to("#search")?;
    page.press(&name)?;
    page.until(
        "only the file that is looked for",
        "document.querySelectorAll('#files [data-name]').length === 1",
    )?;
    page.tab_to(&format!("{} a", file(&name)))?;
    page.press(keys::ENTER)?;
    page.tab_to("#remove")?;
    page.press(keys::ENTER)?;
    page.sees("dialog[open]")?;
    // Nothing behind it can be reached, and Escape leaves it.
    page.press(keys::ESCAPE)?;
    page.sees_no("dialog[open]")?;
    page.until("the focus where it was", "document.activeElement?.id === 'remove'")?;
    page.press(keys::ENTER)?;
    page.tab_to("dialog[open] [value=confirm]")?;
    page.press(keys::ENTER)?;
    page.sees_no("dialog[open]")?;
    stage.patience().until("the file to be gone", super::LIMIT, || {
        let answer = stage.founder()?.http(
            "GET",
            &format!("/v1/files/{name}?meta"),
            Some(&stage.founder()?.token()?),
            b"",
        )?;
        Ok((answer.status == 404).then_some(()))
    })
}
