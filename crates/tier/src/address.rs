//! Addresses of servers, as users write them.

use redis::{Client, ProtocolVersion, RedisError};

use crate::error::Error;

/// The client of an address, with RESP3, and the address without its password.
pub(crate) fn client(url: &str) -> Result<(Client, String), Error> {
    let server = without_password(url);
    let no = |error: &RedisError| {
        let mut words = error.to_string();
        if cfg!(not(feature = "tls")) && url.starts_with("rediss:") {
            words.push_str("; for `rediss://` evanesce-tier has the feature `tls`");
        }
        Error::Address { server: server.clone(), words }
    };
    let info = Client::open(url).map_err(|error| no(&error))?.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings)).map_err(|error| no(&error))?;
    Ok((client, server))
}

/// `redis://user:password@host` without the password, and without a query, which may have one.
pub(crate) fn without_password(url: &str) -> String {
    // What is no address is shown as well: it may have no scheme.
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let is_path = rest.starts_with('/');
    let (login, place) = rest.rsplit_once('@').filter(|_| !is_path).unwrap_or(("", rest));
    let user = login.split([':', '?']).next().unwrap_or_default();
    let at = if user.is_empty() { "" } else { "@" };
    let (place, query) = place.split_once('?').map_or((place, ""), |(place, _)| (place, "?.."));
    format!("{scheme}{user}{at}{place}{query}")
}

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(without_password("redis://:secret@host:1/2"), "redis://host:1/2");
        assert_eq!(without_password("redis://ada:se@cret@host"), "redis://ada@host");
        assert_eq!(without_password("redis://host"), "redis://host");
        assert_eq!(without_password("redis://host/1?protocol=resp3"), "redis://host/1?..");
        let path = "redis+unix:///a@b/c.sock";
        assert_eq!(without_password(path), path);
        assert_eq!(
            without_password(&format!("{path}?user=ada&pass=se@cret")),
            format!("{path}?..")
        );
        assert_eq!(without_password("redis:ada:secret@host"), "redis@host");
        assert_eq!(without_password("ada:secret@host"), "ada@host");
    }

    #[test]
    fn tls_needs_its_feature_and_says_so() {
        let client = client("rediss://ada:secret@host");
        if cfg!(feature = "tls") {
            assert!(client.is_ok());
        } else {
            let error = client.unwrap_err().to_string();
            assert!(error.contains("the feature `tls`") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let error = client("http://host").unwrap_err();
        assert!(matches!(error, Error::Address { .. }), "{error}");
    }
}
