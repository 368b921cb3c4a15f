//! The counters of sessions. They count with the feature `metrics`, and do nothing without it.

/// Counts a refresh token that is not the current one of its session, by cause. The counter is
/// `countersign_refresh_reuse_total`.
pub(super) fn reuse(cause: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("countersign_refresh_reuse_total", "cause" => cause).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = cause;
}
