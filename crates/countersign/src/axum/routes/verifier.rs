//! The part of a login that the application writes, and what it is given.

use async_trait::async_trait;

use crate::auth::LoginVerdict;
use crate::axum::routes::attempt::LoginAttempt;
use crate::error::Failure;
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
/// Write `#[async_trait::async_trait]` above the `impl`; without it the compiler complains of
/// lifetimes (E0195). The example `own_users` of this crate is a complete implementation. For other
/// ways to log in, such as a second factor or single sign-on, see the
/// [guide](crate::guide::own_login).
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
    /// with the same password. `judged` is the user that it returned for this attempt.
    ///
    /// It is called after the user's login fence was read, so that a login can't outlive a password
    /// change or the end of the account that took place while the password was being hashed. If it
    /// returns `false`, `verify` judges the attempt anew, by the account as it is then.
    ///
    /// Defaults to calling `verify` again, which is always right and hashes each right password
    /// twice. To save that, read the account anew and compare what the judgement depends on, such
    /// as the password's hash. A verifier that uses something up, such as a one-time code, has to
    /// implement it, because its second `verify` would refuse the code.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the question can't be answered now.
    async fn still_holds(&self, login: &LoginAttempt, judged: &U) -> Result<bool, Failure> {
        Ok(holds(&self.verify(login).await?, judged))
    }
}

/// Returns `true` if a second verdict lets the same user in.
pub(crate) fn holds<U: User>(verdict: &LoginVerdict<U>, judged: &U) -> bool {
    matches!(verdict, LoginVerdict::Accepted(now) if now.id() == judged.id() && now.is_active())
}
