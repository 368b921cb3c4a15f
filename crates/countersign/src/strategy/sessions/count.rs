//! Counters, where the feature `metrics` is on.

/// A refresh token that wasn't a first presentation, by its cause.
pub(super) fn reuse(cause: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("countersign_refresh_reuse_total", "cause" => cause).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = cause;
}
