//! `chromedriver`: the program that starts browsers and does in them what it is told.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::programs::Programs;
use super::session::Session;
use crate::scenario::process::{self, Process};
use crate::scenario::wait::Patience;
use crate::setup::is_root;

const START_LIMIT: Duration = Duration::from_secs(60);

/// What a browser is told at its start: no windows, nothing of what it does by itself over the network, and a page that
/// looks the same on every machine.
const SWITCHES: &[&str] = &[
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--no-first-run",
    "--no-proxy-server",
    "--password-store=basic",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--hide-scrollbars",
    "--lang=en-GB",
];

/// A driver that was started. Dropping it ends it and all browsers that it has started.
#[derive(Debug)]
pub(crate) struct Driver {
    process: Process,
    address: SocketAddr,
    browser: PathBuf,
    folder: PathBuf,
    /// Counts the browsers, to name their folders.
    opened: usize,
}

impl Driver {
    /// Starts the driver on a port that the system chooses. Its log and the browsers' profiles go into `folder`.
    pub(crate) fn start(programs: &Programs, folder: &Path, patience: &Patience) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let log_path = folder.join("chromedriver.log");
        let log = File::create(&log_path).with_context(|| format!("cannot create {}", log_path.display()))?;
        let mut command = process::command(Path::new(programs.driver));
        command.args(["--port=0", "--allowed-ips=127.0.0.1"]).stdout(log.try_clone()?).stderr(log);
        let mut process = Process::start(&mut command)?;
        let port = patience.until("chromedriver to say its port", START_LIMIT, || {
            let said = fs::read_to_string(&log_path)?;
            if let Some(status) = process.ended()? {
                bail!("chromedriver ended with {status}: {said}");
            }
            Ok(port_in(&said))
        })?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Ok(Self { process, address, browser: programs.browser.clone(), folder: folder.to_owned(), opened: 0 })
    }

    /// Opens a browser that has never been used.
    pub(crate) fn open(&mut self) -> Result<Session> {
        self.opened += 1;
        let profile = self.folder.join(format!("profile-{}", self.opened));
        let mut switches: Vec<String> = SWITCHES.iter().map(|switch| (*switch).to_owned()).collect();
        switches.push(format!("--user-data-dir={}", profile.display()));
        if is_root() {
            // Chromium refuses to build its sandbox as root. It opens nothing here but pages of our own nodes.
            switches.push("--no-sandbox".to_owned());
        }
        Session::open(
            self.address,
            &json!({
                "browserName": "chrome",
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"binary": self.browser, "args": switches},
            }),
        )
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.kill_group();
    }
}

/// The port in what the driver says when it is ready.
fn port_in(said: &str) -> Option<u16> {
    let (_, rest) = said.split_once("started successfully on port ")?;
    let (digits, _) = rest.split_once(|c: char| !c.is_ascii_digit())?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_taken_from_the_line_that_says_the_driver_is_ready() {
        let begun = "Starting ChromeDriver 156.0 on port 0\nOnly local connections are allowed.\n";
        assert_eq!(port_in(begun), None);
        assert_eq!(port_in(&format!("{begun}ChromeDriver was started successfully on port 372")), None);
        assert_eq!(
            port_in(&format!("{begun}ChromeDriver was started successfully on port 37269.\n")),
            Some(37269)
        );
    }
}
