//! rustis with its cache.

use std::sync::Arc;

use rustis::{
    cache::{Cache, MokaStore},
    client::Client as Connection,
    commands::ClientTrackingOptions,
    resp::BulkString,
};

use super::{Client, Failure, MAX_ENTRIES, NEAR_TTL};

async fn cache(url: &str) -> Result<Arc<Cache>, Failure> {
    let client = Connection::connect(url).await?;
    let store = MokaStore::new(NEAR_TTL, MAX_ENTRIES as u64);
    Ok(Cache::with_store(client, store, ClientTrackingOptions::default()).await?)
}

/// Its `get`.
#[derive(Clone)]
pub(crate) struct RustisGet(Arc<Cache>);

impl Client for RustisGet {
    const NAME: &'static str = "rustis, `get`";
    type Value = BulkString;

    async fn connect(url: &str) -> Result<Self, Failure> {
        Ok(Self(cache(url).await?))
    }

    async fn get(&mut self, key: &str) -> Result<Option<BulkString>, Failure> {
        Ok(self.0.get(key).await?)
    }

    fn bytes(value: &BulkString) -> &[u8] {
        value
    }
}

/// Its `mget`, for one key at a time.
#[derive(Clone)]
pub(crate) struct RustisMget(Arc<Cache>);

impl Client for RustisMget {
    const NAME: &'static str = "rustis, `mget`";
    type Value = BulkString;

    async fn connect(url: &str) -> Result<Self, Failure> {
        Ok(Self(cache(url).await?))
    }

    async fn get(&mut self, key: &str) -> Result<Option<BulkString>, Failure> {
        let mut values: Vec<Option<BulkString>> = self.0.mget([key]).await?;
        Ok(values.pop().flatten())
    }

    fn bytes(value: &BulkString) -> &[u8] {
        value
    }
}
