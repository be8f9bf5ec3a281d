//! Calling cargo from a program that cargo started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The repository's root folder.
///
/// `cargo xtask` says at run time where the package lies; the place it was compiled at is only the answer for a
/// binary started by hand, since a checkout may have moved.
pub(crate) fn root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map(Path::to_path_buf).context("xtask does not lie inside a workspace")
}

/// A cargo command at the repository's root, free of what the outer cargo told about the xtask package: build
/// scripts look at such variables, and would run again at every change between the two worlds.
pub(crate) fn command() -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(speaks_of_the_outer_package) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Where cargo builds; what belongs to no build but to this checkout lies beside it.
pub(crate) fn target_dir() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let said = stdout_of(&["metadata", "--format-version", "1", "--no-deps"])?;
    let Metadata { target_directory } =
        serde_json::from_str(&said).context("cargo metadata is not what it was")?;
    Ok(target_directory)
}

fn speaks_of_the_outer_package(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
        || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
}

/// What a cargo command writes to its standard output; its complaints go into the error.
pub(crate) fn stdout_of(args: &[&str]) -> Result<String> {
    let said = format!("cargo {}", args.join(" "));
    let output = command()?.args(args).output().with_context(|| format!("cannot run `{said}`"))?;
    if !output.status.success() {
        bail!("`{said}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{said}` did not print UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_user_reach_the_inner_cargo() {
        assert!(speaks_of_the_outer_package("CARGO_PKG_VERSION"));
        assert!(speaks_of_the_outer_package("CARGO_MANIFEST_DIR"));
        for kept in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_INCREMENTAL", "CARGO_NET_OFFLINE", "PATH"] {
            assert!(!speaks_of_the_outer_package(kept), "{kept}");
        }
    }

    #[test]
    fn the_root_holds_the_workspace() -> Result<()> {
        assert!(root()?.join("xtask/Cargo.toml").is_file());
        Ok(())
    }
}
