//! The application's accounts, in one trait.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::axum::routes::holds;
use crate::axum::{CredentialVerifier, LoginAttempt, LoginVerdict};
use crate::error::Failure;
use crate::user::{User, UserManager};

/// The accounts of an application: looked up by id for each request, and checked at login.
///
/// [`Auth::builder`](crate::Auth::builder) takes an implementation. It is the only part that an
/// application has to write. Methods are plain `async fn`s.
///
/// # Implementing
///
/// - [`find`](Self::find) returns inactive accounts as they are: [`User::is_active`] decides about
///   them. If it isn't known whether an account exists, return a [`Failure`]: the request is
///   answered with 503, and nobody is logged out.
/// - [`verify`](Self::verify) takes as long for an unknown identifier as for a wrong password, or
///   the time tells which accounts exist. Hash passwords with `tokio::task::spawn_blocking`, and no
///   more of them at once than the machine has room for.
/// - Give [`User::password_hash`] if you can. A login whose password was changed while it was being
///   checked is refused in any case; with the hash, that takes one look-up in place of a second
///   check of the password ([`still_holds`](Self::still_holds)).
///
/// # Examples
///
/// ```
/// use countersign::axum::{LoginAttempt, LoginVerdict};
/// use countersign::{Failure, User, Users};
///
/// #[derive(Clone)]
/// struct Member { id: i64 }
///
/// impl User for Member {
///     type Id = i64;
///     fn id(&self) -> &i64 { &self.id }
/// }
///
/// struct Members;
///
/// impl Users for Members {
///     type User = Member;
///
///     async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
///         Ok(Some(Member { id: *id })) // SELECT … FROM member WHERE id = …
///     }
///
///     async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
///         # let _ = login;
///         Ok(LoginVerdict::Accepted(Member { id: 7 })) // check the hash of login.password()
///     }
/// }
/// ```
pub trait Users: Send + Sync + 'static {
    /// The account, as far as tokens need to know it.
    type User: User;

    /// Returns the account with this id, or `None` if there is certainly none.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the question can't be answered now.
    fn find(
        &self,
        id: &<Self::User as User>::Id,
    ) -> impl Future<Output = Result<Option<Self::User>, Failure>> + Send;

    /// Returns the verdict on an attempt to log in.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the question can't be answered now.
    fn verify(
        &self,
        login: &LoginAttempt,
    ) -> impl Future<Output = Result<LoginVerdict<Self::User>, Failure>> + Send;

    /// Returns `true` if an account is still as [`verify`](Self::verify) judged it. `judged` is the
    /// user that it returned for this attempt.
    ///
    /// It is asked after the user's login fence was read, and before the session is opened. If it
    /// returns `false`, `verify` judges the attempt anew.
    ///
    /// Defaults to looking the account up again: it must be active and have the same
    /// [`password_hash`](User::password_hash), so return from `verify` the row whose hash was
    /// checked. For an account type that gives no hash it calls `verify` again, which is always
    /// right and hashes each right password twice. A `verify` that uses something up, such as a
    /// one-time code, then has to implement this method, because its second call would refuse the
    /// code.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the question can't be answered now.
    fn still_holds(
        &self,
        login: &LoginAttempt,
        judged: &Self::User,
    ) -> impl Future<Output = Result<bool, Failure>> + Send {
        async move {
            // Without a hash, nothing tells that the password is another one by now.
            let Some(hash) = judged.password_hash() else {
                return Ok(holds(&self.verify(login).await?, judged));
            };
            let now = self.find(judged.id()).await?;
            Ok(now.is_some_and(|now| now.is_active() && now.password_hash() == Some(hash)))
        }
    }
}

/// The users of an application, as the layers below ask for them.
pub(super) struct Accounts<M>(pub(super) Arc<M>);

impl<M> Clone for Accounts<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[async_trait]
impl<M: Users> UserManager<M::User> for Accounts<M> {
    async fn get(&self, id: &<M::User as User>::Id) -> Result<Option<M::User>, Failure> {
        self.0.find(id).await
    }
}

#[async_trait]
impl<M: Users> CredentialVerifier<M::User> for Accounts<M> {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<M::User>, Failure> {
        self.0.verify(login).await
    }

    async fn still_holds(&self, login: &LoginAttempt, judged: &M::User) -> Result<bool, Failure> {
        self.0.still_holds(login, judged).await
    }
}
