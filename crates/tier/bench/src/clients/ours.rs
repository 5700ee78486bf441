//! Tiers of this crate.

use std::{sync::Arc, time::Duration};

use evanesce_tier::{Bytes, Tier, Tracking};

use super::{Client, Failure, MAX_ENTRIES, NEAR_TTL, PATIENCE, PREFIX};

type Values = Tier<str, Vec<u8>>;

/// A tier; with prefixes, of keys that begin with `PREFIX`.
pub(crate) async fn tier(url: &str, tracking: Tracking) -> Result<Values, Failure> {
    let mut options = Tier::builder(url).codec(Bytes).near_ttl(NEAR_TTL).max_entries(MAX_ENTRIES);
    if matches!(tracking, Tracking::Prefixes(_)) {
        options = options.prefix(PREFIX);
    }
    let options = options.heartbeat(Duration::from_secs(1), PATIENCE).request_timeout(PATIENCE);
    Ok(options.tracking(tracking).connect().await?)
}

/// The server notes each key that is read.
#[derive(Clone)]
pub(crate) struct OptIn(Values);

impl Client for OptIn {
    const NAME: &'static str = "evanesce-tier";
    type Value = Arc<Vec<u8>>;

    async fn connect(url: &str) -> Result<Self, Failure> {
        Ok(Self(tier(url, Tracking::OptIn).await?))
    }

    async fn get(&mut self, key: &str) -> Result<Option<Arc<Vec<u8>>>, Failure> {
        Ok(self.0.get(key).await?)
    }

    fn bytes(value: &Arc<Vec<u8>>) -> &[u8] {
        value
    }
}

/// The server tells of each key with the prefix, and notes nothing.
#[derive(Clone)]
pub(crate) struct BCast(Values);

impl Client for BCast {
    const NAME: &'static str = "evanesce-tier, by prefix";
    type Value = Arc<Vec<u8>>;

    async fn connect(url: &str) -> Result<Self, Failure> {
        Ok(Self(tier(url, Tracking::Prefixes(vec![PREFIX.into()])).await?))
    }

    async fn get(&mut self, key: &str) -> Result<Option<Arc<Vec<u8>>>, Failure> {
        // The tier's prefix is what its keys have in common, and no part of them.
        let key = key.strip_prefix(PREFIX).ok_or("a key without the prefix")?;
        Ok(self.0.get(key).await?)
    }

    fn bytes(value: &Arc<Vec<u8>>) -> &[u8] {
        value
    }
}
