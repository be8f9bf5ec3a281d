//! Who may depend on whom: `bins -> swift-http -> swift-p2p -> {swift-chain, swift-chunks}`.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Finding;
use crate::cargo;

/// A crate of ours and the packages it asks for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Where its manifest lies, relative to the root after [`read_members`].
    pub(crate) manifest_path: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependencies.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// None for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// Every crate of ours and which of ours it may use. A new crate finds its place here first.
const LAYERS: &[(&str, &[&str])] = &[
    ("swift-chunks", &[]),
    ("swift-chain", &[]),
    ("swift-p2p", &["swift-chunks", "swift-chain"]),
    ("swift-sim", &["swift-chunks", "swift-chain", "swift-p2p"]),
    ("swift-http", &["swift-chunks", "swift-chain", "swift-p2p"]),
    ("swiftserve-node", &["swift-chunks", "swift-chain", "swift-p2p", "swift-http"]),
    ("swift-fuzz", &["swift-chunks", "swift-chain", "swift-p2p", "swift-http", "swiftserve-node"]),
    ("swiftctl", &["swift-chunks", "swift-chain", "swift-p2p", "swift-http"]),
    ("xtask", &[]),
];

/// Programs. Only the tests of other programs may use them, as the libraries they also are.
const BINS: &[&str] = &["swiftserve-node", "swiftctl"];

/// The workspace as cargo sees it.
pub(crate) fn read_members() -> Result<Vec<Member>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Member>,
        workspace_root: String,
    }
    let said = cargo::stdout_of(&["metadata", "--format-version", "1", "--no-deps"])?;
    let Metadata { mut packages, workspace_root } =
        serde_json::from_str(&said).context("cargo metadata is not what it was")?;
    for member in &mut packages {
        if let Some(path) = member.manifest_path.strip_prefix(&workspace_root) {
            member.manifest_path = path.trim_start_matches(['/', '\\']).replace('\\', "/");
        }
    }
    Ok(packages)
}

pub(crate) fn check_direction(members: &[Member]) -> Vec<Finding> {
    let is_ours = |name: &str| members.iter().any(|m| m.name == name);
    let mut findings = Vec::new();
    for member in members {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == member.name) else {
            findings.push(Finding::error(
                &member.name,
                "has no layer yet: give it one in xtask/src/tidy/graph.rs",
            ));
            continue;
        };
        for dependency in member.dependencies.iter().filter(|d| is_ours(&d.name)) {
            let tests_of_a_program = dependency.kind.as_deref() == Some("dev")
                && BINS.contains(&member.name.as_str())
                && BINS.contains(&dependency.name.as_str());
            if !allowed.contains(&dependency.name.as_str()) && !tests_of_a_program {
                let says =
                    format!("must not depend on {}; it may on: {}", dependency.name, allowed.join(", "));
                findings.push(Finding::error(&member.name, says));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, dependencies: &[(&str, Option<&str>)]) -> Member {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).into(),
            kind: kind.map(Into::into),
        };
        Member {
            name: name.into(),
            manifest_path: format!("{name}/Cargo.toml"),
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }

    /// The findings when `last` joins a workspace whose other crates are in order.
    fn found(last: Member) -> Vec<String> {
        let mut members = vec![
            member("swift-chunks", &[("blake3", None)]),
            member("swift-chain", &[("sha2", None)]),
            member("swift-p2p", &[("swift-chain", None), ("swift-chunks", None)]),
            member("swift-http", &[("swift-p2p", None)]),
            member("swiftserve-node", &[("swift-http", None)]),
            member("swiftctl", &[("swift-chain", None)]),
        ];
        members.retain(|m| m.name != last.name);
        members.push(last);
        check_direction(&members).into_iter().map(|f| f.at).collect()
    }

    #[test]
    fn the_layers_as_designed_pass() {
        assert!(found(member("xtask", &[("serde", None)])).is_empty());
    }

    #[test]
    fn the_two_at_the_bottom_do_not_know_each_other_not_even_in_tests() {
        assert_eq!(found(member("swift-chain", &[("swift-chunks", None)])), ["swift-chain"]);
        assert_eq!(found(member("swift-chunks", &[("swift-chain", Some("dev"))])), ["swift-chunks"]);
    }

    #[test]
    fn nothing_points_upwards() {
        assert_eq!(found(member("swift-p2p", &[("swift-http", None)])), ["swift-p2p"]);
        assert_eq!(found(member("swift-http", &[("swiftserve-node", Some("dev"))])), ["swift-http"]);
        assert_eq!(found(member("xtask", &[("swift-chunks", None)])), ["xtask"]);
    }

    #[test]
    fn a_program_meets_another_only_in_its_tests() {
        assert_eq!(found(member("swiftctl", &[("swiftserve-node", None)])), ["swiftctl"]);
        assert_eq!(found(member("swiftctl", &[("swiftserve-node", Some("build"))])), ["swiftctl"]);
        assert!(found(member("swiftctl", &[("swiftserve-node", Some("dev"))])).is_empty());
    }

    #[test]
    fn a_crate_without_a_layer_is_a_finding() {
        assert_eq!(found(member("swift-extra", &[])), ["swift-extra"]);
    }
}
