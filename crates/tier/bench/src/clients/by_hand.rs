//! What one writes by hand: redis-rs, moka before it, and a task that applies invalidations.

use std::sync::Arc;

use moka::future::Cache;
use redis::{Client as Address, PushInfo, PushKind, Value, aio::MultiplexedConnection, cmd};
use tokio::sync::mpsc;

use super::{
    Client, Failure, MAX_ENTRIES, NEAR_TTL,
    redis::{bytes, config},
};

/// GET, then insert.
#[derive(Clone)]
pub(crate) struct MokaByHand {
    connection: MultiplexedConnection,
    cache: Cache<String, Arc<[u8]>>,
}

/// The cache of both who use moka by hand.
pub(super) fn cache() -> Cache<String, Arc<[u8]>> {
    Cache::builder().max_capacity(MAX_ENTRIES as u64).time_to_live(NEAR_TTL).build()
}

impl Client for MokaByHand {
    const NAME: &'static str = "redis-rs and moka, by hand";
    type Value = Arc<[u8]>;

    async fn connect(url: &str) -> Result<Self, Failure> {
        let (sender, mut pushes) = mpsc::unbounded_channel::<PushInfo>();
        let config = config().set_push_sender(sender);
        let client = Address::open(format!("{url}?protocol=resp3"))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await?;
        let cache = cache();
        let told = cache.clone();
        tokio::spawn(async move {
            while let Some(PushInfo { kind, data }) = pushes.recv().await {
                match data.first() {
                    _ if kind != PushKind::Invalidate => {}
                    Some(Value::Array(keys)) => {
                        for key in keys {
                            if let Value::BulkString(key) = key {
                                told.invalidate(&*String::from_utf8_lossy(key)).await;
                            }
                        }
                    }
                    _ => told.invalidate_all(),
                }
            }
        });
        Ok(Self { connection, cache })
    }

    async fn get(&mut self, key: &str) -> Result<Option<Arc<[u8]>>, Failure> {
        if let Some(value) = self.cache.get(key).await {
            return Ok(Some(value));
        }
        let Some(value) = bytes(&mut self.connection, key).await? else { return Ok(None) };
        let value: Arc<[u8]> = value.into();
        self.cache.insert(key.to_owned(), Arc::clone(&value)).await;
        Ok(Some(value))
    }

    fn bytes(value: &Arc<[u8]>) -> &[u8] {
        value
    }
}
