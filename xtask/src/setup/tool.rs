//! The tools the checks need: how each is recognised, and how it is got.

use std::env;
use std::ffi::OsString;
use std::fmt;

use super::answers;
use crate::browser::programs;
use crate::cargo;

pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) needed_for: &'static str,
    pub(crate) need: Need,
    pub(crate) found: fn() -> bool,
    pub(crate) remedy: Remedy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing goes on without it.
    Always,
    /// Some scenarios are skipped without it.
    WhereRootAllows,
}

pub(crate) enum Remedy {
    /// These packages of Debian and its kin.
    Debian(&'static [&'static str]),
    /// This component of the Rust toolchain.
    Component(&'static str),
    /// This version of a program from crates.io.
    CargoInstall { package: &'static str, version: &'static str },
}

/// Pinned, since a new release of it may judge the same lock file differently.
const CARGO_DENY: &str = "0.20.2";

pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        name: "cc",
        needed_for: "SQLite and the ciphers are compiled from C",
        need: Need::Always,
        found: has_c_compiler,
        remedy: Remedy::Debian(&["gcc", "libc6-dev"]),
    },
    Tool {
        name: "git",
        needed_for: "tidy asks it which files belong to the repository",
        need: Need::Always,
        found: || answers("git", &["--version"]),
        remedy: Remedy::Debian(&["git"]),
    },
    Tool {
        name: "rustfmt",
        needed_for: "step fmt",
        need: Need::Always,
        found: || cargo::stdout_of(&["fmt", "--version"]).is_ok(),
        remedy: Remedy::Component("rustfmt"),
    },
    Tool {
        name: "clippy",
        needed_for: "step clippy",
        need: Need::Always,
        found: || cargo::stdout_of(&["clippy", "--version"]).is_ok(),
        remedy: Remedy::Component("clippy"),
    },
    Tool {
        name: "cargo-deny",
        needed_for: "step deny",
        need: Need::Always,
        // Asked through cargo, which also looks where `cargo install` puts things when that is not on the PATH.
        found: || cargo::stdout_of(&["deny", "--version"]).is_ok_and(|v| is_suitable(&v, CARGO_DENY)),
        remedy: Remedy::CargoInstall { package: "cargo-deny", version: CARGO_DENY },
    },
    Tool {
        name: "chromium",
        needed_for: "step browser",
        need: Need::Always,
        found: || programs::browser().is_some(),
        // A machine without any fonts would show boxes.
        remedy: Remedy::Debian(&["chromium", "fonts-liberation"]),
    },
    Tool {
        name: "chromedriver",
        needed_for: "step browser drives Chromium with it",
        need: Need::Always,
        found: || programs::driver().is_some(),
        remedy: Remedy::Debian(&["chromium-driver"]),
    },
    Tool {
        name: "npm",
        needed_for: "step browser gets axe-core from its registry",
        need: Need::Always,
        found: || answers("npm", &["--version"]),
        remedy: Remedy::Debian(&["npm"]),
    },
    Tool {
        name: "ip",
        needed_for: "scenarios in network namespaces of their own (iproute2)",
        need: Need::WhereRootAllows,
        found: || answers("ip", &["-V"]),
        remedy: Remedy::Debian(&["iproute2"]),
    },
];

/// A command of a remedy, ready to run and to be shown.
pub(crate) struct CommandLine {
    pub(crate) env: Vec<(&'static str, &'static str)>,
    pub(crate) program: &'static str,
    pub(crate) args: Vec<&'static str>,
}

impl Remedy {
    pub(crate) fn commands(&self) -> Vec<CommandLine> {
        let line =
            |program, args: &[&'static str]| CommandLine { env: Vec::new(), program, args: args.to_vec() };
        match self {
            Self::Debian(packages) => {
                // Whoever else installs something at this moment is waited for.
                const WAIT: &[&str] = &["-o", "DPkg::Lock::Timeout=600"];
                let install = [WAIT, &["install", "--yes", "--no-install-recommends"], packages].concat();
                let mut lines =
                    vec![line("apt-get", &[WAIT, &["update"]].concat()), line("apt-get", &install)];
                for line in &mut lines {
                    line.env = vec![("DEBIAN_FRONTEND", "noninteractive")];
                }
                lines
            }
            Self::Component(name) => vec![line("rustup", &["component", "add", name])],
            Self::CargoInstall { package, version } => {
                let mut install = line("cargo", &["install", "--locked", "--version", version, package]);
                // Such a tool runs for a second or two; its author's settings would compile it for many minutes.
                install.env = vec![
                    ("CARGO_PROFILE_RELEASE_LTO", "off"),
                    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
                    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
                ];
                vec![install]
            }
        }
    }

    /// What a person types, in one line.
    pub(crate) fn by_hand(&self) -> String {
        match self {
            Self::Debian(packages) => format!(
                "sudo apt-get update && sudo apt-get install --no-install-recommends {} (elsewhere: the packages of \
                 your system)",
                packages.join(" ")
            ),
            _ => self.commands().iter().map(ToString::to_string).collect::<Vec<_>>().join(" && "),
        }
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={value} ")?;
        }
        write!(f, "{} {}", self.program, self.args.join(" "))
    }
}

/// Whether `cargo-deny --version` names the pinned version or a later patch of it.
fn is_suitable(said: &str, pinned: &str) -> bool {
    let parsed = |version: &str| {
        let mut numbers = version.split('.').map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    match (said.split_whitespace().last().and_then(parsed), parsed(pinned)) {
        (Some(found), Some(wanted)) => (found.0, found.1) == (wanted.0, wanted.1) && found.2 >= wanted.2,
        _ => false,
    }
}

fn has_c_compiler() -> bool {
    let compiler = env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    compiler.to_str().is_some_and(|cc| answers(cc, &["--version"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_version_and_its_patches_are_suitable() {
        assert!(is_suitable("cargo-deny 0.20.2\n", "0.20.2"));
        assert!(is_suitable("cargo-deny 0.20.11", "0.20.2"));
        for other in ["cargo-deny 0.20.1", "cargo-deny 0.19.9", "cargo-deny 1.20.2", "cargo-deny", ""] {
            assert!(!is_suitable(other, "0.20.2"), "{other}");
        }
    }

    #[test]
    fn every_remedy_can_be_typed_as_one_line() {
        assert_eq!(
            Remedy::Debian(&["iproute2"]).by_hand(),
            "sudo apt-get update && sudo apt-get install --no-install-recommends iproute2 (elsewhere: the packages of \
             your system)"
        );
        assert_eq!(Remedy::Component("clippy").by_hand(), "rustup component add clippy");
        let install = Remedy::CargoInstall { package: "cargo-deny", version: "0.20.2" }.by_hand();
        assert!(install.ends_with(" cargo install --locked --version 0.20.2 cargo-deny"), "{install}");
    }
}
