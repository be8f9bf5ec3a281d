//! Which files a path stands for, and under which names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use swift_chain::FileName;

use crate::{error::Error, output::note, text::name};

/// One file to upload. A name that cannot be is found out when its turn comes, so that the others go through.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) source: Source,
    pub(super) name: Result<FileName, Error>,
}

/// Where content comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    /// How long it is, as far as known before it is opened.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => fs::metadata(path).ok().map(|metadata| metadata.len()),
        }
    }
}

impl Item {
    /// What to call it in messages.
    pub(super) fn shown(&self) -> String {
        match (&self.name, &self.source) {
            (Ok(name), _) => name.to_string(),
            (Err(_), Source::File(path)) => path.display().to_string(),
            (Err(_), Source::Stdin) => "-".into(),
        }
    }
}

/// The files that `path` stands for; `given` is the name to use instead of its own.
pub(super) fn items(path: &Path, given: Option<&str>) -> Result<Vec<Item>, Error> {
    if path == Path::new("-") {
        let given =
            given.ok_or_else(|| Error::Usage("the standard input has no name: give one with --as".into()))?;
        return Ok(vec![Item { source: Source::Stdin, name: name::parse(given) }]);
    }
    let metadata = fs::metadata(path).map_err(|error| Error::file("read", path, &error))?;
    let base = match given {
        Some(given) => given.to_owned(),
        None => own_name(path)?,
    };
    if metadata.is_file() {
        return Ok(vec![Item { source: Source::File(path.to_owned()), name: name::parse(&base) }]);
    }
    if !metadata.is_dir() {
        let says = format!(
            "{} is neither a file nor a folder; pipe it: swiftctl upload - --as NAME",
            path.display()
        );
        return Err(Error::Failed(says));
    }
    let mut items = Vec::new();
    walk(path, &base, &mut items)?;
    if items.is_empty() {
        note(&format!("note: {} has no files", path.display()));
    }
    Ok(items)
}

/// The last part of the path; `.` and `..` are looked up.
fn own_name(path: &Path) -> Result<String, Error> {
    let resolved = match path.file_name() {
        Some(_) => path.to_owned(),
        None => fs::canonicalize(path).map_err(|error| Error::file("read", path, &error))?,
    };
    let name = resolved.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        Error::Failed(format!("{} cannot be a name as it is: give one with --as", path.display()))
    })
}

/// All files below a folder, in the order of their names. Links are not followed: they may lead anywhere.
fn walk(folder: &Path, base: &str, items: &mut Vec<Item>) -> Result<(), Error> {
    let mut folders = vec![(folder.to_owned(), base.to_owned())];
    while let Some((folder, base)) = folders.pop() {
        let unreadable = |error| Error::file("read", &folder, &error);
        let mut entries =
            fs::read_dir(&folder).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        let mut below = Vec::new();
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
            let name = match entry.file_name().into_string() {
                Ok(name) => format!("{base}/{name}"),
                Err(_) if kind.is_symlink() => String::new(),
                Err(_) => {
                    let says = format!("the name of {} is not UTF-8", path.display());
                    items.push(Item { source: Source::File(path), name: Err(Error::Failed(says)) });
                    continue;
                }
            };
            if kind.is_dir() {
                below.push((path, name));
            } else if kind.is_file() {
                items.push(Item { source: Source::File(path), name: name::parse(&name) });
            } else if kind.is_symlink() {
                note(&format!("note: skipped {}, a symbolic link", path.display()));
            } else {
                note(&format!("note: skipped {}, no regular file", path.display()));
            }
        }
        folders.extend(below.into_iter().rev());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(items: Vec<Item>) -> Vec<String> {
        items.into_iter().map(|item| item.name.unwrap().to_string()).collect()
    }

    #[test]
    fn a_folder_is_its_files_below_its_own_name_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("photos");
        fs::create_dir_all(root.join("b")).unwrap();
        for file in ["z.txt", "b/2", "b/1", "a"] {
            fs::write(root.join(file), "x").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
        let all = ["photos/a", "photos/z.txt", "photos/b/1", "photos/b/2"];
        assert_eq!(names(items(&root, None).unwrap()), all);
        assert_eq!(
            names(items(&root.join("b"), Some("else/where")).unwrap()),
            ["else/where/1", "else/where/2"]
        );
        assert_eq!(names(items(&root.join("b/.."), None).unwrap()), all);
    }

    #[test]
    fn a_file_has_its_own_name_or_the_given_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "x").unwrap();
        assert_eq!(names(items(&path, None).unwrap()), ["notes.txt"]);
        assert_eq!(names(items(&path, Some("a/b")).unwrap()), ["a/b"]);
    }

    #[test]
    fn the_standard_input_needs_a_name() {
        assert_eq!(items(Path::new("-"), None).unwrap_err().exit_code(), 2);
        let items = items(Path::new("-"), Some("x")).unwrap();
        assert_eq!(items[0].source, Source::Stdin);
    }

    #[test]
    fn a_bad_name_spoils_only_its_own_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("d");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("good"), "x").unwrap();
        fs::write(root.join("bad."), "x").unwrap();
        let items = items(&root, None).unwrap();
        assert_eq!(items.iter().filter(|item| item.name.is_ok()).count(), 1);
        assert_eq!(items.len(), 2);
    }
}
