//! The browser and its driver, as this machine has them.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::setup::answers;

/// What Chromium is called on the systems there are.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const DRIVERS: &[&str] = &["chromedriver", "chromium.chromedriver", "/usr/lib/chromium-browser/chromedriver"];

/// What a run needs.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) browser: PathBuf,
    pub(crate) driver: &'static str,
}

impl Programs {
    pub(crate) fn find() -> Result<Self> {
        let missing =
            |what| format!("there is no {what} on this machine; `cargo xtask setup` gets it, or says how");
        Ok(Self {
            browser: browser().with_context(|| missing("Chromium"))?,
            driver: driver().with_context(|| missing("chromedriver"))?,
        })
    }
}

/// The first browser that answers. The driver wants its path.
pub(crate) fn browser() -> Option<PathBuf> {
    let name = BROWSERS.iter().find(|name| answers(name, &["--version"]))?;
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The first driver that answers.
pub(crate) fn driver() -> Option<&'static str> {
    DRIVERS.iter().copied().find(|name| answers(name, &["--version"]))
}
