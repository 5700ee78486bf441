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

/// A node of the cluster says that it is not as it was.
pub(crate) fn topology_changed(server: &str) {
    #[cfg(feature = "tracing")]
    tracing::info!(server, "near tier hears of another topology");
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
            ("evanesce_tier_topology_changes_total", stats.topology_changes),
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

#[cfg(all(test, feature = "metrics", not(evanesce_shuttle)))]
mod tests {
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    use super::*;

    /// Notes what counters are set to.
    #[derive(Default)]
    struct Notes(Arc<Mutex<Vec<(String, u64)>>>);

    struct Noted(String, Arc<Mutex<Vec<(String, u64)>>>);

    impl CounterFn for Noted {
        fn increment(&self, _: u64) {
            unreachable!("they are set")
        }

        fn absolute(&self, value: u64) {
            self.1.lock().unwrap().push((self.0.clone(), value));
        }
    }

    impl Recorder for Notes {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            let labels = key.labels().map(|label| label.value().to_owned()).collect::<Vec<_>>();
            let name = format!("{} {}", key.name(), labels.join(" "));
            Counter::from_arc(Arc::new(Noted(name, Arc::clone(&self.0))))
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn figures_reach_the_facade() {
        let notes = Notes::default();
        let stats = Stats { hits: 7, losses: 2, ..Stats::default() };
        metrics::with_local_recorder(&notes, || figures("redis://host", "p:", &stats));
        let told = notes.0.lock().unwrap();
        assert!(told.contains(&("evanesce_tier_hits_total redis://host p:".into(), 7)));
        assert!(told.contains(&("evanesce_tier_losses_total redis://host p:".into(), 2)));
    }
}
