//! `GET /healthz`, `GET /readyz`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use countersign::Problem;
use http::StatusCode;
use serde_json::{Value, json};

use crate::compose::{Readiness, Stores};

const DRAINING: Problem =
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "DRAINING", "This server is about to stop. Ask another one.")
        .retry_after(Duration::from_secs(1));

/// The process runs and answers. No store is asked.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Requests can be served, seen by doing what they do; 503 otherwise.
///
/// # Errors
/// [`Problem::STORE_UNAVAILABLE`], or a problem of code `DRAINING` once the server has been told to stop.
pub async fn readyz(State(stores): State<Stores>) -> Result<Json<Value>, Problem> {
    match stores.readiness().await {
        Readiness::Ready => Ok(Json(json!({ "status": "ready" }))),
        Readiness::Unready => Err(Problem::STORE_UNAVAILABLE),
        Readiness::Leaving => Err(DRAINING),
    }
}
