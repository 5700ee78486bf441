//! Medians, latencies, and the machine's own noise.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Anything longer is recorded as this.
const LONGEST: Duration = Duration::from_secs(600);
/// The points of a percentile curve in each factor of ten.
const POINTS_A_DECADE: u32 = 8;

/// Latencies of one operation, or the gaps between two readings of the clock.
#[derive(Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        let longest = LONGEST.as_nanos() as u64;
        Self(Histogram::new_with_bounds(1, longest, 3).expect("1 ns to 600 s at 3 digits is valid"))
    }

    #[inline(always)]
    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(time.as_nanos() as u64);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The nanoseconds that this share of all stays within.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.mean()
    }

    pub(crate) fn longest(&self) -> f64 {
        self.0.max() as f64
    }

    /// Points (x, nanoseconds) of the percentile curve, where one in x is longer: x is 1,000 at
    /// p99.9. The last x is the count, the last value the longest.
    pub(crate) fn curve(&self) -> Vec<[f64; 2]> {
        let count = self.count() as f64;
        // 20 decades are more than 64 bits count.
        (0..20 * POINTS_A_DECADE)
            .map(|step| 10_f64.powf(f64::from(step) / f64::from(POINTS_A_DECADE)))
            .take_while(|x| *x < count)
            .map(|x| [x, self.quantile(1.0 - 1.0 / x)])
            .chain([[count.max(1.0), self.longest()]])
            .collect()
    }
}

/// Reads the clock for `time`, or until `done` says so, and does nothing else: what this sees, the
/// machine does to any thread.
pub(crate) fn watch(gaps: &mut Latencies, mut done: impl FnMut(Duration) -> bool) {
    let start = Instant::now();
    let mut last = start;
    loop {
        let now = Instant::now();
        gaps.record(now - last);
        last = now;
        if done(now - start) {
            return;
        }
    }
}

/// The time since `start`, in nanoseconds, for each of some operations.
pub(crate) fn per(start: Instant, operations: usize) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / operations.max(1) as f64
}

pub(crate) fn median(numbers: &[f64]) -> f64 {
    quartile(numbers, 2)
}

/// The quartile (0 to 4) of some numbers, between two of them where it falls there; of none, NaN.
pub(crate) fn quartile(numbers: &[f64], which: usize) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let (whole, quarters) = (last * which / 4, last * which % 4);
    let lower = sorted[whole];
    match sorted.get(whole + 1) {
        Some(upper) if quarters > 0 => lower + (upper - lower) * quarters as f64 / 4.0,
        _ => lower,
    }
}

/// The ratios within a round, as many as there are rounds with both.
pub(crate) fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(us, them)| us / them).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)] // sums of quarters are exact
    fn quartiles_lie_between_numbers() {
        assert_eq!(quartile(&[5.0, 1.0, 4.0, 2.0, 3.0], 1), 2.0);
        assert_eq!(median(&[5.0, 1.0, 4.0, 2.0, 3.0]), 3.0);
        assert_eq!(quartile(&[5.0, 1.0, 4.0, 2.0, 3.0], 4), 5.0);
        assert_eq!(median(&[1.0, 2.0]), 1.5);
        assert_eq!(quartile(&[1.0, 2.0], 1), 1.25);
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    #[allow(clippy::float_cmp)] // halves are exact
    fn ratios_are_within_a_round() {
        // The quotient of the medians would be 1; no round saw that.
        let ours = [1.0, 2.0, 4.0];
        let theirs = [2.0, 4.0, 2.0];
        assert_eq!(ratios(&ours, &theirs), [0.5, 0.5, 2.0]);
        assert_eq!(ratios(&ours, &theirs[..1]), [0.5]);
    }

    #[test]
    fn curve_ends_at_the_longest() {
        let mut latencies = Latencies::new();
        for nanos in 1..=1_000 {
            latencies.record(Duration::from_nanos(nanos));
        }
        let curve = latencies.curve();
        assert_eq!(curve.last(), Some(&[1_000.0, 1_000.0]));
        assert!(curve.windows(2).all(|pair| pair[0][0] < pair[1][0] && pair[0][1] <= pair[1][1]));
        let p90 = curve.iter().find(|point| (point[0] - 10.0).abs() < 1e-9);
        assert_eq!(p90.map(|point| point[1]), Some(900.0));
    }
}
