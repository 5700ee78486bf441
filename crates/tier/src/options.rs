//! What a tier is asked to do, and whether that is possible.

use std::time::Duration;

use crate::error::{Error, shown};

/// How the server is told what this process has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Tracking {
    /// The server notes each key that is read, 100 to 150 bytes a key, and 56 for each further connection, and says when it changes.
    #[default]
    OptIn,
    /// The server notes nothing and tells each connection of every change of a key with one of these prefixes (`BCAST`),
    /// be it kept or not. An expiry is told up to a tenth of a second late. The tier's own prefix must begin with one
    /// of them.
    Prefixes(Vec<Vec<u8>>),
}

/// The options of a tier.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) prefix: Option<Vec<u8>>,
    pub(crate) near_ttl: Duration,
    pub(crate) jitter: f64,
    pub(crate) negative_ttl: Duration,
    pub(crate) refresh_early: Option<Duration>,
    pub(crate) heartbeat: Duration,
    pub(crate) heartbeat_timeout: Duration,
    pub(crate) max_stale: Duration,
    pub(crate) max_entries: Option<usize>,
    pub(crate) max_value_bytes: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) tracking: Tracking,
}

/// The longest time that is taken for one: what is meant to be without end is not.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Whether it is a time that servers and clocks take: 1 ms to 100 years.
pub(crate) fn is_time(time: Duration) -> bool {
    (Duration::from_millis(1)..=LONGEST).contains(&time)
}

/// What the server itself takes at most, as long as nobody changes that.
const SERVER_LIMIT: usize = 512 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: None,
            near_ttl: Duration::from_secs(300),
            jitter: 0.1,
            negative_ttl: Duration::ZERO,
            refresh_early: None,
            heartbeat: Duration::from_secs(1),
            heartbeat_timeout: Duration::from_secs(1),
            max_stale: Duration::ZERO,
            max_entries: None,
            max_value_bytes: SERVER_LIMIT,
            request_timeout: Duration::from_secs(5),
            tracking: Tracking::OptIn,
        }
    }
}

impl Options {
    /// Checks all of them.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let no = |option, value: String, allowed| Err(Error::Option { option, value, allowed });
        if self.prefix.as_ref().is_some_and(Vec::is_empty) {
            return no("prefix", "empty".into(), "any text but the empty one, or left out");
        }
        for (option, time) in [
            ("near_ttl", self.near_ttl),
            ("heartbeat interval", self.heartbeat),
            ("heartbeat timeout", self.heartbeat_timeout),
            ("request_timeout", self.request_timeout),
        ] {
            if !is_time(time) {
                return no(option, format!("{time:?}"), "1 ms to 100 years");
            }
        }
        if !self.negative_ttl.is_zero() && !is_time(self.negative_ttl) {
            let value = format!("{:?}", self.negative_ttl);
            return no("negative_ttl", value, "zero, or 1 ms to 100 years");
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return no("jitter", self.jitter.to_string(), "0.0 to 1.0");
        }
        // Otherwise what was just read would be due at once, again and again.
        let shortest = self.near_ttl.mul_f64(1.0 - self.jitter);
        if let Some(early) = self.refresh_early.filter(|early| *early >= shortest) {
            return no(
                "refresh_early",
                format!("{early:?}"),
                "shorter than the near TTL less its jitter",
            );
        }
        if self.max_value_bytes == 0 {
            return no("max_value_bytes", "0".into(), "1 or more");
        }
        self.check_prefixes()
    }

    fn check_prefixes(&self) -> Result<(), Error> {
        let no = |value, allowed| Err(Error::Option { option: "tracking", value, allowed });
        let Tracking::Prefixes(prefixes) = &self.tracking else { return Ok(()) };
        if prefixes.is_empty() {
            return no("no prefix".into(), "`Prefixes` with at least one");
        }
        for (n, prefix) in prefixes.iter().enumerate() {
            if prefix.is_empty() {
                return no("an empty prefix".into(), "prefixes that are not empty");
            }
            let overlaps =
                |other: &&Vec<u8>| other.starts_with(prefix) || prefix.starts_with(other);
            if let Some(other) = prefixes[..n].iter().find(overlaps) {
                let value = format!("`{}` and `{}`", shown(other), shown(prefix));
                return no(value, "prefixes of which none begins with another");
            }
        }
        let own = self.prefix.as_deref().unwrap_or_default();
        if !prefixes.iter().any(|prefix| own.starts_with(prefix)) {
            let value = format!("without one for the tier's prefix `{}`", shown(own));
            return no(value, "prefixes of which one begins the tier's `prefix`");
        }
        Ok(())
    }

    /// A key as the server has it.
    pub(crate) fn full_key(&self, key: &[u8]) -> Vec<u8> {
        [self.prefix.as_deref().unwrap_or_default(), key].concat()
    }

    /// How long a value that the server ends in `left` may be kept here, `spent` after it was asked for; and whether the near
    /// TTL sets that end.
    pub(crate) fn ttl(&self, left: Option<Duration>, spent: Duration) -> (Duration, bool) {
        let near = self.near_ttl.mul_f64(1.0 - self.jitter * fastrand::f64());
        let ends_near = left.is_none_or(|left| near < left);
        let ttl = left.map_or(near, |left| left.min(near));
        (ttl.saturating_sub(spent), ends_near)
    }
}

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        change(&mut options);
        options.check().unwrap_err().to_string()
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        assert!(Options::default().check().is_ok());
        assert!(refusal(|o| o.prefix = Some(Vec::new())).contains("`prefix` is empty"));
        assert!(refusal(|o| o.near_ttl = Duration::ZERO).contains("`near_ttl` is 0ns"));
        assert!(refusal(|o| o.near_ttl = Duration::MAX).contains("1 ms to 100 years"));
        assert!(refusal(|o| o.negative_ttl = Duration::MAX).contains("`negative_ttl`"));
        assert!(refusal(|o| o.jitter = f64::NAN).contains("`jitter` is NaN"));
        assert!(refusal(|o| o.jitter = 1.5).contains("0.0 to 1.0"));
        assert!(refusal(|o| o.refresh_early = Some(o.near_ttl)).contains("`refresh_early`"));
        assert!(refusal(|o| o.max_value_bytes = 0).contains("`max_value_bytes`"));
        assert!(refusal(|o| o.heartbeat = Duration::ZERO).contains("`heartbeat interval`"));
        let prefixes = |list: &[&str]| {
            Tracking::Prefixes(list.iter().map(|prefix| prefix.as_bytes().to_vec()).collect())
        };
        assert!(refusal(|o| o.tracking = prefixes(&[])).contains("no prefix"));
        assert!(refusal(|o| o.tracking = prefixes(&[""])).contains("an empty prefix"));
        assert!(refusal(|o| o.tracking = prefixes(&["a", "ab"])).contains("`a` and `ab`"));
        assert!(refusal(|o| o.tracking = prefixes(&["a"])).contains("tier's prefix ``"));
    }

    #[test]
    fn a_value_is_kept_no_longer_than_the_server_has_it() {
        let options = Options { jitter: 0.0, ..Options::default() };
        let second = Duration::from_secs(1);
        assert_eq!(options.ttl(None, second), (options.near_ttl.saturating_sub(second), true));
        assert_eq!(options.ttl(Some(3 * second), second), (2 * second, false));
        assert_eq!(options.ttl(Some(second), 2 * second), (Duration::ZERO, false));
        let options = Options { jitter: 0.5, ..Options::default() };
        for _ in 0..100 {
            let (ttl, _) = options.ttl(None, Duration::ZERO);
            assert!((options.near_ttl / 2..=options.near_ttl).contains(&ttl));
        }
    }
}
