//! The part of a login that the application writes, and what it is given.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::session::{ClientInfo, SessionId};
use crate::user::User;

/// An application's own check of identifier and password, for the login routes.
///
/// An implementation looks the account up, checks the password against its hash, and returns a
/// [verdict](LoginVerdict). Three things make it safe:
///
/// - An unknown identifier takes as much time as a wrong password: check the password against some
///   hash of the same cost. Otherwise the time tells which accounts exist.
/// - Hashing runs off the threads that serve requests (`tokio::task::spawn_blocking`), and no more
///   hashes at once than the machine has room for. [`LoginVerdict::Overloaded`] answers the others.
/// - Failed attempts are limited for each account and address. [`LoginVerdict::RateLimited`]
///   answers those beyond the limit.
///
/// The example `own_users` of this crate is a complete implementation. For other ways to log in,
/// such as a form, a second factor or single sign-on, see the [guide](crate::guide::own_login).
///
/// # Examples
///
/// ```
/// use countersign::axum::{CredentialVerifier, LoginAttempt, LoginVerdict};
/// # use countersign::{Failure, User};
/// # #[derive(Clone)]
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// # async fn find_and_check(_: &str, _: &str) -> Result<Option<Member>, Failure> { Ok(None) }
///
/// struct Members;
///
/// #[async_trait::async_trait]
/// impl CredentialVerifier<Member> for Members {
///     async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
///         Ok(match find_and_check(login.identifier(), login.password()).await? {
///             Some(member) => LoginVerdict::Accepted(member),
///             None => LoginVerdict::Rejected,
///         })
///     }
/// }
/// ```
#[async_trait]
pub trait CredentialVerifier<U: User>: Send + Sync {
    /// Returns the verdict on one attempt.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the question can't be answered now. The client is answered with 503
    /// and may try again.
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<U>, Failure>;

    /// Returns `true` if the account is still as [`verify`](Self::verify) judged it: active, and
    /// with the same password.
    ///
    /// It is called after the user's login fence was read, so that a login can't outlive a password
    /// change or the end of the account that took place while the password was being hashed. Read
    /// the account anew. If it returns `false`, the attempt is judged again by the account as it is
    /// then, three times at most.
    ///
    /// Defaults to `true`. Implement it wherever passwords can change.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the question can't be answered now.
    async fn still_holds(&self, user: &U) -> Result<bool, Failure> {
        let _ = user;
        Ok(true)
    }
}

/// The verdict on an attempt to log in.
#[derive(Clone)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each verdict has an answer of its own, so a new one concerns everybody"
)]
pub enum LoginVerdict<U> {
    /// Identifier and password are right. A user whose account isn't active is answered as if they
    /// were wrong.
    Accepted(U),
    /// Identifier or password is wrong, or the account may not be used: 401. The client isn't told
    /// which.
    Rejected,
    /// There were too many attempts: 429.
    RateLimited {
        /// The time after which the client may try again.
        retry_after: Duration,
    },
    /// There are more attempts at once than can be checked: 503.
    Overloaded {
        /// The time after which the client may try again.
        retry_after: Duration,
    },
}

/// Leaves the user out: a user type's own `Debug` may print what logs must not hold.
impl<U> fmt::Debug for LoginVerdict<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted(_) => "Accepted(..)",
            Self::Rejected => "Rejected",
            Self::RateLimited { .. } => "RateLimited",
            Self::Overloaded { .. } => "Overloaded",
        })
    }
}

/// An attempt to log in: an identifier of 1 to 320 characters and a password of 1 to 1024 bytes,
/// both exactly as sent.
///
/// Its `Debug` output shows neither. The password is wiped from memory when the attempt is dropped.
pub struct LoginAttempt {
    pub(super) identifier: String,
    pub(super) password: Zeroizing<String>,
    pub(super) client_address: Option<IpAddr>,
    pub(super) client: ClientInfo,
    /// The session that ends in exchange for the one to be opened.
    pub(super) replaces: Option<SessionId>,
}

impl LoginAttempt {
    /// Returns the name that the client claims: whatever the application tells accounts apart by,
    /// such as an email address.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// Returns the password. Keep it out of logs.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the address that the attempt comes from, if it is known.
    ///
    /// It is the [`ClientAddress`] that a layer has put into the request's extensions, or else the
    /// peer of the connection if the server was made with connect info
    /// (`into_make_service_with_connect_info::<SocketAddr>()`). Behind a proxy the peer is the
    /// proxy.
    pub const fn client_address(&self) -> Option<IpAddr> {
        self.client_address
    }
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginAttempt(..)")
    }
}

/// The address of the client as a trusted proxy told it: a request extension.
///
/// Set it in a layer of your own that knows which proxies to trust. Take the right-most address of
/// `X-Forwarded-For` that no trusted proxy has written; the left-most is whatever the client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an extension of one value")]
pub struct ClientAddress(pub IpAddr);
