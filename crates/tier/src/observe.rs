//! Events through the `tracing` facade, figures through the `metrics` facade: both are features, and nothing without them.

use crate::{error::Error, stats::Stats};

/// The server is connected to.
pub(crate) fn connected(server: &str) {
    #[cfg(feature = "tracing")]
    tracing::info!(server, "near tier connected");
    _ = server;
}

/// The connection is lost.
pub(crate) fn lost(server: &str, words: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(server, words, "near tier lost its connection");
    _ = (server, words);
}

/// An attempt to connect again failed.
pub(crate) fn cannot_connect(server: &str, error: &Error) {
    #[cfg(feature = "tracing")]
    tracing::debug!(server, %error, "near tier cannot connect");
    _ = (server, error);
}

/// The server has said to forget all.
pub(crate) fn flushed(server: &str) {
    #[cfg(feature = "tracing")]
    tracing::info!(server, "near tier forgets all");
    _ = server;
}

/// An early refresh failed, and the value that is kept goes on.
pub(crate) fn refresh_failed(error: &Error) {
    #[cfg(feature = "tracing")]
    tracing::debug!(%error, "near tier could not refresh");
    _ = error;
}

/// The figures, told at each heartbeat: hits cost no call of the facade.
pub(crate) fn figures(server: &str, prefix: &str, stats: &Stats) {
    #[cfg(feature = "metrics")]
    {
        let labels = [("server", server.to_owned()), ("prefix", prefix.to_owned())];
        for (name, value) in [
            ("evanesce_tier_hits_total", stats.hits),
            ("evanesce_tier_stale_hits_total", stats.stale_hits),
            ("evanesce_tier_fills_total", stats.fills),
            ("evanesce_tier_refused_fills_total", stats.refused_fills),
            ("evanesce_tier_joined_total", stats.joined),
            ("evanesce_tier_pushes_total", stats.pushes),
            ("evanesce_tier_flushes_total", stats.flushes),
            ("evanesce_tier_losses_total", stats.losses),
            ("evanesce_tier_loads_total", stats.loads),
            ("evanesce_tier_lease_waits_total", stats.lease_waits),
        ] {
            metrics::counter!(name, &labels).absolute(value);
        }
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        metrics::gauge!("evanesce_tier_entries", &labels).set(stats.entries as f64);
        if let Some(lag) = stats.push_lag {
            metrics::gauge!("evanesce_tier_push_lag_seconds", &labels).set(lag.as_secs_f64());
        }
    }
    _ = (server, prefix, stats);
}
