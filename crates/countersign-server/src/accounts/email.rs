//! Email addresses in one canonical form, which is the same when an account is written and when it
//! is looked up.
//!
//! [`Email`] is for new addresses and rejects invalid ones. [`Lookup`] is for finding accounts: it
//! accepts more, because an account of another program may be stored in a form that [`Email`]
//! rejects.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::invisible::is_invisible;

/// The maximum length of an email address, in bytes: 64 for the part before the `@`, 1 for the `@`
/// and 255 for the domain. Only the total is checked.
pub const MAX_EMAIL_BYTES: usize = 320;

/// An email address in canonical form.
///
/// The canonical form has no white space around it, is in Unicode NFKC and lower case, has one `@`
/// with text on both sides, and spells the domain in Unicode (`bücher.example`, not
/// `xn--bcher-kva.example`).
///
/// Addresses are equal if they differ only in case, compatibility characters, surrounding white
/// space or the encoding of the domain. Dots and `+tags` are significant. The `Debug` output
/// doesn't show the address.
///
/// # Examples
///
/// ```
/// use countersign_server::accounts::{Email, NotAnEmail};
///
/// let email = Email::parse(" Ada@xn--bcher-kva.example ")?;
/// assert_eq!(email.as_str(), "ada@bücher.example");
/// assert_eq!(Email::parse("ada"), Err(NotAnEmail::Malformed));
/// # Ok::<(), NotAnEmail>(())
/// ```
#[derive(Clone)]
pub struct Email {
    canonical: String,
    lookup: Lookup,
}

/// The reason why a text isn't a valid email address.
///
/// The error texts are phrases that follow the text in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEmail {
    /// The text doesn't have the form of an email address, or is longer than [`MAX_EMAIL_BYTES`].
    #[error("is not a valid email address")]
    Malformed,
    /// The text contains this invisible character, so that two different addresses would look the
    /// same.
    #[error("contains the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
}

impl Email {
    /// Parses an email address and returns its canonical form.
    ///
    /// # Errors
    /// [`NotAnEmail`] if `text` isn't a valid address, or contains an invisible character.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        let text = text.trim();
        if text.len() > MAX_EMAIL_BYTES {
            return Err(NotAnEmail::Malformed);
        }

        // Checked before IDNA is applied, because its mapping drops some invisible characters.
        visible(text)?;

        let folded = fold(text);
        let (local, domain) = folded.split_once('@').ok_or(NotAnEmail::Malformed)?;
        let ascii = idna::domain_to_ascii(domain).map_err(|_| NotAnEmail::Malformed)?;
        let (domain, decoded) = idna::domain_to_unicode(&ascii);
        let canonical = format!("{local}@{domain}");
        let is_sound = decoded.is_ok() && !local.is_empty() && is_domain(&domain);
        let fits =
            canonical.len() <= MAX_EMAIL_BYTES && !canonical.chars().any(char::is_whitespace);
        if !(is_sound && fits) {
            return Err(NotAnEmail::Malformed);
        }
        visible(&canonical)?;

        let encoded = format!("{local}@{ascii}");
        Ok(Self {
            lookup: Lookup {
                forms: [folded, canonical.clone(), encoded],
                counted: canonical.clone(),
            },
            canonical,
        })
    }

    /// Returns the canonical text.
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// Returns the forms under which an account with this address may be stored.
    pub const fn lookup(&self) -> &Lookup {
        &self.lookup
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Email {}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

/// The forms under which an account with a given email address may be stored.
///
/// Accounts of other programs, and those created before there was one form for both encodings of a
/// domain, are stored in a simpler form: NFKC and lower case, with the domain as it was typed and
/// with any invisible characters. The `Debug` output doesn't show the address.
#[derive(Clone)]
pub struct Lookup {
    forms: [String; 3],
    counted: String,
}

impl Lookup {
    /// Returns the forms in which the address `text` may be stored, or `None` if no account can
    /// have such an address.
    ///
    /// Any text with an `@` and at most [`MAX_EMAIL_BYTES`] bytes can be looked up, even if
    /// [`Email::parse`] rejects it.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_EMAIL_BYTES {
            return None;
        }
        match Email::parse(text) {
            Ok(email) => Some(email.lookup),
            Err(_) => Self::of_simple(text),
        }
    }

    /// Returns the lookup of a text that isn't a valid address: its folded form alone. Returns `None`
    /// if it has no `@`.
    fn of_simple(text: &str) -> Option<Self> {
        let folded = fold(text);
        let is_one = folded.contains('@');
        is_one.then(|| Self {
            forms: [folded.clone(), folded.clone(), folded.clone()],
            counted: folded,
        })
    }

    /// Returns the forms in order of precedence: the text as it was typed (in NFKC and lower case),
    /// the canonical form, and the canonical form with the domain in ASCII. Some of them may be
    /// equal.
    pub const fn forms(&self) -> &[String; 3] {
        &self.forms
    }

    /// Returns the text under which failed logins of the account are counted. It is the same for
    /// all spellings of one address.
    pub fn counted(&self) -> &str {
        &self.counted
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup(..)")
    }
}

/// Returns `text` in NFKC and lower case. It is normalised a second time, because changing the case
/// can produce text that isn't in NFKC.
fn fold(text: &str) -> String {
    text.nfkc()
        .collect::<String>()
        .to_lowercase()
        .nfkc()
        .collect()
}

/// Returns an error for the first invisible character of `text`.
fn visible(text: &str) -> Result<(), NotAnEmail> {
    text.chars()
        .find(|character| is_invisible(*character))
        .map_or(Ok(()), |found| Err(NotAnEmail::Invisible(found)))
}

/// Returns `true` if `domain` consists of non-empty labels and has no `@`.
fn is_domain(domain: &str) -> bool {
    !domain.is_empty() && !domain.contains('@') && domain.split('.').all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_form() {
        for spelling in [
            "ada@example.org",
            "Ada@Example.ORG",
            "ａｄａ@example.org",
            "ADA@ｅxample.org",
            " ada@example.org ",
            "\u{3000}ada@example.org\r\n",
            "ada@example\u{3002}org",
        ] {
            assert_eq!(
                Email::parse(spelling).unwrap().as_str(),
                "ada@example.org",
                "{spelling}"
            );
        }
        for spelling in [
            "ada@bücher.example",
            "ada@xn--bcher-kva.example",
            "ada@XN--BCHER-KVA.example",
            "ada@bu\u{308}cher.example",
        ] {
            assert_eq!(
                Email::parse(spelling).unwrap().as_str(),
                "ada@bücher.example",
                "{spelling}"
            );
        }
        assert_eq!(
            Email::parse("STRASSE@x.org").unwrap().as_str(),
            "strasse@x.org"
        );
        assert_ne!(
            Email::parse("ada@straße.org").unwrap(),
            Email::parse("ada@strasse.org").unwrap()
        );
        assert_ne!(
            Email::parse("a.da@example.org").unwrap(),
            Email::parse("ada@example.org").unwrap()
        );
        assert!(Email::parse("root@localhost").is_ok());
        assert!(Email::parse("root@[192.0.2.1]").is_ok());
        assert!(Email::parse("root@my_host.example").is_ok());
    }

    #[test]
    fn canonical_is_a_fixed_point() {
        for spelling in [
            "ＡϓK@İ.org",
            "ß@ﬁ.org",
            "ǅ@x.y",
            "ϔ̈@x.y",
            "x@ÅÅ.org",
            "x@ΣΑΣ.gr",
            "x@xn--fa-hia.de",
            "x@日本。jp",
        ] {
            let once = Email::parse(spelling).unwrap();
            assert_eq!(Email::parse(once.as_str()).unwrap(), once, "{spelling}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        let long = format!("{}@example.org", "a".repeat(320));
        for bad in [
            "",
            " ",
            "@",
            "a@",
            "@b",
            "a",
            "a b@c.d",
            "a @b.c",
            "a@b@c",
            "a@.b",
            "a@b.",
            "a@b..c",
            "a@b\u{3002}\u{3002}c",
            "a@xn--a",
            "a@xn--zzzzzzzz99999.org",
            &long,
        ] {
            assert_eq!(Email::parse(bad), Err(NotAnEmail::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn refuses_what_nobody_can_see_by_name() {
        for hidden in [
            '\0', '\u{1b}', '\u{ad}', '\u{200b}', '\u{200d}', '\u{202e}', '\u{2066}', '\u{feff}',
            '\u{34f}',
        ] {
            for text in [
                format!("a{hidden}da@example.org"),
                format!("ada@exam{hidden}ple.org"),
                format!("{hidden}ada@x.org"),
            ] {
                assert_eq!(
                    Email::parse(&text),
                    Err(NotAnEmail::Invisible(hidden)),
                    "{text:?}"
                );
            }
        }
        assert_eq!(
            NotAnEmail::Invisible('\u{200b}').to_string(),
            "contains the invisible character U+200B"
        );
    }

    /// Rows from before, and the original's, are found by what their owners type.
    #[test]
    fn looks_where_older_forms_are() {
        let forms = |text| Lookup::of(text).unwrap().forms;
        assert!(forms("Ada@BÜCHER.example").contains(&"ada@xn--bcher-kva.example".to_owned()));
        assert!(forms("ada@xn--bcher-kva.example").contains(&"ada@bücher.example".to_owned()));
        assert_eq!(
            forms("ada@xn--bcher-kva.example")[0],
            "ada@xn--bcher-kva.example",
            "its own account first"
        );
        assert_eq!(
            forms(" A\u{200b}da@example.org")[0],
            "a\u{200b}da@example.org"
        );
        assert!(Lookup::of("ada").is_none());
        let counted = |text| Lookup::of(text).unwrap().counted;
        assert_eq!(
            counted("ada@xn--bcher-kva.example"),
            counted("Ada@bücher.example ")
        );
    }
}
