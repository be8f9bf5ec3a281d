//! Words in commands that are printed to be pasted.

/// The word as a POSIX shell reads it back.
pub(crate) fn quote(word: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "-._/:@%+=,".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
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
}
