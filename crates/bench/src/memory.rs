//! The memory that this process holds.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::told::Stop;

/// Bytes.
pub(crate) const MIB: f64 = 1024.0 * 1024.0;

/// The resident bytes of this process.
///
/// From `smaps_rollup`, which is exact, or else `status`, which may be some pages late; both say
/// kibibytes, whatever the size of a page (`statm` counts pages).
pub(crate) fn resident() -> Result<usize, Stop> {
    const PLACES: [(&str, &str); 2] =
        [("/proc/self/smaps_rollup", "Rss:"), ("/proc/self/status", "VmRSS:")];
    (PLACES.iter())
        .find_map(|(path, name)| kibibytes(&fs::read_to_string(path).ok()?, name))
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| Stop::Skip("this system does not tell a process its memory".into()))
}

/// The resident bytes beyond `base`.
pub(crate) fn resident_beyond(base: usize) -> Result<f64, Stop> {
    Ok(resident()?.saturating_sub(base) as f64)
}

fn kibibytes(text: &str, name: &str) -> Option<usize> {
    text.lines().find_map(|line| {
        line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim_end().parse().ok()
    })
}

/// Runs `work` and writes down what `look` sees every `interval` meanwhile, with the time.
pub(crate) fn sampled<S: Send, T>(
    interval: Duration,
    look: impl Fn() -> Result<S, Stop> + Sync,
    work: impl FnOnce() -> T,
) -> (T, Vec<(Instant, S)>) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut samples = Vec::new();
            while !done.load(Ordering::Relaxed) {
                if let Ok(seen) = look() {
                    samples.push((Instant::now(), seen));
                }
                thread::park_timeout(interval);
            }
            samples
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        sampler.thread().unpark();
        (result, sampler.join().expect("the sampler does not panic"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kibibytes_are_found_by_name() {
        let text = "VmPeak:\t  123 kB\nVmRSS:\t  4567 kB\nThreads:\t1\n";
        assert_eq!(kibibytes(text, "VmRSS:"), Some(4567));
        assert_eq!(kibibytes(text, "Rss:"), None);
    }
}
