//! Checks of secrets for text that can't be meant to be part of them.
//!
//! Editors, shells and orchestrators add line ends, quotes and byte order marks that nobody sees.
//! With them a server would have another secret than the others of its deployment, and know none of
//! their tokens.

use std::borrow::Cow;

use crate::invisible::is_invisible;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Returns the content of a secret's file without the one line end that editors add.
pub(super) fn without_line_end(content: &str) -> &str {
    let content = content.strip_suffix('\n').unwrap_or(content);
    content.strip_suffix('\r').unwrap_or(content)
}

/// Returns the problem of a secret, as a phrase that follows the setting's name. Returns `None` if
/// there is none.
pub fn fault(secret: &str) -> Option<Cow<'static, str>> {
    let found = if secret.starts_with(BYTE_ORDER_MARK) {
        "begins with a byte order mark"
    } else if secret.contains("-----BEGIN ") {
        "is a PEM key, not a secret"
    } else if secret.contains('\n') {
        "has more than one line"
    } else if secret.contains('\r') {
        "contains a carriage return"
    } else if secret.starts_with(char::is_whitespace) || secret.ends_with(char::is_whitespace) {
        "begins or ends with white space"
    } else if is_quoted(secret) {
        "is enclosed in quotes"
    } else if ["\\n", "\\r"]
        .iter()
        .any(|written| secret.ends_with(written))
    {
        "ends with an escaped line break such as \\n"
    } else {
        let invisible = secret.chars().find(|character| is_invisible(*character))?;
        return Some(
            format!(
                "contains the invisible character {}",
                invisible.escape_unicode()
            )
            .into(),
        );
    };

    Some(found.into())
}

/// Returns the problem of the text of a key. Only quotes around it are looked for: line ends, and
/// text around the PEM blocks, are left to the parser of the key.
pub(super) fn fault_of_key(text: &str) -> Option<Cow<'static, str>> {
    is_quoted(text.trim()).then(|| "is enclosed in quotes".into())
}

/// Returns `true` if `text` begins and ends with the same quote.
fn is_quoted(text: &str) -> bool {
    ['"', '\'', '`']
        .into_iter()
        .any(|quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc";

    #[test]
    fn what_can_be_meant_is_taken() {
        for secret in [
            GOOD,
            "correct horse battery staple \\ and more",
            "it's \"quoted\" within",
            "päßwörter ÿ",
        ] {
            assert_eq!(fault(secret), None, "{secret}");
        }
        for content in [GOOD.to_owned(), format!("{GOOD}\n"), format!("{GOOD}\r\n")] {
            assert_eq!(without_line_end(&content), GOOD);
        }
    }

    #[test]
    fn what_nobody_means_is_named() {
        let cases = [
            (format!("\u{feff}{GOOD}"), "byte order mark"),
            (format!("{GOOD}\n"), "more than one line"),
            (
                format!("-----BEGIN PUBLIC KEY-----\n{GOOD}\n-----END PUBLIC KEY-----\n"),
                "PEM key, not a secret",
            ),
            (format!("{GOOD}\r"), "carriage return"),
            (format!("{GOOD} "), "white space"),
            (format!("\t{GOOD}"), "white space"),
            (format!("{GOOD}\u{a0}"), "white space"),
            (format!("\"{GOOD}\""), "quotes"),
            (format!("'{GOOD}'"), "quotes"),
            (format!("{GOOD}\\n"), "escaped line break"),
            (format!("pT7-\u{200b}{GOOD}"), "\\u{200b}"),
            (format!("pT7-\0{GOOD}"), "\\u{0}"),
        ];
        for (secret, words) in cases {
            let fault = fault(&secret).unwrap_or_default();
            assert!(fault.contains(words), "{secret:?}: {fault}");
        }
    }
}
