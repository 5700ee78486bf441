//! Addresses of servers, as users write them.

use redis::{Client, ProtocolVersion, RedisError};

use crate::error::Error;

/// The client of an address, with RESP3, and the address without its password.
pub(crate) fn client(url: &str) -> Result<(Client, String), Error> {
    let server = without_password(url);
    let no =
        |error: &RedisError| Error::Address { server: server.clone(), words: error.to_string() };
    let info = Client::open(url).map_err(|error| no(&error))?.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings)).map_err(|error| no(&error))?;
    Ok((client, server))
}

/// `redis://user:password@host` without the password.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((login, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = login.split_once(':').map_or(login, |(user, _)| user);
    if user.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{user}@{host}") }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(without_password("redis://:secret@host:1/2"), "redis://host:1/2");
        assert_eq!(without_password("redis://ada:se@cret@host"), "redis://ada@host");
        assert_eq!(without_password("redis://host"), "redis://host");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let error = client("http://host").unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{error}");
    }
}
