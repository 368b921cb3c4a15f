//! A service whose tokens are in a store of its own: a file of the embedded database redb.
//!
//! [`RedbStore`] implements `countersign::store::TokenStore`, and its test runs the suite that
//! every store of countersign passes. Everything above the store stays as it is.

mod store;

use axum::Router;
use axum::routing::get;
use countersign::axum::{CurrentUser, LoginAttempt, LoginVerdict};
use countersign::{Auth, AuthBuilder, Failure, Secret, User, Users};

pub use store::RedbStore;

/// A member of the site.
#[derive(Clone, Debug)]
pub struct Member {
    /// The id.
    pub id: i64,
}

impl User for Member {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.id
    }
}

/// The accounts: Ada alone. The example `own_users` of the library has a table of them, with hashes
/// of passwords.
#[derive(Debug)]
struct Members;

impl Users for Members {
    type User = Member;

    async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
        Ok((*id == 7).then_some(Member { id: 7 }))
    }

    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        Ok(match (login.identifier(), login.password()) {
            ("ada", "correct horse battery") => LoginVerdict::Accepted(Member { id: 7 }),
            _ => LoginVerdict::Rejected,
        })
    }
}

/// Starts to build authentication over a store.
pub fn auth(store: RedbStore, secret: &Secret) -> AuthBuilder<Member> {
    Auth::builder(Members).store(store).secret(secret)
}

/// Returns the application.
pub fn app(auth: &Auth<Member>) -> Router {
    Router::new()
        .route("/me", get(me))
        .layer(auth.layer())
        .nest("/auth", auth.routes())
}

async fn me(member: CurrentUser<Member>) -> String {
    format!("member {}\n", member.user.id)
}
