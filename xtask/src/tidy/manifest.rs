//! Cargo manifests: what is said once, is said at the root.

use super::graph::Member;
use super::tree::Tree;
use super::{Finding, Weight};

/// What a member takes from the root instead of saying it again.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

/// What the root asks of every crate, as the manifest's section, key and value.
const LINTS: &[(&str, &str, &str)] = &[
    ("workspace.lints.rust", "unsafe_code", "\"forbid\""),
    ("workspace.lints.rust", "missing_docs", "\"deny\""),
];

pub(crate) fn check(tree: &Tree, members: &[Member]) -> Vec<Finding> {
    let mut findings = check_root(tree.text("Cargo.toml").unwrap_or_default());
    for member in members {
        match tree.text(&member.manifest_path) {
            Some(text) => findings.extend(check_member(&member.manifest_path, text)),
            None => findings.push(Finding::error(&member.manifest_path, "is not part of the repository")),
        }
    }
    findings
}

fn check_root(text: &str) -> Vec<Finding> {
    let lines = entries(text);
    let says = |(section, key, value): &(&str, &str, &str)| {
        lines.iter().any(|e| e.section == *section && e.key == *key && e.value == *value)
    };
    let missing = LINTS.iter().filter(|lint| !says(lint));
    missing
        .map(|(section, key, value)| {
            Finding::error("Cargo.toml", format!("[{section}] must say {key} = {value}"))
        })
        .collect()
}

fn check_member(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = entries(text);
    let says = |section: &str, key: &str| {
        lines.iter().any(|e| {
            let short = e.section == section && e.key == format!("{key}.workspace") && e.value == "true";
            let table = e.section == section && e.key == key && inherits(&e.value);
            short || table
        })
    };
    for key in INHERITED {
        if !says("package", key) {
            findings.push(Finding::error(path, format!("[package] must say {key}.workspace = true")));
        }
    }
    if !lines.iter().any(|e| e.section == "lints" && e.key == "workspace" && e.value == "true") {
        findings.push(Finding::error(path, "must inherit the lints: [lints] workspace = true"));
    }
    for entry in lines.iter().filter(|e| is_dependencies(&e.section)) {
        let inherited = entry.key.ends_with(".workspace") && entry.value == "true" || inherits(&entry.value);
        if !inherited {
            let says = format!("{}: versions live at the root; say workspace = true here", entry.key);
            findings.push(Finding { at: format!("{path}:{}", entry.line), says, weight: Weight::Error });
        }
    }
    findings
}

fn is_dependencies(section: &str) -> bool {
    let last = section.rsplit('.').next().unwrap_or(section);
    ["dependencies", "dev-dependencies", "build-dependencies"].iter().any(|kind| {
        last == *kind || section.starts_with(&format!("{kind}.")) || section.contains(&format!(".{kind}."))
    })
}

/// Whether an inline table takes its version from the root, and gives none of its own.
fn inherits(value: &str) -> bool {
    let squeezed: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    squeezed.starts_with('{') && squeezed.contains("workspace=true") && !squeezed.contains("version=")
}

/// One `key = value` of a manifest.
struct Entry {
    section: String,
    key: String,
    value: String,
    line: usize,
}

/// Reads as much TOML as manifests use: sections, keys, and values that may go on while a bracket is open.
/// A table per dependency (`[dependencies.x]`) reads as entries that inherit nothing, and so is a finding: the short
/// forms say the same in one line.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut section, mut open) = (String::new(), 0_usize);
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if open > 0 {
            if let Some(last) = entries.last_mut() {
                last.value.push_str(line);
            }
            open = (open + brackets(line, ['[', '{'])).saturating_sub(brackets(line, [']', '}']));
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_matches(['[', ']']).trim().to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            open = brackets(&value, ['[', '{']).saturating_sub(brackets(&value, [']', '}']));
            entries.push(Entry { section: section.clone(), key, value, line: index + 1 });
        }
    }
    entries
}

fn brackets(text: &str, which: [char; 2]) -> usize {
    text.chars().filter(|c| which.contains(c)).count()
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"x\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense = { workspace = true }\npublish.workspace = true\n\
        [lints]\nworkspace = true\n[features]\nnet = [\n  \"dep:a\", # why\n]\n\
        [dependencies]\na.workspace = true\nb = { workspace = true, features = [\n  \"x\",\n] }\n";

    fn found(text: &str) -> Vec<String> {
        check_member("x/Cargo.toml", text).into_iter().map(|f| f.to_string()).collect()
    }

    #[test]
    fn a_member_that_inherits_everything_passes() {
        assert!(found(GOOD).is_empty(), "{:?}", found(GOOD));
    }

    #[test]
    fn a_version_of_its_own_is_a_finding_in_every_form_and_section() {
        for bad in [
            "c = \"1\"",
            "c = { version = \"1\" }",
            "c = { workspace = true, version = \"1\" }",
            "[dev-dependencies]\nc = \"1\"",
            "[target.'cfg(unix)'.dependencies]\nc = \"1\"",
            "[dependencies.c]\nversion = \"1\"",
            "c = { path = \"../c\" }",
        ] {
            assert_eq!(found(&format!("{GOOD}{bad}\n")).len(), 1, "{bad}");
        }
    }

    #[test]
    fn each_key_that_is_not_inherited_is_named() {
        let own = GOOD.replace("edition.workspace = true", "edition = \"2021\"");
        assert_eq!(found(&own), ["x/Cargo.toml: [package] must say edition.workspace = true"]);
        let lints = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(found(&lints), ["x/Cargo.toml: must inherit the lints: [lints] workspace = true"]);
    }

    #[test]
    fn the_root_forbids_unsafe_code_and_asks_for_documentation() {
        let root = "[workspace.lints.rust]\nunsafe_code = \"forbid\" # always\nmissing_docs = \"deny\"\n";
        assert!(check_root(root).is_empty());
        assert_eq!(check_root(&root.replace("forbid", "warn")).len(), 1);
        assert_eq!(check_root("").len(), 2);
    }
}
