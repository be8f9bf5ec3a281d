//! The files of the repository: what git tracks, and what it would track if it were added now, so that a mistake
//! shows before the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};

/// Paths relative to the root, `/`-separated, and the text of those that are UTF-8.
pub(crate) struct Tree {
    files: BTreeMap<String, Option<String>>,
    folders: BTreeSet<String>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("cannot run git")?;
        if !listed.status.success() {
            bail!("git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr).trim());
        }
        let listed = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
        let mut files = BTreeMap::new();
        for path in listed.split_terminator('\0') {
            match fs::read(root.join(path)) {
                Ok(bytes) => drop(files.insert(path.to_owned(), String::from_utf8(bytes).ok())),
                // Deleted and not yet committed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
            }
        }
        Ok(Self::of(files))
    }

    fn of(files: BTreeMap<String, Option<String>>) -> Self {
        let mut folders = BTreeSet::from([String::new()]);
        for path in files.keys() {
            folders.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
        }
        Self { files, folders }
    }

    /// All files, text or not.
    pub(crate) fn files(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    /// The files that are text, with it.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    /// Whether a file or folder of the repository has this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.folders.contains(path)
    }

    /// A made-up repository.
    #[cfg(test)]
    pub(crate) fn made_up(files: &[(&str, &str)]) -> Self {
        Self::of(files.iter().map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned()))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_exist_because_files_lie_in_them() {
        let tree = Tree::made_up(&[("docs/decisions/0001-a.md", "")]);
        for path in ["docs", "docs/decisions", "docs/decisions/0001-a.md", ""] {
            assert!(tree.has(path), "{path}");
        }
        assert!(!tree.has("docs/decisions/0002-b.md"));
    }

    #[test]
    fn this_repository_is_listed_with_its_untracked_files_and_without_what_is_ignored() -> Result<()> {
        let tree = Tree::read(&crate::cargo::root()?)?;
        assert!(tree.has("xtask/src/tidy/tree.rs"));
        assert!(!tree.has("target"));
        Ok(())
    }
}
