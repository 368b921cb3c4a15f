//! Characters that can't be seen, or that change how other characters are displayed.
//!
//! Email addresses and secrets may not contain them, and the command line escapes them in its
//! output.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Returns `true` if `character` is invisible by itself, or changes how others are displayed.
///
/// These are control and format characters (among them those that change the direction of writing),
/// line and paragraph separators, and characters that Unicode lets fonts ignore. Spaces and other
/// white space don't count.
pub fn is_invisible(character: char) -> bool {
    let category = matches!(
        character.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    category || is_ignorable(character)
}

/// Returns `true` if `character` is a `Default_Ignorable_Code_Point` of Unicode that isn't a format
/// character, or the blank Braille pattern.
const fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{34f}'                 // joins graphemes
        | '\u{115f}'..='\u{1160}' // fill Hangul syllables
        | '\u{17b4}'..='\u{17b5}' // Khmer vowels that aren't written
        | '\u{180b}'..='\u{180f}' // select Mongolian variants
        | '\u{2065}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' // select variants
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Returns `text` with every invisible character replaced by an escape such as `\u{200b}`. Line
/// feeds are kept.
///
/// Texts that look alike differ in this form, and no control sequence reaches a terminal.
///
/// # Examples
///
/// ```
/// use countersign_server::invisible::spelled_out;
///
/// assert_eq!(spelled_out("a\u{200b}da\n"), "a\\u{200b}da\n");
/// ```
pub fn spelled_out(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\n' && is_invisible(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_out_what_nobody_can_see_and_nothing_else() {
        let hidden = "a\u{200b}b\u{202e}c\u{1b}[31m\u{3164}\u{fe0f}";
        assert_eq!(
            spelled_out(hidden),
            "a\\u{200b}b\\u{202e}c\\u{1b}[31m\\u{3164}\\u{fe0f}"
        );
        let plain = "ada+tag@bücher.example ЛЮДИ 人々 ناس\nnext";
        assert_eq!(spelled_out(plain), plain);
    }
}
