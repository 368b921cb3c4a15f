//! `GET /users/me`: the account of the user.

use axum::Json;
use countersign::axum::CurrentUser;
use serde::Serialize;
use uuid::Uuid;

use crate::accounts::Account;

/// An account as its owner sees it, in JSON.
///
/// The members are `id`, `email`, `is_active`, `is_verified` and `created_at`. The last is in UTC
/// (RFC 3339), or `null` for accounts that litestar-auth created. The `Debug` output shows nothing
/// of it.
#[derive(Clone, Serialize)]
pub struct Me {
    id: Uuid,
    email: String,
    is_active: bool,
    is_verified: bool,
    created_at: Option<String>,
}

impl From<&Account> for Me {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            email: account.email.clone(),
            is_active: account.is_active,
            is_verified: account.is_verified,
            created_at: account.created_at.map(|moment| moment.to_string()),
        }
    }
}

/// Answers with the account that the token of the request belongs to.
pub async fn me(user: CurrentUser<Account>) -> Json<Me> {
    Json(Me::from(&user.user))
}

/// Hides the account, so that no personal data reaches the logs.
impl std::fmt::Debug for Me {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Me(..)")
    }
}
