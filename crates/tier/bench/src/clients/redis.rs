//! redis-rs: without a cache, and with its own.

use std::num::NonZeroUsize;

use redis::{
    AsyncCommands, AsyncConnectionConfig, Client as Address, aio::MultiplexedConnection,
    caching::CacheConfig,
};

use super::{Client, Failure, MAX_ENTRIES, NEAR_TTL, PATIENCE};

/// The options of all connections of redis-rs: patient ones, since a busy machine may be silent for longer than its half a second.
pub(super) fn config() -> AsyncConnectionConfig {
    let config = AsyncConnectionConfig::new();
    config.set_response_timeout(Some(PATIENCE)).set_connection_timeout(Some(PATIENCE))
}

/// A connection that keeps nothing.
pub(crate) async fn bare(url: &str) -> Result<MultiplexedConnection, Failure> {
    let client = Address::open(url)?;
    Ok(client.get_multiplexed_async_connection_with_config(&config()).await?)
}

/// A bare GET.
pub(crate) async fn bytes(
    connection: &mut MultiplexedConnection,
    key: &str,
) -> Result<Option<Vec<u8>>, Failure> {
    Ok(connection.get(key).await?)
}

/// With `cache-aio`.
#[derive(Clone)]
pub(crate) struct CacheAio(MultiplexedConnection);

impl Client for CacheAio {
    const NAME: &'static str = "redis-rs `cache-aio`";
    type Value = Vec<u8>;

    async fn connect(url: &str) -> Result<Self, Failure> {
        let size = NonZeroUsize::new(MAX_ENTRIES).ok_or("no entries")?;
        let cache = CacheConfig::new().set_size(size).set_default_client_ttl(NEAR_TTL);
        let config = config().set_cache_config(cache);
        let client = Address::open(format!("{url}?protocol=resp3"))?;
        Ok(Self(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    async fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        bytes(&mut self.0, key).await
    }

    fn bytes(value: &Vec<u8>) -> &[u8] {
        value
    }
}
