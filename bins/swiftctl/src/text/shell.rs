//! Words in commands that are printed to be pasted.

use swift_chain::is_unseen;

/// The word as a POSIX shell reads it back. What nobody would see in it is written by its bytes, as `$'...'` takes them.
pub(crate) fn quote(word: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "-._/:@%+=,".contains(char);
    if word.chars().any(is_unseen) {
        format!("$'{}'", word.chars().map(escape).collect::<String>())
    } else if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn escape(char: char) -> String {
    match char {
        '\'' | '\\' => format!("\\{char}"),
        _ if is_unseen(char) => {
            let mut bytes = [0; 4];
            char.encode_utf8(&mut bytes).bytes().map(|byte| format!("\\{byte:03o}")).collect()
        }
        _ => char.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_need_it_are_quoted() {
        assert_eq!(quote("dir/big.iso"), "dir/big.iso");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn what_nobody_would_see_is_written_so_that_a_shell_reads_it_all_the_same() {
        assert_eq!(quote("a\u{200b}b 'c'"), r"$'a\342\200\213b \'c\''");
    }
}
