//! `GET /healthz` and `GET /readyz`: liveness and readiness, for supervisors and load balancers.
//!
//! Restart a server that fails `/healthz`, and send no requests to one that fails `/readyz`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use countersign::Problem;
use http::StatusCode;
use serde_json::{Value, json};

use crate::compose::{Readiness, Stores};

/// 503: the server has been told to stop, and is still answering.
const DRAINING: Problem = Problem::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "DRAINING",
    "The server is shutting down.",
)
.retry_after(Duration::from_secs(1));

/// Answers 200 as long as the process runs. Asks no store.
///
/// A failed store must not make this fail: a supervisor would restart a server that works.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Answers 200 if requests can be served. Asks each store to do what requests need of it.
///
/// # Errors
/// [`Problem::STORE_UNAVAILABLE`] if a store doesn't answer. A 503 with the code `DRAINING` once
/// the server has been told to stop.
pub async fn readyz(State(stores): State<Stores>) -> Result<Json<Value>, Problem> {
    match stores.readiness().await {
        Readiness::Ready => Ok(Json(json!({ "status": "ready" }))),
        Readiness::Unready => Err(Problem::STORE_UNAVAILABLE),
        Readiness::Leaving => Err(DRAINING),
    }
}
