//! Rust sources cut into code and comments, so that a rule does not trip over a word in a string.

/// A line of source: its code with the insides of strings left out, and its comment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) code: String,
    pub(crate) comment: String,
}

#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    /// Block comments nest.
    BlockComment {
        depth: usize,
    },
    Text,
    /// A raw string, which ends at a quote and as many hashes as it began with.
    RawText {
        hashes: usize,
    },
}

/// Cuts a source into lines. Assumes that it compiles; anything else gives some answer and no panic.
pub(crate) fn lines(source: &str) -> Vec<Line> {
    let chars: Vec<char> = source.chars().collect();
    let mut lines = vec![Line::default()];
    let (mut state, mut at) = (State::Code, 0);
    while let Some(&c) = chars.get(at) {
        if c == '\n' {
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            lines.push(Line::default());
            at += 1;
            continue;
        }
        let rest = &chars[at..];
        let line = lines.last_mut();
        let (next, taken) = step(state, rest, at.checked_sub(1).map(|i| chars[i]));
        if let Some(line) = line {
            match (state, next) {
                (State::LineComment | State::BlockComment { .. }, _)
                | (_, State::LineComment | State::BlockComment { .. }) => line.comment.extend(&rest[..taken]),
                (State::Code, _) => line.code.extend(&rest[..taken]),
                // The closing quote belongs to the code, what is between the quotes does not.
                (_, State::Code) => line.code.push('"'),
                _ => {}
            }
        }
        state = next;
        at += taken;
    }
    lines
}

/// The state after the next few characters, and how many they are; never across the end of a line.
fn step(state: State, rest: &[char], before: Option<char>) -> (State, usize) {
    let second = rest.get(1).copied();
    match state {
        State::Code => match (rest[0], second) {
            ('/', Some('/')) => (State::LineComment, 2),
            ('/', Some('*')) => (State::BlockComment { depth: 1 }, 2),
            ('"', _) => (State::Text, 1),
            ('r', Some('"' | '#')) if !before.is_some_and(is_word_except_prefix) => raw_start(rest),
            ('\'', _) => (State::Code, char_literal_len(rest)),
            _ => (State::Code, 1),
        },
        State::LineComment => (State::LineComment, 1),
        State::BlockComment { depth } => match (rest[0], second) {
            ('*', Some('/')) if depth == 1 => (State::Code, 2),
            ('*', Some('/')) => (State::BlockComment { depth: depth - 1 }, 2),
            ('/', Some('*')) => (State::BlockComment { depth: depth + 1 }, 2),
            _ => (state, 1),
        },
        State::Text => match (rest[0], second) {
            ('\\', Some('\n') | None) => (state, 1),
            ('\\', _) => (state, 2),
            ('"', _) => (State::Code, 1),
            _ => (state, 1),
        },
        State::RawText { hashes } => {
            let closes = rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#');
            if closes { (State::Code, 1 + hashes) } else { (state, 1) }
        }
    }
}

/// `br"` and `cr"` are raw strings, `var"` is not one.
fn is_word_except_prefix(c: char) -> bool {
    (c.is_alphanumeric() || c == '_') && c != 'b' && c != 'c'
}

fn raw_start(rest: &[char]) -> (State, usize) {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) == Some(&'"') {
        (State::RawText { hashes }, hashes + 2)
    } else {
        (State::Code, 1)
    }
}

/// The length of a character literal, or 1 for the quote of a lifetime.
fn char_literal_len(rest: &[char]) -> usize {
    let line_end = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
    let line = &rest[..line_end];
    if line.get(1) == Some(&'\\') {
        return line.iter().skip(3).position(|c| *c == '\'').map_or(1, |end| end + 4);
    }
    if line.get(2) == Some(&'\'') { 3 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(source: &str) -> String {
        lines(source).into_iter().map(|l| l.code).collect::<Vec<_>>().join("\n")
    }

    fn comment(source: &str) -> String {
        lines(source).into_iter().map(|l| l.comment).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn strings_lose_their_insides() {
        assert_eq!(code(r#"f("a \" // b", x)"#), r#"f("", x)"#);
        assert_eq!(code("f(r#\"a \" b\"#, br\"c\", y)"), "f(r#\"\", br\"\", y)");
        assert_eq!(code("f(\"one\ntwo\"); g()"), "f(\"\n\"); g()");
    }

    #[test]
    fn comments_are_kept_apart() {
        assert_eq!(code("a(); // why"), "a(); ");
        assert_eq!(comment("a(); // why"), "// why");
        assert_eq!(code("a /* x /* y */\n z */ b"), "a \n b");
        assert_eq!(comment("a(\"// no\") // yes"), "// yes");
    }

    #[test]
    fn a_quote_as_a_character_opens_no_string() {
        assert_eq!(code("f('\"', '\\'', '\\u{22}') // c"), "f('\"', '\\'', '\\u{22}') ");
        assert_eq!(comment("f('\"') // c"), "// c");
    }

    #[test]
    fn lifetimes_are_code() {
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(code("let r#type = var;"), "let r#type = var;");
    }

    #[test]
    fn a_source_that_stops_anywhere_is_no_panic() {
        for source in ["\"", "'", "'\\", "r#", "r#\"", "/*", "\"\\", "b'", "/"] {
            lines(source);
        }
    }
}
