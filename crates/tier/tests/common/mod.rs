//! What tests and examples need of servers: each is started by itself, on a free loopback port, and ends with its owner.

#![allow(dead_code, unreachable_pub, reason = "not each of those who include it uses all")]

pub mod cluster;
pub mod proxy;
pub mod server;

use std::time::{Duration, Instant};

/// Waits until `is_so`, asked again and again.
///
/// # Panics
///
/// If that is not so within 20 seconds.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
