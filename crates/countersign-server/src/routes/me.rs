//! `GET /users/me`.

use axum::Json;
use countersign::axum::CurrentUser;
use serde::Serialize;
use uuid::Uuid;

use crate::accounts::Account;

/// An account as its owner sees it.
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

/// The account whose token came with the request.
pub async fn me(user: CurrentUser<Account>) -> Json<Me> {
    Json(Me::from(&user.user))
}

/// Shows nothing of the person (SECURITY row G-01).
impl std::fmt::Debug for Me {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Me(..)")
    }
}
