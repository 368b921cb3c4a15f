//! The attempt to log in that a verifier is given.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::session::{ClientInfo, SessionId};

/// An attempt to log in: an identifier of 1 to 320 characters and a password of 1 to 1024 bytes,
/// both exactly as sent, and the other members of the body.
///
/// The ready routes make it. For tests of a verifier and for routes of your own, make one with
/// [`new`](Self::new). Its `Debug` output shows nothing. The password is wiped from memory when the
/// attempt is dropped.
///
/// # Examples
///
/// ```
/// use countersign::axum::LoginAttempt;
///
/// let login = LoginAttempt::new("ada@example.org", "correct horse").with_member("otp", "123456");
/// assert_eq!(login.identifier(), "ada@example.org");
/// assert_eq!(login.member::<String>("otp").as_deref(), Some("123456"));
/// assert_eq!(login.member::<u32>("otp"), None);
/// ```
pub struct LoginAttempt {
    identifier: String,
    password: Zeroizing<String>,
    client_address: Option<IpAddr>,
    client: ClientInfo,
    members: Members,
    /// The session that ends in exchange for the one to be opened.
    replaces: Option<SessionId>,
}

/// The members of the body.
#[derive(Default)]
struct Members {
    /// The JSON object that was sent. Empty if none was.
    text: Zeroizing<String>,
    /// Members that were set one by one. They come before those of the text.
    set: Map<String, Value>,
}

impl LoginAttempt {
    /// Creates an attempt without an address, a client or other members.
    ///
    /// The ready routes bound identifier and password; this doesn't.
    pub fn new(identifier: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            identifier: identifier.into(),
            password: Zeroizing::new(password.into()),
            client_address: None,
            client: ClientInfo::new(),
            members: Members::default(),
            replaces: None,
        }
    }

    /// Sets the address that the attempt comes from.
    #[must_use]
    pub const fn with_client_address(mut self, address: IpAddr) -> Self {
        self.client_address = Some(address);
        self
    }

    /// Sets a member of the body beside identifier and password.
    #[must_use]
    pub fn with_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.set.insert(name.into(), value.into());
        self
    }

    /// Sets the JSON object that the members come from.
    pub(super) fn with_text(mut self, text: Zeroizing<String>) -> Self {
        self.members.text = text;
        self
    }

    /// Sets the client details of the session.
    pub(super) fn with_client(mut self, client: ClientInfo) -> Self {
        self.client = client;
        self
    }

    /// Sets the session that ends in exchange for the one to be opened.
    pub(super) const fn with_replaced(mut self, session: Option<SessionId>) -> Self {
        self.replaces = session;
        self
    }

    /// Returns the name that the client claims: whatever the application tells accounts apart by,
    /// such as an email address.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// Returns the password. Keep it out of logs.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns another member of the body, such as a one-time code or the id of a tenant. Returns
    /// `None` if there is none, if it occurs twice, or if it isn't a `T`.
    ///
    /// The body has at most 16 KiB, members included. The fields of a form are texts. Keep values
    /// that are secrets out of logs.
    ///
    /// # Examples
    ///
    /// ```
    /// use countersign::axum::LoginAttempt;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Device {
    ///     id: String,
    /// }
    ///
    /// # let login = LoginAttempt::new("ada", "correct horse");
    /// let device: Option<Device> = login.member("device");
    /// # assert!(device.is_none());
    /// ```
    pub fn member<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        if let Some(value) = self.members.set.get(name) {
            return T::deserialize(value).ok();
        }
        let mut json = serde_json::Deserializer::from_str(&self.members.text);
        // Only this member is parsed. The others may be what they are.
        let seek = Seek(name, std::marker::PhantomData);
        seek.deserialize(&mut json).ok().flatten()
    }

    /// Returns the address that the attempt comes from, if it is known.
    ///
    /// It is the [`ClientAddress`](super::ClientAddress) that a layer has put into the request's
    /// extensions, or else the peer of the connection if the server was made with connect info
    /// (`into_make_service_with_connect_info::<SocketAddr>()`). Behind a proxy the peer is the
    /// proxy.
    pub const fn client_address(&self) -> Option<IpAddr> {
        self.client_address
    }

    /// Returns the client details of the session.
    pub(super) const fn client(&self) -> &ClientInfo {
        &self.client
    }

    /// Returns the session that ends in exchange for the one to be opened.
    pub(super) const fn replaces(&self) -> Option<SessionId> {
        self.replaces
    }
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginAttempt(..)")
    }
}

/// Reads the one member of an object that has this name.
struct Seek<'n, T>(&'n str, std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Seek<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Seek<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != self.0 {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value()?).is_some() {
                // Two readers could take one each.
                return Ok(None);
            }
        }
        Ok(found)
    }
}
