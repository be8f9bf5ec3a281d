//! The programs that scenarios play with.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cargo;

/// Names a folder with both programs, for builds that were made elsewhere or are to be compared.
const BIN_DIR: &str = "SWIFTSERVE_BIN_DIR";

/// Where `swiftserve-node` and `swiftctl` are.
#[derive(Debug)]
pub(crate) struct Binaries {
    pub(crate) node: PathBuf,
    pub(crate) ctl: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Shares its builds with the tests.
    Dev,
    Release,
}

impl Binaries {
    /// Takes the programs that `SWIFTSERVE_BIN_DIR` names, else builds them.
    pub(crate) fn find_or_build(profile: Profile) -> Result<Self> {
        Ok(Self::find_or_build_with(profile, &[])?.0)
    }

    /// The same, and example programs beside them, in the order of their names here.
    pub(crate) fn find_or_build_with(profile: Profile, examples: &[&str]) -> Result<(Self, Vec<PathBuf>)> {
        match env::var_os(BIN_DIR) {
            Some(folder) => {
                let folder = Path::new(&folder);
                let examples = examples
                    .iter()
                    .map(|name| existing(&folder.join("examples"), name))
                    .collect::<Result<_>>()?;
                Ok((Self::in_folder(folder)?, examples))
            }
            None => Self::build(profile, examples),
        }
    }

    fn in_folder(folder: &Path) -> Result<Self> {
        Ok(Self { node: existing(folder, "swiftserve-node")?, ctl: existing(folder, "swiftctl")? })
    }

    fn build(profile: Profile, examples: &[&str]) -> Result<(Self, Vec<PathBuf>)> {
        let built = Built::make(profile, examples)?;
        let binaries = Self { node: built.program("swiftserve-node")?, ctl: built.program("swiftctl")? };
        Ok((binaries, examples.iter().map(|name| built.program(name)).collect::<Result<_>>()?))
    }
}

/// One program of the workspace, found or built like those of the scenarios.
pub(crate) fn find_or_build_program(name: &str, profile: Profile) -> Result<PathBuf> {
    match env::var_os(BIN_DIR) {
        Some(folder) => existing(Path::new(&folder), name),
        None => Built::make(profile, &[])?.program(name),
    }
}

/// The same for a program that is built by itself, as it is quicker where nothing else of that profile is wanted.
pub(crate) fn find_or_build_alone(name: &str, profile: Profile) -> Result<PathBuf> {
    match env::var_os(BIN_DIR) {
        Some(folder) => existing(Path::new(&folder), name),
        None => Built::run(profile, &["--package", name, "--bins"])?.program(name),
    }
}

/// What a build made: names and paths.
struct Built(Vec<(String, PathBuf)>);

impl Built {
    fn make(profile: Profile, examples: &[&str]) -> Result<Self> {
        // The whole workspace's programs, not two packages: features are then unified as for the tests, and what
        // those compiled is taken as it is.
        let mut what = vec!["--workspace", "--bins", "--exclude", "xtask"];
        what.extend(examples.iter().flat_map(|name| ["--example", name]));
        Self::run(profile, &what)
    }

    fn run(profile: Profile, what: &[&str]) -> Result<Self> {
        let mut command = cargo::command()?;
        command.arg("build").args(what);
        if profile == Profile::Release {
            command.arg("--release");
        }
        // Beside what the caller prints, which may be for a program.
        let release = if profile == Profile::Release { " --release" } else { "" };
        eprintln!("$ cargo build {}{release}", what.join(" "));
        command.arg("--message-format=json-render-diagnostics");
        Ok(Self(executables(&finished(&mut command)?)))
    }

    fn program(&self, name: &str) -> Result<PathBuf> {
        let found = self.0.iter().find(|(built, _)| built == name);
        found.map(|(_, path)| path.clone()).with_context(|| format!("the build made no {name}"))
    }
}

/// A program that somebody else built.
fn existing(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    path.canonicalize().with_context(|| format!("{BIN_DIR} is set, but there is no {}", path.display()))
}

fn finished(command: &mut Command) -> Result<String> {
    // Compiler messages go on to the terminal as they come.
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo build")?;
    if !output.status.success() {
        bail!("the programs do not build: cargo ended with {}", output.status);
    }
    String::from_utf8(output.stdout).context("cargo build did not print UTF-8")
}

/// The programs that cargo says it made, one JSON message a line.
fn executables(messages: &str) -> Vec<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        executable: PathBuf,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    // Messages of other kinds, and of libraries, have no executable.
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    artifacts.map(|a| (a.target.name, a.executable)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn programs_are_read_from_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"swift_chain"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"swiftctl"},"executable":"/t/debug/swiftctl"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executables(messages), [("swiftctl".to_owned(), PathBuf::from("/t/debug/swiftctl"))]);
    }

    #[test]
    fn a_given_folder_must_have_both_programs() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(format!("swiftserve-node{}", env::consts::EXE_SUFFIX)), "")?;
        let error = Binaries::in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("swiftctl"), "{error}");
        fs::write(folder.path().join(format!("swiftctl{}", env::consts::EXE_SUFFIX)), "")?;
        assert!(Binaries::in_folder(folder.path()).is_ok());
        Ok(())
    }
}
