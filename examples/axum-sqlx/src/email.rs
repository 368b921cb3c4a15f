//! Email addresses, in the one spelling that the table has.

/// An email address in lower case.
pub(crate) struct Email(String);

impl Email {
    /// The most bytes that an address has (RFC 5321 section 4.5.3.1.3).
    const MAX_LENGTH: usize = 254;

    /// Returns the address, or `None` for a text that can't be one.
    ///
    /// Only a message to the address shows that it exists, so little is checked here.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_plain = |part: &str| {
            let is_odd = |c: char| c.is_whitespace() || c.is_control();
            !part.is_empty() && !part.contains(is_odd)
        };
        let (local, domain) = text.rsplit_once('@')?;
        let is_address = text.len() <= Self::MAX_LENGTH && is_plain(local) && is_plain(domain);
        is_address.then(|| Self(text.to_lowercase()))
    }

    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        let email = Email::parse("Ada.King@Example.ORG").unwrap();
        assert_eq!(email.as_str(), "ada.king@example.org");
    }

    #[test]
    fn other_texts_are_no_address() {
        let long = format!("{}@example.org", "a".repeat(254));
        // PostgreSQL has no text with NUL: asked for one, it would answer with an error.
        for text in ["", "ada", "@b", "a@", "a b@c", "a@b\0", "a@b\n", &long] {
            assert!(Email::parse(text).is_none(), "{text:?}");
        }
    }
}
