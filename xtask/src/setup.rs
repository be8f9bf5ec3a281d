//! `cargo xtask setup`: what the checks need on this machine beyond the Rust toolchain.
//!
//! It installs what it may, and where it may not, or must not guess, it prints the commands and stops. Nothing here
//! is remembered: a tool is there when it answers.

mod tool;

use std::process::Command;

use anyhow::{Context, Result, bail};

use tool::{Need, Remedy, TOOLS, Tool};

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only says what is missing and how to get it; fails if something is
    #[arg(long)]
    check: bool,
}

/// What this process is allowed to do to the machine.
#[derive(Clone, Copy)]
struct Rights {
    /// Root with apt-get: Debian packages can be installed.
    apt: bool,
    /// rustup manages the toolchain: components can be added.
    rustup: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let rights = Rights {
        apt: is_root() && answers("apt-get", &["--version"]),
        rustup: answers("rustup", &["--version"]),
    };
    let mut by_hand = Vec::new();
    for tool in TOOLS {
        if (tool.found)() {
            println!("{:<12} found", tool.name);
        } else if args.check || !rights.allow(&tool.remedy) {
            println!("{:<12} missing: {}", tool.name, tool.needed_for);
            by_hand.push(tool);
        } else {
            install(tool)?;
        }
    }
    for tool in &by_hand {
        println!("to get {}: {}", tool.name, tool.remedy.by_hand());
    }
    if args.check && !by_hand.is_empty() || by_hand.iter().any(|t| t.need == Need::Always) {
        bail!("missing on this machine: {}", by_hand.iter().map(|t| t.name).collect::<Vec<_>>().join(", "));
    }
    Ok(())
}

fn install(tool: &Tool) -> Result<()> {
    println!("{:<12} missing, installing it: {}", tool.name, tool.needed_for);
    for line in tool.remedy.commands() {
        println!("$ {line}");
        let mut command = Command::new(line.program);
        command.args(&line.args).envs(line.env.iter().copied());
        let status = command.status().with_context(|| format!("cannot run `{line}`"))?;
        if !status.success() {
            bail!("`{line}` ended with {status}");
        }
    }
    if !(tool.found)() {
        bail!("{} was installed, but is not found; is its folder on the PATH?", tool.name);
    }
    Ok(())
}

impl Rights {
    fn allow(self, remedy: &Remedy) -> bool {
        match remedy {
            Remedy::Debian(_) => self.apt,
            Remedy::Component(_) => self.rustup,
            // Goes into the user's own cargo folder.
            Remedy::CargoInstall { .. } => true,
        }
    }
}

pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}

pub(crate) fn answers(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|o| o.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_root_debian_packages_are_left_to_the_user() {
        let rights = Rights { apt: false, rustup: false };
        assert!(!rights.allow(&Remedy::Debian(&["gcc"])));
        assert!(!rights.allow(&Remedy::Component("clippy")));
        assert!(rights.allow(&Remedy::CargoInstall { package: "cargo-deny", version: "0.20.2" }));
    }

    #[test]
    fn a_program_that_does_not_exist_does_not_answer() {
        assert!(!answers("a-program-nobody-has", &[]));
    }
}
