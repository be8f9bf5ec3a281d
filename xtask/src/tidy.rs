//! `cargo xtask tidy`: the repository's rules as code.
//!
//! Each rule is a function from what it reads to the findings it makes, so that it can be tried on a made-up
//! repository as well as on this one. A rule that finds nothing to look at is a finding too: a check that cannot
//! fail checks nothing.

mod docs;
mod graph;
mod lexer;
mod manifest;
mod purity;
mod source;
mod tree;

use std::fmt;

use anyhow::{Result, bail};

use crate::cargo;
use tree::Tree;

/// Something that breaks a rule, or soon will.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A file, `file:line`, or a crate.
    at: String,
    says: String,
    weight: Weight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// The check fails.
    Error,
    /// It is printed.
    Warning,
}

impl Finding {
    fn error(at: impl Into<String>, says: impl Into<String>) -> Self {
        Self { at: at.into(), says: says.into(), weight: Weight::Error }
    }

    fn warning(at: impl Into<String>, says: impl Into<String>) -> Self {
        Self { at: at.into(), says: says.into(), weight: Weight::Warning }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = if self.weight == Weight::Warning { "warning: " } else { "" };
        write!(f, "{warning}{}: {}", self.at, self.says)
    }
}

pub(crate) fn run() -> Result<()> {
    let root = cargo::root()?;
    let tree = Tree::read(&root)?;
    let members = graph::read_members()?;

    let mut findings = graph::check_direction(&members);
    findings.extend(purity::check(&members)?);
    findings.extend(manifest::check(&tree, &members));
    findings.extend(source::check(&tree));
    findings.extend(docs::check(&tree));

    for finding in &findings {
        println!("{finding}");
    }
    match findings.iter().filter(|f| f.weight == Weight::Error).count() {
        0 => {
            println!("tidy: {} files and {} crates are in order", tree.files().len(), members.len());
            Ok(())
        }
        n => bail!("{n} breaches of the repository's rules"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compilers() {
        assert_eq!(Finding::error("a/b.rs:7", "too long").to_string(), "a/b.rs:7: too long");
        assert_eq!(Finding::warning("a/b.rs", "long").to_string(), "warning: a/b.rs: long");
    }
}
