//! Requests as plain text, for servers on another version of the `http` crate or on none.

use http::Request;
use http::request::Parts;

use crate::auth::{AuthOutcome, Authenticator};
use crate::error::Refusal;
use crate::event;
use crate::user::User;

impl<U: User> Authenticator<U> {
    /// Authenticates a request that is given as plain text, for servers whose request types aren't
    /// those of `http` 1, such as actix-web.
    ///
    /// `target` is the request's target: a path, or an absolute address where the server knows one.
    /// `headers` are all headers of the request, a repeated one as often as it came. Leave none
    /// out: whether a request has two credentials, and where it comes from, is told by the others.
    ///
    /// The result is the same as that of [`authenticate_request`](Self::authenticate_request). A
    /// method, target or header that HTTP doesn't allow is refused as
    /// [`Refusal::MalformedRequest`].
    ///
    /// # Examples
    ///
    /// A refusal is answered with the status, the headers and the body of its
    /// [`Problem`](crate::Problem), which are plain text too:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use countersign::store::MemoryStore;
    /// # use countersign::strategy::DatabaseTokenStrategy;
    /// # use countersign::transport::BearerTransport;
    /// # use countersign::strategy::Strategy;
    /// # use countersign::{AuthenticationBackend, Failure, Secret, SystemEntropy, User};
    /// # struct Member { id: i64 }
    /// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
    /// # #[cfg(feature = "tower")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { run() }
    /// # #[cfg(not(feature = "tower"))]
    /// # fn main() {}
    /// # #[cfg(feature = "tower")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
    /// #     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
    /// #     .build()?;
    /// # let issued = strategy.write_token(&Member { id: 7 }).await?;
    /// # let users = |id: i64| async move { Ok::<_, Failure>(Some(Member { id })) };
    /// # let authenticator = Authenticator::builder(Arc::new(users))
    /// #     .backend(AuthenticationBackend::new("api", BearerTransport, Arc::new(strategy)))
    /// #     .build()?;
    /// use countersign::{Authenticator, Problem};
    ///
    /// /// The answer of a server of another kind: text and bytes.
    /// struct Reply { status: u16, headers: Vec<(String, String)>, body: Vec<u8> }
    ///
    /// async fn who(
    ///     authenticator: &Authenticator<Member>,
    ///     headers: &[(&str, &[u8])],
    /// ) -> Result<i64, Reply> {
    ///     let outcome = authenticator.authenticate_headers("GET", "/me", headers.to_vec()).await;
    ///     if let Some(accepted) = outcome.accepted() {
    ///         return Ok(accepted.user.id);
    ///     }
    ///     let problem = Problem::from_outcome(&outcome).unwrap_or(Problem::INTERNAL);
    ///     Err(Reply {
    ///         status: problem.status().as_u16(),
    ///         headers: problem.headers(),
    ///         body: problem.body(),
    ///     })
    /// }
    ///
    /// # let bearer = format!("Bearer {}", issued.token.expose());
    /// let good = [("authorization", bearer.as_bytes())];
    /// assert_eq!(who(&authenticator, &good).await.ok(), Some(7));
    ///
    /// let Err(refused) = who(&authenticator, &[]).await else { panic!("nobody") };
    /// assert_eq!(refused.status, 401);
    /// assert!(refused.headers.contains(&("www-authenticate".to_owned(), "Bearer".to_owned())));
    /// assert!(String::from_utf8(refused.body)?.contains("AUTHENTICATION_REQUIRED"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn authenticate_headers<'r>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (&'r str, &'r [u8])>,
    ) -> AuthOutcome<U> {
        let Ok(parts) = parts(method, target, headers) else {
            event::refused(None, None, Refusal::MalformedRequest);
            return AuthOutcome::Refused(Refusal::MalformedRequest);
        };
        self.authenticate_request(&parts).await
    }
}

/// Returns the head of the request.
fn parts<'r>(
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'r str, &'r [u8])>,
) -> Result<Parts, http::Error> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    Ok(request.body(())?.into_parts().0)
}
