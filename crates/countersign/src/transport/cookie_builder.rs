//! The settings of cookies, and the checks that refuse what a browser would drop or weaken.
//!
//! Browsers drop a cookie silently if its attributes contradict each other, and the user is then
//! never logged in. So each rule that a browser applies is checked here, when the transport is
//! built.

use std::time::Duration;

use crate::error::ConfigError;
use crate::profile::Profile;
use crate::transport::cookie::{CookieAge, CookieShape, CookieTransport, SameSite};

const HOST_PREFIX: &str = "__Host-";
const SECURE_PREFIX: &str = "__Secure-";

impl CookieTransport {
    /// Creates a builder with the defaults of `profile`.
    ///
    /// # Examples
    ///
    /// ```
    /// use countersign::transport::CookieTransport;
    /// use countersign::Profile;
    ///
    /// let cookies = CookieTransport::builder(Profile::Countersign).build()?;
    /// assert_eq!(cookies.cookie_name(), "__Host-countersign_access");
    /// assert_eq!(cookies.refresh_cookie_name(), "__Host-countersign_refresh");
    ///
    /// let original = CookieTransport::builder(Profile::LitestarAuth).build()?;
    /// assert_eq!(original.refresh_cookie_name(), "litestar_auth_refresh");
    /// # Ok::<_, countersign::ConfigError>(())
    /// ```
    pub const fn builder(profile: Profile) -> CookieTransportBuilder {
        CookieTransportBuilder::new(profile)
    }
}

/// A builder of a [`CookieTransport`], created by [`CookieTransport::builder`].
///
/// The defaults suit a site whose pages and API share one host over https. Change them for
/// development on plain http ([`secure`](Self::secure)) or for a site that spreads over subdomains
/// ([`domain`](Self::domain)).
///
/// | option | default | in the `litestar-auth` profile |
/// |---|---|---|
/// | `cookie_name` | `__Host-countersign_access` | `litestar_auth` |
/// | refresh cookie | `__Host-countersign_refresh` | `<cookie_name>_refresh` |
/// | `max_age`, `refresh_max_age` | the token's life | none: a session cookie |
/// | `path` | `/` | `/` |
/// | `refresh_path` | as `path` | as `path` |
/// | `domain` | none | none |
/// | `secure`, `httponly` | true | true |
/// | `samesite` | lax | lax |
/// | `allow_insecure_cookie_auth` | false | false |
///
/// Browsers let no other host set a cookie whose name begins with `__Host-`, and require `Path=/`
/// and no `Domain` for that. So the refresh cookie travels with every request, and only the refresh
/// and logout routes, and a layer that renews cookies, read it. A narrower `refresh_path` needs a `cookie_name` without that prefix,
/// and any subdomain of the same site can then plant the cookie.
///
/// The refresh cookie is always `HttpOnly`. Without `secure`, the default names lose their
/// prefixes, since browsers would drop the cookies otherwise.
///
/// # Examples
///
/// Cookies for development on plain http:
///
/// ```
/// use countersign::transport::CookieTransport;
/// use countersign::Profile;
///
/// let cookies = CookieTransport::builder(Profile::Countersign)
///     .secure(false)
///     .allow_insecure_cookie_auth(true)
///     .build()?;
/// assert_eq!(cookies.cookie_name(), "countersign_access");
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CookieTransportBuilder {
    profile: Profile,
    cookie_name: Option<String>,
    max_age: Option<Duration>,
    refresh_max_age: Option<Duration>,
    path: Option<String>,
    refresh_path: Option<String>,
    domain: Option<String>,
    secure: bool,
    httponly: bool,
    samesite: SameSite,
    allow_insecure: bool,
}

impl CookieTransportBuilder {
    pub(super) const fn new(profile: Profile) -> Self {
        Self {
            profile,
            cookie_name: None,
            max_age: None,
            refresh_max_age: None,
            path: None,
            refresh_path: None,
            domain: None,
            secure: true,
            httponly: true,
            samesite: SameSite::Lax,
            allow_insecure: false,
        }
    }

    /// Sets the name of the access cookie. The refresh cookie is called `<name>_refresh`.
    ///
    /// The name has 1 to 128 characters: ASCII letters, digits and punctuation other than
    /// separators. Set it if two services share a host, since their `__Host-` cookies share the
    /// path `/`.
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = Some(name.into());
        self
    }

    /// Sets the longest time that browsers keep the access cookie, and the refresh cookie unless
    /// [`refresh_max_age`](Self::refresh_max_age) is set.
    ///
    /// A cookie is never kept longer than its token lives, nor longer than 400 days. Defaults to
    /// the life of each token.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Sets the longest time that browsers keep the refresh cookie. Defaults to
    /// [`max_age`](Self::max_age).
    pub const fn refresh_max_age(mut self, age: Duration) -> Self {
        self.refresh_max_age = Some(age);
        self
    }

    /// Sets the path below which browsers send the access cookie. Defaults to `/`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets the path below which browsers send the refresh cookie. Defaults to
    /// [`path`](Self::path).
    ///
    /// Another path than `/` needs a name without the prefix `__Host-`. The cookie routes must be
    /// below the path, and `/logout` too if it is to end the session of the refresh cookie.
    pub fn refresh_path(mut self, path: impl Into<String>) -> Self {
        self.refresh_path = Some(path.into());
        self
    }

    /// Sets the `Domain` attribute: browsers send the cookies to this host and to every host below
    /// it.
    ///
    /// Write it without a leading dot. It needs a name without the prefix `__Host-`. Defaults to
    /// none: the cookies go back to the host that set them.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets whether browsers send the cookies over TLS only. Defaults to `true`.
    ///
    /// `false` also needs [`allow_insecure_cookie_auth`](Self::allow_insecure_cookie_auth).
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Sets whether scripts are kept from reading the access cookie. Defaults to `true`. The
    /// refresh cookie is `HttpOnly` in any case.
    pub const fn httponly(mut self, httponly: bool) -> Self {
        self.httponly = httponly;
        self
    }

    /// Sets the [`SameSite`] attribute of both cookies. Defaults to [`SameSite::Lax`].
    pub const fn samesite(mut self, samesite: SameSite) -> Self {
        self.samesite = samesite;
        self
    }

    /// Sets whether `secure(false)` is allowed. Defaults to `false`.
    ///
    /// It is meant for development on plain http, where anyone on the way can take the cookies.
    pub const fn allow_insecure_cookie_auth(mut self, allow: bool) -> Self {
        self.allow_insecure = allow;
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the option:
    ///
    /// - a name, path or domain outside the grammar of RFC 6265 section 4.1.1,
    /// - a prefix whose rules the other options break (rfc6265bis section 4.1.3),
    /// - `samesite` none without `secure`,
    /// - `secure` off without [`allow_insecure_cookie_auth`](Self::allow_insecure_cookie_auth).
    pub fn build(self) -> Result<CookieTransport, ConfigError> {
        self.check_security()?;
        let (access_name, refresh_name) = self.names();
        let access_path = self.path.clone().unwrap_or_else(|| "/".to_owned());
        let refresh_path = self
            .refresh_path
            .clone()
            .unwrap_or_else(|| access_path.clone());

        check_name(&access_name)?;
        check_path("path", &access_path)?;
        check_path("refresh_path", &refresh_path)?;
        self.domain.as_deref().map_or(Ok(()), check_domain)?;
        self.check_prefix(&access_name, &access_path, &refresh_path)?;

        Ok(CookieTransport {
            profile: self.profile,
            access: CookieShape {
                name: access_name.into(),
                path: access_path,
                httponly: self.httponly,
                age: self.age(self.max_age),
            },
            refresh: CookieShape {
                name: refresh_name.into(),
                path: refresh_path,
                httponly: true,
                age: self.age(self.refresh_max_age.or(self.max_age)),
            },
            domain: self.domain,
            secure: self.secure,
            samesite: self.samesite,
        })
    }

    /// Returns the age of a cookie. The original writes session cookies by default. Ours end with
    /// their token.
    const fn age(&self, own: Option<Duration>) -> CookieAge {
        match (own, self.profile) {
            (Some(age), _) => CookieAge::AtMost(age),
            (None, Profile::Countersign) => CookieAge::Token,
            (None, Profile::LitestarAuth) => CookieAge::Session,
        }
    }

    fn check_security(&self) -> Result<(), ConfigError> {
        if self.samesite == SameSite::None && !self.secure {
            let cure = "enable secure, or set samesite to lax or strict";
            return Err(ConfigError::new(
                "samesite",
                "can't be none while secure is off, because browsers reject such cookies",
                cure,
            ));
        }

        if !self.secure && !self.allow_insecure {
            let cure =
                "enable it, or set allow_insecure_cookie_auth for development over plain HTTP";
            return Err(ConfigError::new(
                "secure",
                "is off, so the cookie could be read on the network",
                cure,
            ));
        }
        Ok(())
    }

    /// Returns the names of the access and the refresh cookie.
    fn names(&self) -> (String, String) {
        match (&self.cookie_name, self.profile) {
            (Some(name), _) => (name.clone(), format!("{name}_refresh")),
            (None, Profile::LitestarAuth) => (
                "litestar_auth".to_owned(),
                "litestar_auth_refresh".to_owned(),
            ),
            (None, Profile::Countersign) if self.secure => (
                format!("{HOST_PREFIX}countersign_access"),
                format!("{HOST_PREFIX}countersign_refresh"),
            ),
            (None, Profile::Countersign) => (
                "countersign_access".to_owned(),
                "countersign_refresh".to_owned(),
            ),
        }
    }

    /// Refuses options that break the rules of a `__Host-` or `__Secure-` name.
    fn check_prefix(&self, name: &str, path: &str, refresh_path: &str) -> Result<(), ConfigError> {
        let host = has_prefix(name, HOST_PREFIX);
        if !host && !has_prefix(name, SECURE_PREFIX) {
            return Ok(());
        }

        if !self.secure {
            return breaks_prefix(
                "secure",
                "must be on if the cookie name begins with __Host- or __Secure-",
            );
        }
        if host && self.domain.is_some() {
            return breaks_prefix(
                "domain",
                "must not be set if the cookie name begins with __Host-",
            );
        }
        if host && path != "/" {
            return breaks_prefix("path", "must be / if the cookie name begins with __Host-");
        }
        if host && refresh_path != "/" {
            return breaks_prefix(
                "refresh_path",
                "must be / if the cookie name begins with __Host-",
            );
        }
        Ok(())
    }
}

/// Returns the error for an option that breaks the rules of a prefix.
fn breaks_prefix(option: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    let cure = "use a cookie_name without the prefix, or follow the rules of the prefix";
    Err(ConfigError::new(option, problem, cure))
}

/// Returns `true` if `name` has the prefix. Browsers compare prefixes without case.
fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn check_name(name: &str) -> Result<(), ConfigError> {
    let separators = b"()<>@,;:\\\"/[]?={}";
    let is_token = name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !separators.contains(&byte));
    if (1..=128).contains(&name.len()) && is_token {
        return Ok(());
    }
    Err(ConfigError::new(
        "cookie_name",
        "is not a valid cookie name (RFC 6265 section 4.1.1)",
        "use letters, digits, `-` and `_`",
    ))
}

fn check_path(option: &'static str, path: &str) -> Result<(), ConfigError> {
    let is_printable = path
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b';');
    if path.starts_with('/') && path.len() <= 1024 && is_printable {
        return Ok(());
    }
    Err(ConfigError::new(
        option,
        "is not a valid cookie path",
        "use a path that starts with / and contains only printable ASCII without `;`",
    ))
}

/// Returns `true` for one part of a host name.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn check_domain(domain: &str) -> Result<(), ConfigError> {
    if domain.len() <= 253 && domain.split('.').all(is_label) {
        return Ok(());
    }
    Err(ConfigError::new(
        "domain",
        "is not a valid host name",
        "write it without a leading dot, for example example.com",
    ))
}
