use std::error::Error;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use axum::{Router, routing::get};
use countersign::axum::{CurrentUser, LoginAttempt, LoginVerdict};
use countersign::store::sql::sqlx::{self, PgPool};
use countersign::{Auth, Failure, Secret, User, Users};
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// A row of the application's table `member (id uuid, email text, password_hash text)`.
#[derive(Clone)]
pub struct Member {
    id: Uuid,
    email: String,
    password_hash: String,
}

impl User for Member {
    type Id = Uuid;

    fn id(&self) -> &Uuid {
        &self.id
    }

    fn password_hash(&self) -> Option<&str> {
        Some(&self.password_hash)
    }
}

/// The hash that the password of an unknown member is checked against, which takes as long.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA\
                     $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn is_right(password: &str, hash: &str) -> bool {
    let check = |hash| Argon2::default().verify_password(password.as_bytes(), &hash);
    PasswordHash::new(hash).is_ok_and(|hash| check(hash).is_ok())
}

// What follows is all that the library asks for.

pub struct Members(PgPool);

fn member((id, email, password_hash): (Uuid, String, String)) -> Member {
    Member {
        id,
        email,
        password_hash,
    }
}

fn failed(error: sqlx::Error) -> Failure {
    Failure::unavailable("members", error)
}

impl Users for Members {
    type User = Member;

    async fn find(&self, id: &Uuid) -> Result<Option<Member>, Failure> {
        let by_id = "SELECT id, email, password_hash FROM member WHERE id = $1";
        let row = sqlx::query_as(by_id).bind(id).fetch_optional(&self.0);
        Ok(row.await.map_err(failed)?.map(member))
    }

    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        let by_email = "SELECT id, email, password_hash FROM member WHERE email = $1";
        let row = sqlx::query_as(by_email).bind(login.identifier());
        let found = row.fetch_optional(&self.0).await.map_err(failed)?;
        let found = found.map(member);
        let hash = found.as_ref().map_or(DECOY, |found| &found.password_hash);
        let (password, hash) = (login.password().to_owned(), hash.to_owned());
        let is_right = spawn_blocking(move || is_right(&password, &hash)).await;
        match (is_right, found) {
            (Ok(true), Some(member)) => Ok(LoginVerdict::Accepted(member)),
            (Ok(_), _) => Ok(LoginVerdict::Rejected),
            (Err(error), _) => Err(Failure::internal("password hashing", error)),
        }
    }
}

async fn me(member: CurrentUser<Member>) -> String {
    member.user.email.clone()
}

pub async fn service(pool: PgPool, secret: &Secret) -> Result<Router, Box<dyn Error>> {
    let auth = Auth::builder(Members(pool.clone()))
        .database(pool)
        .secret(secret)
        .build()
        .await?;
    tokio::spawn(auth.maintain());
    Ok(Router::new()
        .route("/me", get(me))
        .layer(auth.layer())
        .nest("/auth", auth.routes()))
}
