//! `GET /healthz`, `GET /readyz`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use countersign::Problem;
use countersign::store::TokenStore;
use serde_json::{Value, json};

/// The process runs and answers. No store is asked.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The store answers, so requests can be served; 503 otherwise.
///
/// # Errors
/// [`Problem::STORE_UNAVAILABLE`].
pub async fn readyz(State(store): State<Arc<dyn TokenStore>>) -> Result<Json<Value>, Problem> {
    match store.ping().await {
        Ok(()) => Ok(Json(json!({ "status": "ready" }))),
        Err(failure) => Err(Problem::from_failure(&failure)),
    }
}
