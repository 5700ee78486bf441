//! fred, with moka before it and its listener of invalidations: it has no cache of its own.

use std::sync::Arc;

use fred::{
    interfaces::{ClientLike, KeysInterface, TrackingInterface},
    types::{Builder, RespVersion, config::Config},
};
use moka::future::Cache;
use tokio::sync::broadcast::error::RecvError;

use super::{Client, Failure, by_hand::cache};

/// GET, then insert.
#[derive(Clone)]
pub(crate) struct FredMoka {
    client: fred::clients::Client,
    cache: Cache<String, Arc<[u8]>>,
}

impl Client for FredMoka {
    const NAME: &'static str = "fred and moka";
    type Value = Arc<[u8]>;

    async fn connect(url: &str) -> Result<Self, Failure> {
        let config = Config { version: RespVersion::RESP3, ..Config::from_url(url)? };
        let client = Builder::from_config(config).build()?;
        client.init().await?;
        let cache = cache();
        let told = cache.clone();
        let mut invalidations = client.invalidation_rx();
        tokio::spawn(async move {
            loop {
                match invalidations.recv().await {
                    Ok(invalidation) => {
                        for key in invalidation.keys {
                            told.invalidate(&*key.as_str_lossy()).await;
                        }
                    }
                    // The channel has dropped some. (fred's own `on_invalidation` ends here, and all stays stale.)
                    Err(RecvError::Lagged(_)) => told.invalidate_all(),
                    Err(RecvError::Closed) => return,
                }
            }
        });
        client.start_tracking((), false, false, false, false).await?;
        Ok(Self { client, cache })
    }

    async fn get(&mut self, key: &str) -> Result<Option<Arc<[u8]>>, Failure> {
        if let Some(value) = self.cache.get(key).await {
            return Ok(Some(value));
        }
        let value: Option<Vec<u8>> = self.client.get(key).await?;
        let Some(value) = value else { return Ok(None) };
        let value: Arc<[u8]> = value.into();
        self.cache.insert(key.to_owned(), Arc::clone(&value)).await;
        Ok(Some(value))
    }

    fn bytes(value: &Arc<[u8]>) -> &[u8] {
        value
    }
}
