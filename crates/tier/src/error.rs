//! What can go wrong.

use std::{error, fmt, sync::Arc, time::Duration};

/// What went wrong. Nothing wrong is kept, whatever it is: the next call asks the server again.
///
/// An error that comes from the server has its words. Keys are shown as text, with escapes where they are none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address is none.
    Address {
        /// The address, without its password.
        server: String,
        /// What is wrong with it.
        words: String,
    },
    /// An option has a value out of its range.
    Option {
        /// The option's name.
        option: &'static str,
        /// The value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// No connection could be made.
    Unreachable {
        /// The address.
        server: String,
        /// Why.
        words: String,
    },
    /// The server does not accept the user or the password.
    Refused {
        /// The address.
        server: String,
        /// The server's words.
        words: String,
    },
    /// The server does not speak RESP3, without which it cannot say what has changed: it is older than Redis 6, or
    /// something else.
    NoResp3 {
        /// The address.
        server: String,
        /// The server's words.
        words: String,
    },
    /// The server refuses `CLIENT TRACKING`, without which nothing could be kept.
    NoTracking {
        /// The address.
        server: String,
        /// The server's words.
        words: String,
    },
    /// The connection was lost, longer ago than [`max_stale`](crate::TierBuilder::max_stale) allows, or it has no value of the key.
    Lost {
        /// How long ago.
        ago: Duration,
        /// Why: what the last attempt to connect again came to, or before it how the connection ended. It is the
        /// [`source`](error::Error::source) as well.
        why: Option<Arc<Error>>,
    },
    /// The connection was lost during the request. A write may have been done or not.
    Interrupted {
        /// What happened.
        words: String,
    },
    /// There was no answer in time. A write may have been done or not.
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The key has something else than a string.
    WrongType {
        /// The key, with its prefix.
        key: String,
        /// The server's words.
        words: String,
    },
    /// The codec refused what the server has.
    Decode {
        /// The key, with its prefix.
        key: String,
        /// What the codec says.
        source: Arc<dyn error::Error + Send + Sync>,
    },
    /// The codec refused a value that was to be written.
    Encode {
        /// The key, with its prefix.
        key: String,
        /// What the codec says.
        source: Arc<dyn error::Error + Send + Sync>,
    },
    /// A value has more bytes than [`max_value_bytes`](crate::TierBuilder::max_value_bytes) allows.
    TooLarge {
        /// The key, with its prefix.
        key: String,
        /// How many bytes it has.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A loader failed. Those who waited for it get the same.
    Load {
        /// The key, with its prefix.
        key: String,
        /// What the loader says.
        source: Arc<dyn error::Error + Send + Sync>,
    },
    /// What was loaded was overtaken by a `delete`, or by the end of its lease, each time that it was tried.
    LeaseLost {
        /// The key, with its prefix.
        key: String,
        /// How many times it was loaded.
        loads: u32,
    },
    /// The server is none of a cluster.
    NoCluster {
        /// The address.
        server: String,
        /// The server's words.
        words: String,
    },
    /// Another node of a cluster has the key. From a tier of one server: [`Tier::cluster`](crate::Tier::cluster) makes one of all. From that one: the
    /// nodes did not agree on who has it, for as long as a request may take.
    Redirected {
        /// The key's hash slot.
        slot: u16,
        /// Where the server says that it is.
        to: String,
        /// Whether the slot is being moved there, and is not there yet (`ASK`).
        is_moving: bool,
    },
    /// The server refused, for another reason.
    Server {
        /// The server's words.
        words: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { server, words } => {
                write!(f, "`{server}` is no address of a server: {words}")
            }
            Self::Option { option, value, allowed } => {
                write!(f, "`{option}` is {value}, but may be {allowed}")
            }
            Self::Unreachable { server, words } => write!(f, "cannot reach {server}: {words}"),
            Self::Refused { server, words } => {
                write!(f, "{server} refuses the user or the password: {words}")
            }
            Self::NoResp3 { server, words } => {
                write!(f, "{server} does not speak RESP3, which Redis does from 6.0 on: {words}")
            }
            Self::NoTracking { server, words } => {
                write!(f, "{server} refuses CLIENT TRACKING: {words}")
            }
            Self::Lost { ago, why: None } => write!(f, "the connection was lost {ago:?} ago"),
            Self::Lost { ago, why: Some(why) } => {
                write!(f, "the connection was lost {ago:?} ago: {why}")
            }
            Self::Interrupted { words } => {
                write!(f, "the connection was lost during the request: {words}")
            }
            Self::Timeout { limit } => write!(f, "the server did not answer within {limit:?}"),
            Self::WrongType { key, words } => write!(f, "`{key}` is no string: {words}"),
            Self::Decode { key, source } => {
                write!(f, "the codec cannot read the value of `{key}`: {source}")
            }
            Self::Encode { key, source } => {
                write!(f, "the codec cannot write the value of `{key}`: {source}")
            }
            Self::TooLarge { key, bytes, limit } => {
                write!(f, "the value of `{key}` has {bytes} bytes, but may have at most {limit}")
            }
            Self::Load { key, source } => write!(f, "the loader of `{key}` failed: {source}"),
            Self::LeaseLost { key, loads } => write!(
                f,
                "`{key}` was loaded {loads} times, and each time it was deleted or its lease ended meanwhile"
            ),
            Self::NoCluster { server, words } => {
                write!(f, "{server} is no node of a cluster: {words}")
            }
            Self::Redirected { slot, to, is_moving } => {
                let moves = if *is_moving { "is being moved to" } else { "is at" };
                write!(f, "hash slot {slot} {moves} {to}: `Tier::cluster` asks all nodes")
            }
            Self::Server { words } => write!(f, "the server refused: {words}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Decode { source, .. }
            | Self::Encode { source, .. }
            | Self::Load { source, .. } => Some(&**source),
            Self::Lost { why, .. } => why.as_deref().map(|why| why as _),
            _ => None,
        }
    }
}

impl Error {
    /// Whether it is of the connection, and not of the key.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. }
                | Self::Interrupted { .. }
                | Self::Timeout { .. }
                | Self::Unreachable { .. }
        )
    }
}

/// A character, or its escape where it is none to be seen: keys may be a stranger's, and errors go to logs and terminals.
fn on_one_line(text: char) -> impl Iterator<Item = char> {
    let (shown, escaped) =
        if text.is_control() { (None, Some(text.escape_default())) } else { (Some(text), None) };
    shown.into_iter().chain(escaped.into_iter().flatten())
}

/// A key as it is shown.
pub(crate) fn shown(key: &[u8]) -> String {
    key.utf8_chunks()
        .flat_map(|chunk| {
            let escaped =
                chunk.invalid().iter().flat_map(|byte| byte.escape_ascii()).map(char::from);
            let text = chunk.valid().chars().flat_map(on_one_line);
            text.chain(escaped).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_as_text_on_one_line() {
        assert_eq!(shown(b"ada:\xff"), "ada:\\xff");
        assert_eq!(shown("größe \u{1f600}".as_bytes()), "größe \u{1f600}");
        assert_eq!(shown(b"a\r\nb\x1b[0m"), "a\\r\\nb\\u{1b}[0m");
    }
}
