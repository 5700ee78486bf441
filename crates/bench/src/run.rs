//! A run: a child for each row that has no result yet, the bar meanwhile, the report at the end.

use std::io::{BufRead, BufReader, IsTerminal};
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::child::{self, Line};
use crate::options::Options;
use crate::report;
use crate::results::{self, Machine, Measured, Outcome, Status};
use crate::rows::Row;
use crate::settings::{Mode, Settings};

/// No row is ended before this.
const SHORTEST_LIMIT: Duration = Duration::from_secs(60);
/// A row is ended when it takes this many times as long as expected.
const PATIENCE: u32 = 6;
/// The bar's units in a second of expected time.
const UNITS: u64 = 100;

pub(crate) fn main(options: &Options) -> Result<(), String> {
    let mode = options.settings.mode;
    if mode == Mode::Smoke {
        println!("smoke run: the figures mean nothing");
    }
    let mut rows = Vec::new();
    for row in &options.rows {
        match kept(options, row) {
            Some(date) => println!(
                "{}: has a result of {date}, which is kept; --again measures anew",
                row.name()
            ),
            None => rows.push(*row),
        }
    }
    let bar = Bar::new(rows.iter().map(|row| row.expected(mode)).sum());
    let (machine, commit, before) = (Machine::this(), results::commit(), results::before());
    let mut failed = Vec::new();
    for row in rows {
        bar.step(row, mode, 0, 0, "filling maps");
        let started = Instant::now();
        let (status, why, measured) = one(row, &options.settings, &bar)?;
        let seconds = started.elapsed().as_secs_f64();
        for (id, measured) in measured {
            let outcome = Outcome {
                row: id,
                title: row.title.into(),
                status,
                why: why.clone(),
                mode,
                date: results::date(),
                seconds,
                commit: commit.clone(),
                before: before.clone(),
                machine: machine.clone(),
                measured,
            };
            outcome.save(&options.out)?;
        }
        bar.close(row, mode);
        let why = why.unwrap_or_default();
        if matches!(status, Status::TimedOut | Status::Failed) {
            failed.push(row.name());
        }
        let said = match status {
            Status::Done => format!("done in {seconds:.1} s"),
            Status::Skipped => format!("SKIPPED: {why}"),
            Status::TimedOut => format!("TIMED OUT: {why}"),
            Status::Failed => format!("FAILED: {why}"),
        };
        bar.say(&format!("{}: {said}", row.name()));
    }
    bar.end();
    print!("{}", report::write(&options.out)?);
    if failed.is_empty() { Ok(()) } else { Err(format!("no result for {}", failed.join(", "))) }
}

/// The date of a result that makes measuring needless.
fn kept(options: &Options, row: &Row) -> Option<String> {
    if options.again {
        return None;
    }
    // What cannot be read is measured anew.
    let load = |id: &&str| Outcome::load(&options.out, id).ok().flatten();
    let outcomes: Vec<Outcome> = row.ids.iter().map(load).collect::<Option<_>>()?;
    keeps(&outcomes, options.settings.mode, results::before().as_deref())
        .then(|| outcomes[0].date.clone())
}

/// Whether these are results of the same kind of run. A row that took too long would do so again;
/// what failed or was skipped, even in part, may do better. With an older build, it must have taken part.
fn keeps(outcomes: &[Outcome], mode: Mode, before: Option<&str>) -> bool {
    outcomes.iter().all(|outcome| {
        let ended = matches!(outcome.status, Status::Done | Status::TimedOut);
        let with = before.is_none() || outcome.before.as_deref() == before;
        outcome.mode == mode && ended && with && outcome.measured.skipped.is_empty()
    })
}

type Ending = (Status, Option<String>, Vec<(String, Measured)>);

/// Measures one row in a child.
fn one(row: &Row, settings: &Settings, bar: &Bar) -> Result<Ending, String> {
    let limit = (row.expected(settings.mode) * PATIENCE).max(SHORTEST_LIMIT);
    let mut child = child::start(row.ids[0], None, settings)?;
    let ending = listen(row, &mut child, Instant::now() + limit, bar, settings.mode);
    drop(child.stdin.take()); // the children of the child end with it
    let nothing = || row.ids.iter().map(|id| ((*id).into(), Measured::default())).collect();
    let failed = |why: String| (Status::Failed, Some(why), nothing());
    Ok(match ending {
        Ok(Line::Done(json)) => {
            wait(&mut child)?;
            match serde_json::from_str(&json) {
                Ok(measured) => (Status::Done, None, measured),
                Err(error) => failed(format!("its results cannot be read: {error}")),
            }
        }
        Ok(Line::Skip(why)) => (Status::Skipped, Some(why), nothing()),
        Ok(Line::Fail(why)) => failed(why),
        Ok(_) => failed(format!("it ended without an answer, {}", wait(&mut child)?)),
        Err(RecvTimeoutError::Timeout) => {
            // It may have ended just now.
            let _ = child.kill();
            wait(&mut child)?;
            let why = format!("not done after {} s, and ended", limit.as_secs());
            (Status::TimedOut, Some(why), nothing())
        }
        Err(RecvTimeoutError::Disconnected) => {
            failed(format!("it ended without an answer, {}", wait(&mut child)?))
        }
    })
}

fn wait(child: &mut Child) -> Result<String, String> {
    child.wait().map(|status| status.to_string()).map_err(|error| error.to_string())
}

/// Follows what the child says until its last word.
fn listen(
    row: &Row,
    child: &mut Child,
    until: Instant,
    bar: &Bar,
    mode: Mode,
) -> Result<Line, RecvTimeoutError> {
    let (sender, lines) = mpsc::channel();
    let out = child.stdout.take();
    thread::spawn(move || {
        for line in out.into_iter().flat_map(|out| BufReader::new(out).lines()).flatten() {
            if sender.send(child::parse(&line)).is_err() {
                return;
            }
        }
    });
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now()))? {
            Line::Step { done, of, what } => bar.step(row, mode, done, of, &what),
            Line::Say(text) => bar.say(&format!("{}: {text}", row.name())),
            Line::Noise => {}
            end => return Ok(end),
        }
    }
}

/// The progress over rows, weighed by their expected time, and rounds; on a terminal only.
struct Bar {
    bar: ProgressBar,
    /// Units of the rows that are done.
    before: std::cell::Cell<u64>,
}

impl Bar {
    fn new(expected: Duration) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(units(expected))
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{elapsed} [{bar:30}] {eta} left  {wide_msg}")
            .expect("the template names what there is");
        bar.set_style(style.progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_secs(1));
        Self { bar, before: std::cell::Cell::new(0) }
    }

    fn step(&self, row: &Row, mode: Mode, done: usize, of: usize, what: &str) {
        let share = if of == 0 { 0.0 } else { (done as f64 / of as f64).min(1.0) };
        let here = units(row.expected(mode)) as f64 * share;
        self.bar.set_position(self.before.get() + here as u64);
        self.bar.set_message(format!("{}: {what}", row.name()));
    }

    fn close(&self, row: &Row, mode: Mode) {
        self.before.set(self.before.get() + units(row.expected(mode)));
        self.bar.set_position(self.before.get());
    }

    /// A line that stays.
    fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn units(time: Duration) -> u64 {
    (time.as_millis() as u64 * UNITS / 1_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: Status, mode: Mode) -> Outcome {
        Outcome {
            row: "R1".into(),
            title: String::new(),
            status,
            why: None,
            mode,
            date: "2025-01-02 03:04 UTC".into(),
            seconds: 1.0,
            commit: None,
            before: None,
            machine: Machine::this(),
            measured: Measured::default(),
        }
    }

    #[test]
    fn resuming_keeps_what_is_done_and_what_took_too_long() {
        for (status, kept) in [
            (Status::Done, true),
            (Status::TimedOut, true),
            (Status::Skipped, false),
            (Status::Failed, false),
        ] {
            assert_eq!(keeps(&[outcome(status, Mode::Full)], Mode::Full, None), kept, "{status:?}");
        }
        let mut partial = outcome(Status::Done, Mode::Full);
        partial.measured.skipped.push("a peer: not there".into());
        assert!(!keeps(&[partial], Mode::Full, None));
        // A quick run's figures are no results of a full one.
        assert!(!keeps(&[outcome(Status::Done, Mode::Quick)], Mode::Full, None));
        // A row of two names needs both.
        let both = [outcome(Status::Done, Mode::Full), outcome(Status::Failed, Mode::Full)];
        assert!(!keeps(&both, Mode::Full, None));
    }

    #[test]
    fn results_without_the_older_build_do_for_a_run_without_it_only() {
        let done = |before: Option<&str>| {
            let outcome = outcome(Status::Done, Mode::Full);
            [Outcome { before: before.map(Into::into), ..outcome }]
        };
        assert!(keeps(&done(Some("a")), Mode::Full, None));
        assert!(keeps(&done(Some("a")), Mode::Full, Some("a")));
        assert!(!keeps(&done(Some("b")), Mode::Full, Some("a")));
        assert!(!keeps(&done(None), Mode::Full, Some("a")));
    }

    #[test]
    fn results_are_found_again() {
        let folder = std::env::temp_dir().join(format!("evanesce-bench-{}", std::process::id()));
        assert!(Outcome::load(&folder, "R1").unwrap().is_none());
        outcome(Status::Done, Mode::Full).save(&folder).unwrap();
        let found = Outcome::load(&folder, "R1").unwrap().unwrap();
        assert_eq!(found.date, "2025-01-02 03:04 UTC");
        // Half a file counts for nothing.
        std::fs::write(Outcome::path(&folder, "R1"), "{\"row\": \"R1\"").unwrap();
        assert!(Outcome::load(&folder, "R1").unwrap_err().contains("R1.json: EOF"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
