//! What a row leaves behind: one JSON file, written whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::maps::{ARC_SWAP, STD, is_ours};
use crate::measure::{Latencies, median, quartile, ratios};
use crate::settings::Mode;

/// A row's file.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) row: String,
    pub(crate) title: String,
    pub(crate) status: Status,
    /// Why it is not done.
    pub(crate) why: Option<String>,
    pub(crate) mode: Mode,
    /// When it ended, in UTC.
    pub(crate) date: String,
    /// How long it took.
    pub(crate) seconds: f64,
    pub(crate) commit: Option<String>,
    /// The commit of the older build, if one took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    pub(crate) machine: Machine,
    pub(crate) measured: Measured,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Done,
    /// Something it needs is not there.
    Skipped,
    /// It took longer than it may, and was ended.
    TimedOut,
    Failed,
}

/// What the figures were measured on.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
}

/// What a row has measured.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
#[serde(default)] // results of a version that left less are read
pub(crate) struct Measured {
    /// Sizes, rounds, threads.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) cases: Vec<Case>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) curves: Vec<Curve>,
    /// What an idle thread saw of the machine in the same seconds.
    pub(crate) noise: Option<Noise>,
    /// What a reader of the figures must know.
    pub(crate) notes: Vec<String>,
    /// What was left out, and why.
    pub(crate) skipped: Vec<String>,
}

/// One quantity, for each entrant.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) unit: String,
    /// Whether a ratio of ours to theirs says something.
    #[serde(default)]
    pub(crate) compared: bool,
    pub(crate) figures: Vec<Figures>,
}

/// One quantity of one entrant.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) entrant: String,
    pub(crate) median: f64,
    /// The lower and the upper one.
    pub(crate) quartiles: [f64; 2],
    /// All rounds, in order.
    pub(crate) rounds: Vec<f64>,
}

/// How we compare, and whether that is what was aimed at.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Verdict {
    /// The case.
    pub(crate) case: String,
    /// Whom of us.
    pub(crate) us: String,
    /// Whom or what with.
    pub(crate) against: String,
    /// What `median` is: "us / them" for a ratio.
    pub(crate) measure: String,
    pub(crate) median: f64,
    pub(crate) quartiles: [f64; 2],
    /// Whether more is better.
    pub(crate) at_least: bool,
    pub(crate) must: Option<f64>,
    pub(crate) must_met: Option<bool>,
    pub(crate) aim: Option<f64>,
    pub(crate) aim_met: Option<bool>,
}

/// A line of a chart.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Curve {
    /// Which chart.
    pub(crate) chart: String,
    pub(crate) entrant: String,
    pub(crate) points: Vec<[f64; 2]>,
}

/// The gaps between two readings of the clock by a thread that does nothing else, in nanoseconds.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Noise {
    pub(crate) readings: u64,
    pub(crate) mean: f64,
    pub(crate) p99_9: f64,
    pub(crate) p99_99: f64,
    pub(crate) longest: f64,
}

/// Whom to compare with.
#[derive(Clone, Copy)]
pub(crate) enum Against {
    Peer(&'static str),
    /// The best of these.
    BestOf(&'static [&'static str]),
    /// The best of all peers, `ArcSwap` included where it takes part; std is none.
    Best,
    /// The best of the peers that can be written.
    BestWritten,
}

/// The limits of a target.
#[derive(Clone, Copy, Default)]
pub(crate) struct Target {
    must: Option<f64>,
    aim: Option<f64>,
    at_least: bool,
}

impl Target {
    /// No limit: the ratio is only told.
    pub(crate) const TOLD: Self = Self { must: None, aim: None, at_least: false };

    pub(crate) const fn must(most: f64) -> Self {
        Self { must: Some(most), ..Self::TOLD }
    }

    pub(crate) const fn aim(most: f64) -> Self {
        Self { aim: Some(most), ..Self::TOLD }
    }

    pub(crate) const fn and_aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    /// The same limits, from below: more is better.
    pub(crate) const fn at_least(self) -> Self {
        Self { at_least: true, ..self }
    }

    /// A verdict on numbers that were measured round by round.
    pub(crate) fn judge(
        self,
        case: &str,
        us: &str,
        against: &str,
        measure: &str,
        rounds: &[f64],
    ) -> Verdict {
        let median = median(rounds);
        let met = |limit: f64| if self.at_least { median >= limit } else { median <= limit };
        Verdict {
            case: case.into(),
            us: us.into(),
            against: against.into(),
            measure: measure.into(),
            median,
            quartiles: [quartile(rounds, 1), quartile(rounds, 3)],
            at_least: self.at_least,
            must: self.must,
            must_met: self.must.map(met),
            aim: self.aim,
            aim_met: self.aim.map(met),
        }
    }
}

/// What the median of a ratio is called.
pub(crate) const RATIO: &str = "us / them";

impl Case {
    /// One quantity out of what the passes returned.
    pub(crate) fn new<T>(
        name: impl Into<String>,
        unit: &str,
        entrants: &[&str],
        passes: &[Vec<T>],
        quantity: impl Fn(&T) -> f64,
    ) -> Self {
        let figures = (entrants.iter().zip(passes))
            .filter(|(_, passes)| !passes.is_empty())
            .map(|(entrant, passes)| {
                let rounds: Vec<f64> = passes.iter().map(&quantity).collect();
                Figures {
                    entrant: (*entrant).into(),
                    median: median(&rounds),
                    quartiles: [quartile(&rounds, 1), quartile(&rounds, 3)],
                    rounds,
                }
            })
            .collect();
        Self { name: name.into(), unit: unit.into(), compared: true, figures }
    }

    /// The same, but told without ratios.
    pub(crate) fn only_told(self) -> Self {
        Self { compared: false, ..self }
    }

    pub(crate) fn of(&self, entrant: &str) -> Option<&Figures> {
        self.figures.iter().find(|figures| figures.entrant == entrant)
    }

    /// The ratio of us to them; `None` if one of the two, or any peer, took no part.
    pub(crate) fn judge(&self, us: &str, against: Against, target: Target) -> Option<Verdict> {
        let ours = self.of(us)?;
        let them = match against {
            Against::Peer(name) => self.of(name),
            Against::BestOf(names) => self.best(target, |name| names.contains(&name)),
            Against::Best => self.best(target, is_peer),
            Against::BestWritten => self.best(target, |name| is_peer(name) && name != ARC_SWAP),
        }?;
        let rounds = ratios(&ours.rounds, &them.rounds);
        let named = match against {
            Against::Peer(_) => them.entrant.clone(),
            Against::BestOf(_) | Against::Best => format!("best: {}", them.entrant),
            Against::BestWritten => format!("best written: {}", them.entrant),
        };
        Some(target.judge(&self.name, us, &named, RATIO, &rounds))
    }

    fn best(&self, target: Target, takes_part: impl Fn(&str) -> bool) -> Option<&Figures> {
        let some = self.figures.iter().filter(|figures| takes_part(&figures.entrant));
        if target.at_least {
            some.max_by(|a, b| a.median.total_cmp(&b.median))
        } else {
            some.min_by(|a, b| a.median.total_cmp(&b.median))
        }
    }
}

/// Whether an entrant is a map of others, and not the limit without synchronisation.
fn is_peer(entrant: &str) -> bool {
    !is_ours(entrant) && ![STD, IDLE, CLOCK, PUBLISHED].contains(&entrant)
}

/// The entrant that is a figure of the origin's description, from another machine.
pub(crate) const PUBLISHED: &str = "published, on another machine";
/// The entrant that only reads the clock.
pub(crate) const IDLE: &str = "idle thread";
/// The figure that is one reading of the clock.
pub(crate) const CLOCK: &str = "clock reading";

impl Curve {
    pub(crate) fn new(chart: &str, entrant: &str, points: Vec<[f64; 2]>) -> Self {
        Self { chart: chart.into(), entrant: entrant.into(), points }
    }
}

impl Noise {
    pub(crate) fn of(gaps: &Latencies) -> Option<Self> {
        (gaps.count() > 0).then(|| Self {
            readings: gaps.count(),
            mean: gaps.mean(),
            p99_9: gaps.quantile(0.999),
            p99_99: gaps.quantile(0.9999),
            longest: gaps.longest(),
        })
    }
}

impl Machine {
    pub(crate) fn this() -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        Self {
            processor: processor.unwrap_or_else(|| "unknown processor".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

/// The commit that is checked out, if that can be found, and whether it was changed.
pub(crate) fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // Untracked files change no figure, and the results themselves are some.
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, changed") })
}

/// The commit of the older build that takes part, which `before.sh` says when it builds this.
pub(crate) fn before() -> Option<String> {
    let commit = option_env!("EVANESCE_BEFORE").unwrap_or("unknown");
    cfg!(feature = "before").then(|| commit.into())
}

/// The present in UTC, to the minute.
pub(crate) fn date() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    date_of(since.as_secs())
}

fn date_of(seconds: u64) -> String {
    let (days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    // Days from 1 March of the year 0, in which eras of 400 years are all alike.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // from March
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

impl Outcome {
    pub(crate) fn path(folder: &Path, row: &str) -> PathBuf {
        folder.join(format!("{row}.json"))
    }

    /// What is there for a row, if anything is; an error if that cannot be read.
    pub(crate) fn load(folder: &Path, row: &str) -> Result<Option<Self>, String> {
        let path = Self::path(folder, row);
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(&error)),
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| named(&error)),
        }
    }

    /// Writes the file under another name first, so that there is never half of it.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), String> {
        let path = Self::path(folder, &self.row);
        let part = path.with_extension("json.part");
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&part, text + "\n"))
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_of(0), "1970-01-01 00:00 UTC");
        assert_eq!(date_of(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(date_of(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date_of(1_735_689_599), "2024-12-31 23:59 UTC");
        assert_eq!(date_of(4_107_542_400), "2100-03-01 00:00 UTC");
    }

    fn case() -> Case {
        let passes = [vec![1.0, 2.0, 3.0], vec![2.0, 2.0, 2.0], vec![1.0, 1.0], vec![0.1; 3]];
        Case::new("hit", "ns", &["evanesce", "papaya", "moka", STD], &passes, |ns| *ns)
    }

    #[test]
    #[allow(clippy::float_cmp)] // halves are exact
    fn verdicts_compare_within_rounds() {
        let verdict = case().judge("evanesce", Against::Peer("papaya"), Target::must(0.9)).unwrap();
        assert_eq!((verdict.median, verdict.quartiles), (1.0, [0.75, 1.25]));
        assert_eq!((verdict.must_met, verdict.aim_met), (Some(false), None));
    }

    #[test]
    fn best_peer_is_not_the_limit() {
        let verdict = case().judge("evanesce", Against::Best, Target::aim(2.0)).unwrap();
        assert_eq!(verdict.against, "best: moka");
        assert_eq!((verdict.must_met, verdict.aim_met), (None, Some(true)));
        let target = Target::must(1.0).at_least();
        let verdict = case().judge("evanesce", Against::Best, target).unwrap();
        assert_eq!((verdict.against.as_str(), verdict.must_met), ("best: papaya", Some(true)));
    }

    #[test]
    fn absent_peer_means_no_verdict() {
        assert!(case().judge("evanesce", Against::Peer("dashmap"), Target::TOLD).is_none());
    }
}
