//! Files on the pages of other nodes than the one that took them.

use anyhow::Result;

use super::uploading::{everywhere, file, files_of};
use crate::browser::page::Page;
use crate::browser::stage::{self, Stage};
use crate::scenario::data::assert_same;

pub(super) fn what_one_node_took_is_downloaded_from_another(stage: &mut Stage, page: &Page) -> Result<()> {
    let name = stage.name("setup & tools.iso");
    let path = stage.file(&name, 9 << 20)?;
    stage::publish(stage.founder()?, &name, &path)?;
    files_of(page, stage.node(2)?)?;
    page.fill("#search", &name)?;
    page.click(&format!("{} a", file(&name)))?;
    page.says("#main h1", &name)?;
    everywhere(page, 3)?;
    page.click("#download")?;
    assert_same(&path, &page.downloaded(&name)?)
}
