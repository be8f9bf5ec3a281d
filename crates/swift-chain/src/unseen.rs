//! Characters that people do not see. Names and labels may have them, so whoever shows text from elsewhere asks here.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether a character shows nothing, steers a terminal, or changes in which order others are shown: in two texts that
/// look alike it would be the difference.
///
/// ```
/// use swift_chain::is_unseen;
///
/// assert!(is_unseen('\u{1b}') && is_unseen('\u{202e}') && is_unseen('\u{200b}'));
/// assert!(!is_unseen('a') && !is_unseen('語') && !is_unseen('\u{301}') && !is_unseen(' '));
/// ```
pub fn is_unseen(char: char) -> bool {
    match char {
        // Signs before Arabic, Syriac and Kaithi numbers, which have a form to be seen.
        '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' => false,
        '\u{110bd}' | '\u{110cd}' => false,
        // What Unicode calls default ignorable besides format characters, and a blank among the Braille patterns.
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => true,
        '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => matches!(
            char.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_turns_is_unseen_and_what_is_read_is_not() {
        for char in
            ['\0', '\n', '\u{9b}', '\u{ad}', '\u{61c}', '\u{200e}', '\u{2028}', '\u{feff}', '\u{e0041}']
        {
            assert!(is_unseen(char), "{char:?}");
        }
        assert!(('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').all(is_unseen));
        assert!("Grüße 日本語 עברית العربية ٣ 🎉 a\u{308}\u{600}".chars().all(|char| !is_unseen(char)));
    }
}
