//! The cores compile without a runtime, sockets or TLS: what cannot reach them cannot creep into them.

use anyhow::Result;

use super::Finding;
use super::graph::Member;
use crate::cargo;

/// The builds that must be pure: crate, feature flags, and what is not looked into. A crate that does not exist yet is
/// passed over.
const PURE_BUILDS: &[(&str, &str, &[&str])] = &[
    ("swift-chain", "--all-features", PRUNE_ENGINE),
    ("swift-chunks", "--all-features", &[]),
    ("swift-p2p", "--no-default-features", PRUNE_ENGINE),
    ("swift-sim", "--all-features", PRUNE_ENGINE),
];

/// What no pure build contains, directly or through others, on any system.
const SHELL_ONLY: &[&str] = &["tokio", "hyper", "reqwest", "rustls", "axum", "mio"];

/// The consensus engine's manifest asks for tokio, without a feature, and nothing in the engine names it: what is below
/// it is its own affair.
const PRUNE_ENGINE: &[&str] = &["--prune", "arc-malachitebft-core-consensus"];

pub(crate) fn check(members: &[Member]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (package, features, pruned) in PURE_BUILDS {
        if members.iter().any(|m| m.name == *package) {
            let args = [
                "tree",
                "-p",
                package,
                features,
                "-e",
                "normal",
                "--target",
                "all",
                "--prefix",
                "none",
                "--no-dedupe",
            ];
            findings.extend(check_tree(package, features, &cargo::stdout_of(&[&args, *pruned].concat())?));
        }
    }
    Ok(findings)
}

/// Judges what `cargo tree --prefix none` printed: one `NAME VERSION …` a line, the package itself first.
fn check_tree(package: &str, features: &str, tree: &str) -> Vec<Finding> {
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    if names.first() != Some(&package) {
        return vec![Finding::error(package, "cargo tree did not print its dependencies")];
    }
    names.sort_unstable();
    names.dedup();
    let shell = names.into_iter().filter(|name| SHELL_ONLY.contains(name));
    shell.map(|name| Finding::error(package, format!("must build without {name} ({features})"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_a_runtime_is_pure() {
        let tree = "swift-p2p v0.1.0 (crates/swift-p2p)\nserde v1.0.1\ntokio-free v1.0.0\n";
        assert!(check_tree("swift-p2p", "--no-default-features", tree).is_empty());
    }

    #[test]
    fn a_runtime_anywhere_below_is_found_once() {
        let tree = "swift-chain v0.1.0\nengine v1.0.0\ntokio v1.54.1\nother v1.0.0\ntokio v1.54.1\n";
        let found = check_tree("swift-chain", "--all-features", tree);
        assert_eq!(found, [Finding::error("swift-chain", "must build without tokio (--all-features)")]);
    }

    #[test]
    fn a_tree_that_says_nothing_does_not_pass() {
        assert_eq!(check_tree("swift-chain", "--all-features", "").len(), 1);
    }
}
