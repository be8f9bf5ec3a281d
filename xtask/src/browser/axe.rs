//! axe-core, which finds what keeps people from using a page. It comes from npm's registry when it is needed, and no
//! program of ours contains it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use data_encoding::BASE64;
use serde_json::Value;
use sha2::{Digest, Sha512};

use super::page::Page;
use crate::cargo;

/// Pinned, since a new release may find more in the same page.
const VERSION: &str = "4.14.1";
/// What the registry says of this version: the SHA-512 of the packed package.
const INTEGRITY: &str =
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==";
/// What is worse than this fails a test.
const SERIOUS: &[&str] = &["serious", "critical"];

/// The script, ready to be put into pages.
#[derive(Debug)]
pub(crate) struct Axe {
    script: String,
}

impl Axe {
    /// Takes the package from the target folder, or gets it.
    pub(crate) fn find_or_get() -> Result<Self> {
        let folder = cargo::target_dir()?.join("axe-core");
        let package = folder.join(format!("axe-core-{VERSION}.tgz"));
        if !package.is_file() {
            get(&folder)?;
        }
        check(&package)?;
        let unpacked = Command::new("tar").args(["-xzOf"]).arg(&package).arg("package/axe.min.js").output();
        let unpacked = unpacked.context("cannot run tar")?;
        ensure!(unpacked.status.success(), "tar cannot unpack {}", package.display());
        Ok(Self { script: String::from_utf8(unpacked.stdout).context("axe-core is not UTF-8")? })
    }

    /// Fails if something in the page is a serious or critical obstacle to somebody.
    pub(crate) fn assert_usable(&self, page: &Page, what: &str) -> Result<()> {
        if page.value("typeof axe")? != "object" {
            // By the driver, which a content security policy does not concern.
            page.run(&format!("{}; window.axe = axe;", self.script), &[])?;
        }
        let found =
            page.run("return (await axe.run(document, {resultTypes: ['violations']})).violations;", &[])?;
        let found = obstacles(&found);
        ensure!(found.is_empty(), "{what}: axe-core finds{}", found.concat());
        Ok(())
    }
}

/// The serious ones, each with where it is.
fn obstacles(violations: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = |violation: &Value| {
        let nodes = violation["nodes"].as_array().into_iter().flatten();
        let places: Vec<String> = nodes
            .map(|node| format!("\n        {} — {}", text(&node["html"]), text(&node["any"][0]["message"])))
            .collect();
        format!(
            "\n    {}, {}: {}{}",
            text(&violation["impact"]),
            text(&violation["id"]),
            text(&violation["help"]),
            places.concat()
        )
    };
    let serious =
        |violation: &&Value| violation["impact"].as_str().is_some_and(|impact| SERIOUS.contains(&impact));
    violations.as_array().into_iter().flatten().filter(serious).map(told).collect()
}

fn get(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let what = format!("axe-core@{VERSION}");
    println!("$ npm pack {what}");
    let mut command = Command::new("npm");
    command.args(["pack", "--silent", "--ignore-scripts", &what, "--pack-destination"]).arg(folder);
    let packed =
        command.output().context("cannot run npm, which gets axe-core; `cargo xtask setup` installs it")?;
    if !packed.status.success() {
        bail!(
            "`npm pack {what}` ended with {}: {}",
            packed.status,
            String::from_utf8_lossy(&packed.stderr).trim()
        );
    }
    Ok(())
}

/// Refuses what is not the package that was looked at when this was written.
fn check(package: &PathBuf) -> Result<()> {
    let bytes = fs::read(package).with_context(|| format!("cannot read {}", package.display()))?;
    let sum = BASE64.encode(&Sha512::digest(&bytes));
    if sum != INTEGRITY {
        fs::remove_file(package).ok();
        bail!("axe-core {VERSION} has the SHA-512 {sum} instead of {INTEGRITY}; it was thrown away");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_serious_is_an_obstacle() {
        let violation =
            |impact: &str| json!({"impact": impact, "id": "i", "help": "h", "nodes": [{"html": "<p>"}]});
        let found = obstacles(&json!([
            violation("minor"),
            violation("moderate"),
            violation("serious"),
            violation("critical")
        ]));
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("serious, i: h\n        <p>"), "{}", found[0]);
        assert!(obstacles(&json!([])).is_empty());
    }

    #[test]
    fn another_package_is_thrown_away() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let package = folder.path().join("axe-core.tgz");
        fs::write(&package, "something else")?;
        assert!(check(&package).is_err());
        assert!(!package.exists());
        Ok(())
    }
}
