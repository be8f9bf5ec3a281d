//! Documents: links lead somewhere, decisions are numbered, tests that are named exist, and nothing speaks of one person's
//! machine.

use super::Finding;
use super::tree::Tree;

const DECISIONS: &str = "docs/decisions/";
/// What names a test for each of its promises.
const PROMISES: &str = "docs/security.md";
/// Names with fewer words are other things: fields, folders, crates.
const TEST_NAME_WORDS_MIN: usize = 4;

/// Folders that exist on the machine of whoever wrote the line. Put together here, so that the rule does not find
/// itself.
const MACHINE_FOLDERS: &[&str] = &[concat!("/", "work/"), concat!("/", "root/")];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = check_decisions(&tree.files());
    findings.extend(check_promises(tree));
    for (path, text) in tree.texts() {
        if path.ends_with(".md") {
            findings.extend(check_links(tree, path, text));
        }
        findings.extend(check_machine_paths(path, text));
    }
    findings
}

/// Records are `NNNN-title.md`, numbered from 1 without gaps; a template may stand beside them as `README.md`.
fn check_decisions(files: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut last = 0;
    for path in files.iter().filter(|path| path.starts_with(DECISIONS)) {
        let name = &path[DECISIONS.len()..];
        let number = name.split_once('-').filter(|(digits, rest)| digits.len() == 4 && rest.len() > 3);
        match number.and_then(|(digits, _)| digits.parse::<u32>().ok()).filter(|_| name.ends_with(".md")) {
            Some(number) if number == last + 1 => last = number,
            Some(number) => {
                findings.push(Finding::error(*path, format!("number {:04} was expected here", last + 1)));
                last = number;
            }
            None if name == "README.md" => {}
            None => findings.push(Finding::error(*path, "a decision record is named NNNN-title.md")),
        }
    }
    findings
}

/// Every test that a promise names is one.
fn check_promises(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(PROMISES) else { return Vec::new() };
    let sources: Vec<&str> =
        tree.texts().filter_map(|(path, text)| path.ends_with(".rs").then_some(text)).collect();
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let is_test = |code: &&str| {
            code.split('_').count() >= TEST_NAME_WORDS_MIN
                && code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        // Every second piece between backticks is code.
        for name in line.split('`').skip(1).step_by(2).filter(is_test) {
            let defined = format!("fn {name}(");
            if !sources.iter().any(|source| source.contains(&defined)) {
                let at = format!("{PROMISES}:{}", index + 1);
                findings.push(Finding::error(at, format!("there is no test `{name}`")));
            }
        }
    }
    findings
}

fn check_links(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        let opens = line.trim_start();
        if opens.starts_with("```") || opens.starts_with("~~~") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in targets(line) {
            let file = target.split(['#', '?']).next().unwrap_or_default();
            let outside = target.contains("://") || target.starts_with("mailto:") || file.is_empty();
            if !outside && !resolved(path, file).is_some_and(|file| tree.has(&file)) {
                let at = format!("{path}:{}", index + 1);
                findings.push(Finding::error(at, format!("the link to `{target}` leads nowhere")));
            }
        }
    }
    findings
}

/// The targets of a line's links: `[text](target "title")` and `[label]: target`, code spans left out.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    if line.starts_with('[')
        && !line.starts_with("[^")
        && let Some((_, target)) = line.split_once("]: ")
    {
        targets.extend(target.split_whitespace().next());
    }
    // Every second piece between backticks is code; a link's text may hold code, so look for its closing `](`.
    let mut code = false;
    let mut at = 0;
    while let Some(rest) = line.get(at..) {
        if rest.starts_with('`') {
            code = !code;
        } else if !code && rest.starts_with("](") {
            let target = rest[2..].split([')', ' ']).next().unwrap_or_default();
            targets.push(target.trim_start_matches('<').trim_end_matches('>'));
        }
        match rest.chars().next() {
            Some(c) => at += c.len_utf8(),
            None => break,
        }
    }
    targets
}

/// The path a link means, seen from the root; none if it leaves the repository.
fn resolved(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        parts.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn check_machine_paths(path: &str, text: &str) -> Vec<Finding> {
    let begins_a_path = |line: &str, at: usize| {
        !line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "._-~/}*".contains(c))
    };
    let names_one = |line: &str| {
        MACHINE_FOLDERS.iter().any(|folder| line.match_indices(folder).any(|(at, _)| begins_a_path(line, at)))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| names_one(line));
    lines.map(|(i, _)| Finding::error(format!("{path}:{}", i + 1), "names a folder of one machine")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::made_up(files)).into_iter().map(|f| f.to_string()).collect()
    }

    #[test]
    fn decisions_are_numbered_without_gaps_or_twins() {
        let good = [
            ("docs/decisions/0001-a.md", ""),
            ("docs/decisions/0002-b.md", ""),
            ("docs/decisions/README.md", ""),
        ];
        assert!(found(&good).is_empty());
        assert_eq!(found(&[good[0], ("docs/decisions/0003-c.md", "")]).len(), 1);
        assert_eq!(found(&[good[0], ("docs/decisions/0001-twin.md", "")]).len(), 1);
        assert_eq!(found(&[("docs/decisions/notes.md", "")]).len(), 1);
        assert_eq!(found(&[("docs/decisions/1-a.md", "")]).len(), 1);
    }

    #[test]
    fn links_lead_to_files_of_the_repository() {
        let good =
            "[a](docs/a.md#part) [`b`](./docs) [c](https://x.example/y) [d](#here) ![e](docs/a.md \"t\")";
        assert!(found(&[("README.md", good), ("docs/a.md", "[up](../README.md)\n[x]: a.md\n")]).is_empty());
        for bad in ["[a](docs/b.md)", "[a](../README.md)", "[x]: gone.md", "![i](i.png)"] {
            assert_eq!(found(&[("README.md", bad)]).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_promise_names_tests_that_exist() {
        let promise =
            (PROMISES, "| It holds, in `a_file`. | `what_holds_is_so`, `fn`, `docs/what_is_not_one` |");
        let test = ("a.rs", "fn what_holds_is_so() {}");
        assert!(found(&[promise, test]).is_empty());
        let missing = found(&[promise, ("a.rs", "fn what_holds_is_so_no_more() {}")]);
        assert_eq!(missing, ["docs/security.md:1: there is no test `what_holds_is_so`"]);
    }

    #[test]
    fn code_in_a_document_holds_no_links() {
        assert!(found(&[("README.md", "`[a](b)`\n```\n[a](b)\n```\n")]).is_empty());
    }

    #[test]
    fn no_file_names_a_folder_of_one_machine() {
        let [first, second] = MACHINE_FOLDERS else { panic!("two folders") };
        for folder in [first, second] {
            assert_eq!(found(&[("a.rs", &format!("let x = \"{folder}a\";"))]).len(), 1);
            assert_eq!(found(&[("a.toml", &format!("{folder}a"))]).len(), 1);
            assert!(found(&[("a.rs", &format!("https://x.example{folder}a target{folder}"))]).is_empty());
        }
    }
}
