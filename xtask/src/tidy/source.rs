//! Rust sources: length, names, unfinished work, waiting and clocks.

use super::Finding;
use super::lexer::{self, Line};
use super::tree::Tree;

const LINES_WARN: usize = 400;
const LINES_MAX: usize = 500;

/// Files that may be longer, each with the reason why splitting would make it worse.
const LONG_FILES: &[(&str, &str)] = &[];

/// What takes back the demand that everything public is documented.
const UNDOCUMENTED: &[&str] = &["allow(missing_docs", "expect(missing_docs"];

/// Names that say nothing about what a module is for.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];

/// What asks the machine for time or randomness. A core is given both, so that a run can be repeated.
const AMBIENT: &[&str] =
    &["SystemTime::now", "Instant::now", ".elapsed()", "thread_rng", "getrandom", "OsRng"];

/// Where sources must not do that, tests aside, and the modules below it that may.
const PURE_SOURCES: &[(&str, &[&str])] = &[
    ("crates/swift-chain/src/", &[]),
    ("crates/swift-chunks/src/", &[]),
    ("crates/swift-p2p/src/", &["transport", "driver"]),
    // The program says how long it took.
    ("crates/swift-sim/src/", &["main"]),
];

const SLEEP_OK: &str = "tidy: sleep-ok because ";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = check_allowances(tree, LONG_FILES);
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".rs")) {
        let source = Source::new(path, text);
        findings.extend(source.check_name());
        findings.extend(source.check_length());
        findings.extend(source.check_unfinished());
        findings.extend(source.check_sleeps());
        findings.extend(source.check_purity());
    }
    findings
}

/// An allowance outlives its file or its reason only until the next check.
fn check_allowances(tree: &Tree, allowed: &[(&str, &str)]) -> Vec<Finding> {
    let is_long = |path| tree.text(path).is_some_and(|text| text.lines().count() > LINES_WARN);
    let stale = allowed.iter().filter(|(path, reason)| reason.is_empty() || !is_long(path));
    stale
        .map(|(path, _)| Finding::error(*path, "needs no allowance for its length, or gives no reason"))
        .collect()
}

struct Source<'a> {
    path: &'a str,
    lines: Vec<Line>,
    length: usize,
    /// From this line on, everything is a test.
    tests_from: usize,
}

impl<'a> Source<'a> {
    fn new(path: &'a str, text: &str) -> Self {
        let lines = lexer::lines(text);
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/benches/");
        let tests_from = if is_test { 0 } else { first_test_line(&lines) };
        Self { path, lines, length: text.lines().count(), tests_from }
    }

    fn at(&self, line: usize, says: String) -> Finding {
        Finding::error(format!("{}:{}", self.path, line + 1), says)
    }

    fn check_name(&self) -> Vec<Finding> {
        let named = |part: &str| EMPTY_NAMES.contains(&part.trim_end_matches(".rs"));
        let mut findings: Vec<Finding> = (self.path.split('/').filter(|part| named(part)))
            .map(|part| {
                Finding::error(self.path, format!("`{part}` says nothing: name the module after its noun"))
            })
            .collect();
        for (index, line) in self.lines.iter().enumerate() {
            let inline = line.code.split_once("mod ").and_then(|(_, rest)| rest.trim_end().strip_suffix('{'));
            if inline.is_some_and(|name| named(name.trim())) {
                findings.push(self.at(index, "name the module after its noun".into()));
            }
        }
        findings
    }

    fn check_length(&self) -> Option<Finding> {
        if LONG_FILES.iter().any(|(path, _)| *path == self.path) || self.length <= LINES_WARN {
            return None;
        }
        let says = format!("has {} lines: split it by purpose, {LINES_MAX} is the limit", self.length);
        Some(match self.length {
            0..=LINES_MAX => Finding::warning(self.path, says),
            _ => Finding::error(self.path, says),
        })
    }

    fn check_unfinished(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let in_code =
                ["todo!", "unimplemented!", "#[ignore"].into_iter().find(|w| has_word(&line.code, w));
            if UNDOCUMENTED.iter().any(|word| line.code.contains(word)) {
                findings.push(self.at(index, "document it".into()));
            }
            let in_comment = ["FIXME", "XXX"].into_iter().find(|w| has_word(&line.comment, w));
            if let Some(word) = in_code.or(in_comment) {
                findings.push(self.at(index, format!("`{word}`: finish it, or file an issue")));
            }
        }
        findings
    }

    /// A test that sleeps is slow on every machine and wrong on some: it awaits an event.
    fn check_sleeps(&self) -> Vec<Finding> {
        let plays = self.path.starts_with("xtask/src/scenario") || self.path.starts_with("xtask/src/demo");
        let from = if plays { 0 } else { self.tests_from };
        let sleeping = (from..self.lines.len()).filter(|i| has_word(&self.lines[*i].code, "sleep("));
        let unexcused = sleeping.filter(|i| !self.is_excused(*i));
        unexcused.map(|i| self.at(i, format!("await an event, or say why not: // {SLEEP_OK}…"))).collect()
    }

    /// The excuse stands on the line or in the comment right above it.
    fn is_excused(&self, index: usize) -> bool {
        let says =
            |line: &Line| line.comment.split_once(SLEEP_OK).is_some_and(|(_, why)| !why.trim().is_empty());
        let above = self.lines[..index]
            .iter()
            .rev()
            .take_while(|l| l.code.trim().is_empty() && !l.comment.is_empty());
        says(&self.lines[index]) || above.into_iter().any(says)
    }

    fn check_purity(&self) -> Vec<Finding> {
        let below = |(folder, shell): &(&'static str, &'static [&'static str])| {
            self.path.strip_prefix(folder).map(|rest| (rest, *shell))
        };
        let Some((rest, shell)) = PURE_SOURCES.iter().find_map(below) else { return Vec::new() };
        if rest.split('/').any(|part| shell.contains(&part.trim_end_matches(".rs"))) {
            return Vec::new();
        }
        let mut findings = Vec::new();
        for (index, line) in self.lines.iter().enumerate().take(self.tests_from) {
            if let Some(word) = AMBIENT.iter().find(|word| has_word(&line.code, word)) {
                findings
                    .push(self.at(index, format!("`{word}` in a core: time and randomness are arguments")));
            }
        }
        findings
    }
}

/// Tests come last in a file, so they begin where their module does.
fn first_test_line(lines: &[Line]) -> usize {
    let opens = |index: usize| {
        let follows = lines.get(index + 1).map_or("", |l| l.code.trim());
        lines[index].code.trim() == "#[cfg(test)]" && follows.starts_with("mod ") && follows.ends_with('{')
    };
    (0..lines.len()).find(|i| opens(*i)).unwrap_or(lines.len())
}

/// Whether `text` has `word`, not as the end or the beginning of a longer name.
fn has_word(text: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let begins = !word.starts_with(is_name) || !before.is_some_and(is_name);
        let ends = !word.ends_with(is_name) || !after.is_some_and(is_name);
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::made_up(&[(path, text)])).into_iter().map(|f| f.to_string()).collect()
    }

    #[test]
    fn a_file_is_warned_about_before_it_is_refused() {
        assert!(found("a/src/x.rs", &"\n".repeat(400)).is_empty());
        let warned = found("a/src/x.rs", &"\n".repeat(401));
        assert!(warned.len() == 1 && warned[0].starts_with("warning: a/src/x.rs"), "{warned:?}");
        let refused = found("a/src/x.rs", &"\n".repeat(501));
        assert!(refused.len() == 1 && refused[0].starts_with("a/src/x.rs: has 501"), "{refused:?}");
    }

    #[test]
    fn an_allowance_without_a_long_file_or_a_reason_is_stale() {
        let tree = Tree::made_up(&[("a.rs", &"\n".repeat(600)), ("b.rs", "")]);
        assert!(check_allowances(&tree, &[("a.rs", "one table")]).is_empty());
        assert_eq!(check_allowances(&tree, &[("a.rs", ""), ("b.rs", "x"), ("gone.rs", "x")]).len(), 3);
    }

    #[test]
    fn modules_are_named_after_nouns() {
        assert_eq!(found("a/src/utils.rs", "").len(), 1);
        assert_eq!(found("a/tests/common/mod.rs", "").len(), 1);
        assert_eq!(found("a/src/x.rs", "mod helpers {\n}\n").len(), 1);
        assert!(found("a/src/commons.rs", "mod helper_of_x {\n}\n").is_empty());
    }

    #[test]
    fn unfinished_work_is_found_in_code_and_in_comments_but_not_in_strings() {
        for bad in [
            "fn f() { todo!() }",
            "unimplemented!(\"x\")",
            "#[ignore = \"slow\"]",
            "// FIXME: x",
            "/* XXX */",
            "#![allow(missing_docs)]",
        ] {
            assert_eq!(found("a/src/x.rs", bad).len(), 1, "{bad}");
        }
        assert!(found("a/src/x.rs", "f(\"todo!() FIXME\"); // methods_todo! XXXL").is_empty());
    }

    #[test]
    fn a_test_awaits_events_or_says_why_it_sleeps() {
        let bad = "fn f() { std::thread::sleep(d); }";
        assert_eq!(found("a/tests/x.rs", bad).len(), 1);
        assert_eq!(found("xtask/src/scenario/x.rs", bad).len(), 1);
        assert_eq!(found("a/src/x.rs", &format!("#[cfg(test)]\nmod tests {{\n{bad}\n}}\n")).len(), 1);
        assert!(found("a/src/x.rs", bad).is_empty());
        let excuse = format!("// {SLEEP_OK}another process tells nothing\n// of its end\n{bad}");
        assert!(found("a/tests/x.rs", &excuse).is_empty());
        assert_eq!(found("a/tests/x.rs", &format!("// {SLEEP_OK}\n{bad}")).len(), 1);
    }

    #[test]
    fn cores_are_given_time_and_randomness() {
        for bad in ["Instant::now()", "std::time::SystemTime::now()", "t.elapsed()", "getrandom::fill(b)"] {
            let text = format!("fn f() {{ {bad}; }}");
            assert_eq!(found("crates/swift-chain/src/x.rs", &text).len(), 1, "{bad}");
            assert_eq!(found("crates/swift-p2p/src/swarm/x.rs", &text).len(), 1, "{bad}");
            assert!(found("crates/swift-p2p/src/transport/x.rs", &text).is_empty(), "{bad}");
            assert!(found("crates/swift-p2p/src/driver.rs", &text).is_empty(), "{bad}");
            assert!(found("crates/swift-http/src/x.rs", &text).is_empty(), "{bad}");
            let tested = format!("#[cfg(test)]\nmod tests {{\n{text}\n}}\n");
            assert!(found("crates/swift-chain/src/x.rs", &tested).is_empty(), "{bad}");
        }
    }
}
