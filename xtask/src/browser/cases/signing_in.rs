//! Who gets in, and who does not any more.

use anyhow::Result;

use crate::browser::page::{Page, Width, keys};
use crate::browser::stage::{self, Stage};

pub(super) fn by_an_address_once(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["/v1/sessions", "401"]);
    let address = stage::sign_in_address(stage.founder()?)?;
    page.open(&address)?;
    page.sees("nav a[href=\"#/files\"]")?;
    page.sees("#main h1")?;
    // What signs in does not stay where somebody may read it.
    page.until("the secret to be gone from the address", "!location.href.includes('signin=')")?;
    page.reload()?;
    page.sees("nav a[href=\"#/files\"]")?;
    // Somebody else who has the address gets no further than the form.
    let other = stage.page(Width::Laptop)?;
    other.expect_on_console(&["/v1/sessions", "401"]);
    other.open(&address)?;
    other.says("#main", "works once")?;
    other.sees("#signin #token")?;
    other.assert_quiet()?;
    other.close()
}

pub(super) fn by_a_token(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["/v1/sessions", "401"]);
    let founder = stage.founder()?;
    page.open(&stage::address(founder, ""))?;
    page.fill("#token", &founder.token()?)?;
    page.press(keys::ENTER)?;
    page.sees("nav a[href=\"#/files\"]")?;
    page.sees_no("#signin")
}

pub(super) fn a_wrong_token_is_refused(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["/v1/sessions", "401"]);
    page.open(&stage::address(stage.founder()?, ""))?;
    page.fill("#token", "this-is-no-token")?;
    page.click("#signin [type=submit]")?;
    page.says("[role=alert]", "does not sign anybody in")?;
    // One may try again.
    page.sees("#token")
}

pub(super) fn a_revoked_token_signs_out(stage: &mut Stage, page: &Page) -> Result<()> {
    page.expect_on_console(&["401"]);
    let label = stage.name("visitor");
    let founder = stage.founder()?;
    let token = stage::token(founder, &label, "read")?;
    page.open(&stage::address(founder, "#/files"))?;
    page.fill("#token", &token)?;
    page.press(keys::ENTER)?;
    page.sees("#search")?;
    founder.ctl(&[&"token", &"revoke", &label])?.ok()?;
    // Without anything being clicked, as soon as there would be something to show.
    stage::publish(founder, &label, &stage.file(&label, 100)?)?;
    page.sees("#signin")?;
    page.sees_no("#search")
}
