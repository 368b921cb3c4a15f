//! What a login came from, as device lists show it.

use std::fmt;
use std::net::IpAddr;

/// The longest user agent that is kept, in bytes.
const USER_AGENT: usize = 255;

/// The longest label that is kept, in bytes.
const LABEL: usize = 64;

/// What a login came from: for the user's eyes, and never for a decision, since the client says it of itself.
///
/// Texts are kept as one line without control characters: a user agent of up to 255 bytes, a label of up to 64. Its
/// `Debug` shows nothing.
///
/// ```
/// use countersign::Client;
///
/// let client = Client::new().with_user_agent("Mozilla/5.0\r\n  (X11)").with_ip("::ffff:192.0.2.7".parse()?);
/// assert_eq!(client.user_agent(), Some("Mozilla/5.0 (X11)"));
/// assert_eq!(client.ip().map(|ip| ip.to_string()).as_deref(), Some("192.0.2.7"));
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Client {
    user_agent: Option<String>,
    ip: Option<IpAddr>,
    label: Option<String>,
}

impl Client {
    /// Nothing is known.
    pub const fn new() -> Self {
        Self { user_agent: None, ip: None, label: None }
    }

    /// What the client says that it is: its `User-Agent`.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = one_line(user_agent, USER_AGENT);
        self
    }

    /// Where it connected from. An IPv4 address that is written as IPv6 is an IPv4 address.
    #[must_use]
    pub fn with_ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip.to_canonical());
        self
    }

    /// What its user calls it.
    #[must_use]
    pub fn with_label(mut self, label: &str) -> Self {
        self.label = one_line(label, LABEL);
        self
    }

    /// What the client says that it is.
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// Where it connected from.
    pub const fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// What its user calls it.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
}

/// `text` with single spaces for everything that isn't shown, cut at the end of a character; `None` when nothing is left.
fn one_line(text: &str, most: usize) -> Option<String> {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > most {
            break;
        }
    }
    line.truncate(line.floor_char_boundary(most));
    line.truncate(line.trim_end().len());
    (!line.is_empty()).then_some(line)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_left_of_nothing() {
        for text in ["", " ", "\0", "\r\n\t"] {
            assert_eq!(Client::new().with_label(text).label(), None);
        }
    }

    proptest! {
        #[test]
        fn texts_are_bounded_and_stay_as_they_are(text in "\\PC{0,400}|[ \\x00-\\x20é]{0,100}") {
            let once = Client::new().with_user_agent(&text).with_label(&text);
            prop_assert!(once.user_agent().is_none_or(|kept| kept.len() <= USER_AGENT && !kept.contains(char::is_control)));
            prop_assert!(once.label().is_none_or(|kept| kept.len() <= LABEL));
            let again = Client::new()
                .with_user_agent(once.user_agent().unwrap_or_default())
                .with_label(once.label().unwrap_or_default());
            prop_assert_eq!(again, once);
        }
    }
}
