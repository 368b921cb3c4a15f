//! The one canonical form of an email address, the same on write and on read (SECURITY row L-06).

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// The longest address, in bytes of its canonical form: 64 before the @, 255 after.
pub const MAX_EMAIL_BYTES: usize = 320;

/// An email address in canonical form: Unicode NFKC, lower case, no white space, one `@` with something on both sides.
///
/// Two spellings that differ in case or in compatibility characters are one address; nothing else is folded, so dots
/// and `+tags` count. Its `Debug` shows nothing (SECURITY row G-01).
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// The text isn't an email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an email address")]
pub struct NotAnEmail;

impl Email {
    /// The canonical form of `text`.
    ///
    /// # Errors
    /// [`NotAnEmail`] when it has none.
    pub fn parse(text: &str) -> Result<Self, NotAnEmail> {
        if text.len() > MAX_EMAIL_BYTES {
            return Err(NotAnEmail);
        }
        let canonical: String = text.nfkc().collect::<String>().to_lowercase().nfkc().collect();
        let (local, domain) = canonical.split_once('@').ok_or(NotAnEmail)?;
        let sound = !local.is_empty() && is_domain(domain) && canonical.len() <= MAX_EMAIL_BYTES;
        let clean = !canonical.chars().any(|character| character.is_whitespace() || character.is_control());
        if sound && clean { Ok(Self(canonical)) } else { Err(NotAnEmail) }
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

fn is_domain(domain: &str) -> bool {
    !domain.is_empty() && !domain.contains('@') && domain.split('.').all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_form() {
        for spelling in ["ada@example.org", "Ada@Example.ORG", "ａｄａ@example.org", "ADA@ｅxample.org"] {
            assert_eq!(Email::parse(spelling).unwrap().as_str(), "ada@example.org", "{spelling}");
        }
        assert_eq!(Email::parse("STRASSE@x.org").unwrap().as_str(), "strasse@x.org");
        assert_ne!(Email::parse("a.da@example.org").unwrap(), Email::parse("ada@example.org").unwrap());
        assert!(Email::parse("root@localhost").is_ok());
    }

    #[test]
    fn canonical_is_a_fixed_point() {
        for spelling in ["ＡϓK@İ.org", "ß@ﬁ.org", "ǅ@x.y", "ϔ̈@x.y"] {
            let once = Email::parse(spelling).unwrap();
            assert_eq!(Email::parse(once.as_str()).unwrap(), once, "{spelling}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        let long = format!("{}@example.org", "a".repeat(320));
        for bad in [
            "", "@", "a@", "@b", "a", "a b@c.d", " a@b.c", "a@b.c\n", "a@b@c", "a@.b", "a@b.", "a@b..c", "a\0@b", &long,
        ] {
            assert_eq!(Email::parse(bad), Err(NotAnEmail), "{bad:?}");
        }
    }
}
