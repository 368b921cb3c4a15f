//! `GET /healthz`, `GET /readyz`.

use axum::Json;
use axum::extract::State;
use countersign::Problem;
use serde_json::{Value, json};

use crate::compose::Stores;

/// The process runs and answers. No store is asked.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The stores answer, so requests can be served; 503 otherwise.
///
/// # Errors
/// [`Problem::STORE_UNAVAILABLE`].
pub async fn readyz(State(stores): State<Stores>) -> Result<Json<Value>, Problem> {
    match stores.ping().await {
        Ok(()) => Ok(Json(json!({ "status": "ready" }))),
        Err(failure) => Err(Problem::from_failure(&failure)),
    }
}
