//! The facts of a login beside its user: the client, and the fence that was read first.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{AuthError, ConfigError, Failure, Refusal};
use crate::session::{ClientInfo, checked};
use crate::store::Fence;

/// The fence of a user at the beginning of a login.
///
/// Get it from [`SessionControl::login_fence`](crate::strategy::SessionControl::login_fence) before
/// the account is loaded, and give it to [`Login::behind`]. It is valid for five minutes.
///
/// "Log out everywhere" and a change of password replace the fence. A login that began before is
/// then refused, because its password may have been judged by the account as it was.
#[derive(Clone, Copy, Debug)]
pub struct LoginFence {
    pub(super) fence: Fence,
    /// The time at which the fence was read.
    pub(super) read_at: Timestamp,
}

/// The facts of a login, beside its user: client details, the login fence, and a lifetime of its
/// own.
///
/// # Examples
///
/// ```
/// use countersign::store::MemoryStore;
/// use countersign::strategy::{DatabaseTokenStrategy, Login};
/// use countersign::strategy::{RefreshableStrategy, SessionControl};
/// use countersign::{ClientInfo, Refusal, Secret, SystemEntropy, User, UserId};
///
/// # struct Account { id: i64 }
/// # impl User for Account {
/// #     type Id = i64;
/// #     fn id(&self) -> &i64 { &self.id }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
///     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
///     .build()?;
/// let user = 7_i64.to_key();
///
/// // First the fence, then the account.
/// let fence = strategy.login_fence(&user).await?;
/// let account = Account { id: 7 }; // load it here, and check the password
/// let client = ClientInfo::new().with_user_agent("curl/8.5.0");
///
/// // Meanwhile the user logs out everywhere.
/// strategy.end_sessions(&user, None).await?;
///
/// let refused = strategy.log_in(&account, &Login::from(client).behind(fence)).await.unwrap_err();
/// assert_eq!(refused.refusal(), Some(Refusal::Overtaken));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Login {
    /// The client details, which device lists show.
    pub client: ClientInfo,
    /// The user's login fence, read before the account was loaded.
    ///
    /// The session is opened only if the fence is still the same. With `None` it is read when the
    /// session is opened, so that only a "log out everywhere" from then on is noticed.
    pub fence: Option<LoginFence>,
    /// The longest life of the session, in place of the session limit of the strategy.
    pub(super) lifetime: Option<Duration>,
    /// `true` if browsers forget the tokens when they are closed.
    is_until_closed: bool,
}

impl Login {
    /// Sets the login fence: the session is opened only if the fence is still the same.
    #[must_use]
    pub const fn behind(mut self, fence: LoginFence) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Sets the longest life of this session, counted from now, in place of the
    /// [session limit](crate::Lifetimes::with_max_session_age) of the strategy. It may be shorter or
    /// longer than that.
    ///
    /// The session keeps it however often it is refreshed, and no token outlives it. The idle
    /// timeout is that of the strategy. A strategy without sessions ignores it.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `session lifetime` if it is shorter than one second or
    /// longer than [`MAX_LIFETIME`](crate::session::MAX_LIFETIME).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use countersign::ClientInfo;
    /// use countersign::strategy::Login;
    ///
    /// // On a borrowed device: at most half a day, and no longer than the browser is open.
    /// let login = Login::from(ClientInfo::new())
    ///     .lasting(Duration::from_secs(12 * 3600))?
    ///     .until_closed();
    /// # let _ = login;
    /// # Ok::<_, countersign::ConfigError>(())
    /// ```
    pub fn lasting(mut self, lifetime: Duration) -> Result<Self, ConfigError> {
        self.lifetime = Some(checked("session lifetime", lifetime)?);
        Ok(self)
    }

    /// Makes browsers forget the tokens when they are closed: the cookies get no `Max-Age`, and
    /// those of later refreshes get none either. Tokens in a body are not affected.
    ///
    /// Browsers that restore their windows keep such cookies, so it is a courtesy and no limit. Set
    /// a limit with [`lasting`](Self::lasting).
    #[must_use]
    pub const fn until_closed(mut self) -> Self {
        self.is_until_closed = true;
        self
    }

    /// Returns `true` if browsers forget the tokens when they are closed. Defaults to `false`.
    pub const fn is_until_closed(&self) -> bool {
        self.is_until_closed
    }
}

impl From<ClientInfo> for Login {
    fn from(client: ClientInfo) -> Self {
        Self {
            client,
            ..Self::default()
        }
    }
}

/// Turns a refusal into a failure, for a login whose caller expects no refusals.
pub(in crate::strategy) fn unrefused(error: AuthError) -> Failure {
    match error {
        AuthError::Failed(failure) => failure,
        AuthError::Refused(Refusal::TooManySessions) => Failure::full("list of sessions"),
        AuthError::Refused(refusal) => Failure::unavailable("sessions", refusal),
    }
}
