//! How long values live: a mix of TTLs with their shares, as `60s:0.39,300s:0.24`.

use std::fmt;
use std::time::Duration;

/// Cluster 4 of the 54 production caches that Twitter published (OSDI 2020).
pub(crate) const CLUSTER_4: &str = "60s:0.39 300s:0.24 1h:0.13 600s:0.12 4h:0.09";

/// What an item of a mix looks like, for error messages.
const ITEM: &str = "TTL:WEIGHT as in 60s:0.39";
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
const HEAVIEST: f64 = 1e9;
/// Shares that miss 1 by less than this do so by rounding.
const ROUNDING: f64 = 1e-9;

/// TTLs and their shares of the keys; the shares add up to at most 1, and the rest never expires.
#[derive(Clone, Debug)]
pub(crate) struct TtlMix {
    shares: Vec<(Duration, f64)>,
}

impl TtlMix {
    /// Reads a mix. Weights that add up to more than 1 are divided by their sum; what they lack to
    /// 1 is left to values that never expire.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut shares = text
            .split(|character: char| character == ',' || character.is_ascii_whitespace())
            .filter(|item| !item.is_empty())
            .map(parse_item)
            .collect::<Result<Vec<_>, _>>()?;
        if shares.is_empty() {
            return Err(format!("expected `none` or items {ITEM}, found an empty mix"));
        }
        let sum: f64 = shares.iter().map(|(_, weight)| weight).sum();
        if sum > 1.0 - ROUNDING {
            for (_, weight) in &mut shares {
                *weight /= sum;
            }
        }
        Ok(Self { shares })
    }

    /// The TTL below which half of the expiring values lie.
    pub(crate) fn median(&self) -> Duration {
        let mut shares = self.shares.clone();
        shares.sort_by_key(|(ttl, _)| *ttl);
        let half = shares.iter().map(|(_, share)| share).sum::<f64>() / 2.0;
        let mut below = 0.0;
        for (ttl, share) in &shares {
            below += share;
            if below >= half {
                return *ttl;
            }
        }
        // Reached only when rounding keeps `below` under `half` to the end.
        shares.last().map_or(Duration::MAX, |(ttl, _)| *ttl)
    }

    /// The same shares with every TTL `divisor` times as short, but not below a nanosecond.
    pub(crate) fn divided_by(&self, divisor: f64) -> Self {
        let divided = |ttl: Duration| {
            Duration::try_from_secs_f64(ttl.as_secs_f64() / divisor)
                .unwrap_or(Duration::MAX)
                .max(Duration::from_nanos(1))
        };
        Self { shares: (self.shares.iter()).map(|(ttl, share)| (divided(*ttl), *share)).collect() }
    }

    /// The TTL at `point` of the shares laid end to end from 0 to 1; `Duration::MAX` means never.
    pub(crate) fn at(&self, point: f64) -> Duration {
        let mut end = 0.0;
        for (ttl, share) in &self.shares {
            end += share;
            if point < end {
                return *ttl;
            }
        }
        Duration::MAX
    }

    /// The share of values that never expire.
    fn never(&self) -> f64 {
        1.0 - self.shares.iter().map(|(_, share)| share).sum::<f64>()
    }
}

/// Writes the shares as they are used: normalised, and with the rest named.
impl fmt::Display for TtlMix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (ttl, share) in &self.shares {
            write!(out, "{ttl:?}:{share:.3} ")?;
        }
        let never = self.never();
        write!(out, "never:{:.3}", if never < ROUNDING { 0.0 } else { never })
    }
}

fn parse_item(item: &str) -> Result<(Duration, f64), String> {
    let (ttl, weight) = item.split_once(':').unwrap_or((item, "1"));
    let ttl = parse_duration(ttl, Duration::from_nanos(1), LONGEST)
        .map_err(|why| format!("in `{item}`: {why}"))?;
    match weight.parse::<f64>() {
        Ok(weight) if weight > 0.0 && weight <= HEAVIEST => Ok((ttl, weight)),
        _ => Err(format!(
            "in `{item}`: expected a weight above 0 and up to {HEAVIEST:e}, found `{weight}`"
        )),
    }
}

/// Reads a number with its unit, as `1.5h`, within a range.
pub(crate) fn parse_duration(
    text: &str,
    least: Duration,
    most: Duration,
) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 7] = [
        // The longer endings first, since `ms` also ends in `s`.
        ("ns", 1e-9),
        ("us", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3_600.0),
        ("d", 86_400.0),
    ];
    (UNITS.iter())
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .filter(|(number, _)| number.starts_with(|first: char| first.is_ascii_digit()))
        .and_then(|(number, seconds)| Some(number.parse::<f64>().ok()? * seconds))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| (least..=most).contains(duration))
        .ok_or_else(|| {
            format!(
                "expected a time from {} to {} with a unit of ns, us, ms, s, m, h or d, found `{text}`",
                in_words(least),
                in_words(most)
            )
        })
}

/// Writes a limit in the unit that a user would choose.
fn in_words(duration: Duration) -> String {
    const DAY: u64 = 86_400;
    if duration.subsec_nanos() == 0 && duration.as_secs() >= DAY {
        format!("{}d", duration.as_secs() / DAY)
    } else {
        format!("{duration:?}")
    }
}
