//! The client details of a login: user agent, address and label, for device lists.
//!
//! Texts are cleaned and cut here, when they are set, so that stores and lists can use them as they
//! are.

use std::fmt;
use std::net::IpAddr;

/// The longest user agent that is kept, in bytes.
const USER_AGENT: usize = 255;

/// The longest label that is kept, in bytes.
const LABEL: usize = 64;

/// The client details of a login, which device lists show.
///
/// They are for the eyes of the user. Never base a decision on them: user agent and label are the
/// client's own words.
///
/// Texts are kept as one line without control characters: at most 255 bytes of user agent, at most
/// 64 bytes of label. The `Debug` output shows no values.
///
/// # Examples
///
/// ```
/// use countersign::ClientInfo;
///
/// let client = ClientInfo::new()
///     .with_user_agent("Mozilla/5.0\r\n  (X11)")
///     .with_ip("::ffff:192.0.2.7".parse()?)
///     .with_label("Work laptop");
///
/// assert_eq!(client.user_agent(), Some("Mozilla/5.0 (X11)"));
/// assert_eq!(client.ip().map(|ip| ip.to_string()).as_deref(), Some("192.0.2.7"));
/// assert_eq!(client.label(), Some("Work laptop"));
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    user_agent: Option<String>,
    ip: Option<IpAddr>,
    label: Option<String>,
}

impl ClientInfo {
    /// Creates client details without any value.
    pub const fn new() -> Self {
        Self {
            user_agent: None,
            ip: None,
            label: None,
        }
    }

    /// Sets the value of the `User-Agent` header.
    ///
    /// White space and control characters become single spaces, and the text is cut to 255 bytes at
    /// a character boundary. A text of which nothing is left unsets the value.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = one_line(user_agent, USER_AGENT);
        self
    }

    /// Sets the address that the client connected from.
    ///
    /// An IPv4-mapped IPv6 address is stored as the IPv4 address. Behind a proxy, pass the address
    /// that the proxy reports, and only if the proxy is trusted.
    #[must_use]
    pub fn with_ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip.to_canonical());
        self
    }

    /// Sets the name that the user gave to the device or program.
    ///
    /// The text is cleaned like that of [`with_user_agent`](Self::with_user_agent), and cut to 64
    /// bytes.
    #[must_use]
    pub fn with_label(mut self, label: &str) -> Self {
        self.label = one_line(label, LABEL);
        self
    }

    /// Returns the user agent, or `None` if it is unknown.
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// Returns the address that the client connected from, or `None` if it is unknown.
    pub const fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// Returns the label, or `None` if there is none.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
}

/// Returns `text` as one line: single spaces in place of white space and control characters, cut to
/// `most` bytes at a character boundary. Returns `None` if nothing is left.
fn one_line(text: &str, most: usize) -> Option<String> {
    let mut line = String::new();
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > most {
            break;
        }
    }

    // A cut after a space would leave it at the end: trimming afterwards makes a second pass a
    // no-op.
    line.truncate(line.floor_char_boundary(most));
    line.truncate(line.trim_end().len());
    (!line.is_empty()).then_some(line)
}

impl fmt::Debug for ClientInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientInfo(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_left_of_nothing() {
        for text in ["", " ", "\0", "\r\n\t"] {
            assert_eq!(ClientInfo::new().with_label(text).label(), None);
        }
    }

    proptest! {
        #[test]
        fn texts_are_bounded_and_stay_as_they_are(text in "\\PC{0,400}|[ \\x00-\\x20é]{0,100}") {
            let once = ClientInfo::new().with_user_agent(&text).with_label(&text);
            prop_assert!(once.user_agent().is_none_or(|kept| kept.len() <= USER_AGENT && !kept.contains(char::is_control)));
            prop_assert!(once.label().is_none_or(|kept| kept.len() <= LABEL));
            let again = ClientInfo::new()
                .with_user_agent(once.user_agent().unwrap_or_default())
                .with_label(once.label().unwrap_or_default());
            prop_assert_eq!(again, once);
        }
    }
}
