//! The table: every target with what was measured, losses as plainly as wins, and every figure.

use std::fmt::Write as _;

use super::charts::Chart;
use crate::maps::{EVANESCE, is_ours, newer};
use crate::measure::{median, ratios};
use crate::results::{CLOCK, Case, Figures, IDLE, Outcome, PUBLISHED, Status, Verdict};
use crate::settings::Mode;

const READING: &str = "\
A ratio is the median of the ratios within a round, in brackets their quartiles; quartiles on both
sides of a limit mean: no difference seen. It is us over them: below 1 evanesce is faster or smaller,
unless the limit is written with ≥. `must` is what the design promised, `aim` what it hoped for.
`best: X` is X because it was the best peer of that run; std is not synchronised, and so the limit, not
a peer. `ArcSwap` copies the whole map for each write: it counts as a peer where maps are only read, and
`best written` leaves it out.
";

/// How many targets are met, in a line.
pub(super) fn summary(outcomes: &[Outcome]) -> String {
    let verdicts = || outcomes.iter().flat_map(|outcome| &outcome.measured.verdicts);
    let count = |met: fn(&Verdict) -> Option<bool>| {
        let judged: Vec<bool> = verdicts().filter_map(met).collect();
        format!("{} of {}", judged.iter().filter(|met| **met).count(), judged.len())
    };
    format!(
        "must: {} met; aim: {} met",
        count(|verdict| verdict.must_met),
        count(|verdict| verdict.aim_met)
    )
}

/// The whole file.
pub(super) fn text(outcomes: &[Outcome], charts: &[Chart]) -> String {
    let mut text = String::from("# What was measured\n\n");
    text += &conditions(outcomes);
    writeln!(text, "\n{READING}\n{}.\n\n## Targets\n", summary(outcomes)).expect("to a string");
    text += "| row | case | us | them | ratio | must | | aim | |\n";
    text += "| --- | --- | --- | --- | ---: | ---: | --- | ---: | --- |\n";
    for outcome in outcomes {
        match outcome.status {
            Status::Done => {
                for verdict in &outcome.measured.verdicts {
                    text += &target(outcome, verdict);
                }
            }
            _ => {
                writeln!(text, "| {} | {} | | | | | | | |", outcome.row, undone(outcome))
                    .expect("to a string");
            }
        }
    }
    text += "\n## Figures\n\nMedians; in brackets the ratio of evanesce to that entrant.\n";
    for outcome in outcomes {
        text += &figures(outcome);
    }
    if !charts.is_empty() {
        text += "\n## Charts\n";
        for chart in charts {
            writeln!(text, "\n![{}]({})", chart.title, chart.file).expect("to a string");
        }
    }
    text
}

/// On what, of what, and when.
fn conditions(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    if outcomes.iter().any(|outcome| outcome.mode == Mode::Smoke) {
        text += "**A smoke run: the figures mean nothing.**\n\n";
    } else if outcomes.iter().any(|outcome| outcome.mode == Mode::Quick) {
        text += "A quick run: one round of smaller counts, so quartiles mean nothing.\n\n";
    }
    let mut all: Vec<String> = Vec::new();
    for outcome in outcomes {
        let machine = &outcome.machine;
        let line = format!(
            "{}, {} cores, {}; commit {}",
            machine.processor,
            machine.cores,
            machine.system,
            outcome.commit.as_deref().unwrap_or("unknown"),
        );
        if !all.contains(&line) {
            all.push(line);
        }
    }
    let mut dates: Vec<&str> = outcomes.iter().map(|outcome| outcome.date.as_str()).collect();
    dates.sort_unstable();
    if let (Some(first), Some(last)) = (dates.first(), dates.last()) {
        writeln!(text, "{first} to {last}, on {}.", all.join("; and on ")).expect("to a string");
    }
    let mut older: Vec<&str> = outcomes.iter().filter_map(|one| one.before.as_deref()).collect();
    older.sort_unstable();
    older.dedup();
    if !older.is_empty() {
        let commits = older.join(" and ");
        writeln!(text, "`before` is evanesce as of commit {commits}.").expect("to a string");
    }
    text
}

fn undone(outcome: &Outcome) -> String {
    let why = outcome.why.as_deref().unwrap_or("no reason given");
    match outcome.status {
        Status::Skipped => format!("SKIPPED: {why}"),
        Status::TimedOut => format!("TIMED OUT: {why}"),
        _ => format!("FAILED: {why}"),
    }
}

/// The line of one verdict.
fn target(outcome: &Outcome, verdict: &Verdict) -> String {
    let sign = if verdict.at_least { '≥' } else { '≤' };
    let limit = |limit: Option<f64>| limit.map_or(String::new(), |limit| format!("{sign} {limit}"));
    let met = |met: Option<bool>| match met {
        None => "",
        Some(true) => "met",
        Some(false) => "**missed**",
    };
    let case = outcome.measured.cases.iter().find(|case| case.name == verdict.case);
    let figure = |entrant: &str| {
        let name = entrant.rsplit(": ").next().unwrap_or(entrant);
        let found = case.and_then(|case| Some(written(case.of(name)?.median, &case.unit)));
        found.map_or(entrant.to_owned(), |figure| format!("{entrant} {figure}"))
    };
    let ratio = if verdict.measure == crate::results::RATIO {
        quantity(verdict)
    } else {
        format!("{}: {}", verdict.measure, quantity(verdict))
    };
    format!(
        "| {} | {} | {} | {} | {ratio} | {} | {} | {} | {} |\n",
        outcome.row,
        verdict.case,
        figure(&verdict.us),
        figure(&verdict.against),
        limit(verdict.must),
        met(verdict.must_met),
        limit(verdict.aim),
        met(verdict.aim_met),
    )
}

fn quantity(verdict: &Verdict) -> String {
    let [lower, upper] = verdict.quartiles;
    format!("{} [{}, {}]", short(verdict.median), short(lower), short(upper))
}

/// All cases of a row, entrants in columns.
fn figures(outcome: &Outcome) -> String {
    let measured = &outcome.measured;
    let mut text = format!("\n### {}: {}\n\n", outcome.row, outcome.title);
    if outcome.status != Status::Done {
        return text + &undone(outcome) + ".\n";
    }
    let mut entrants: Vec<&str> = Vec::new();
    for figures in measured.cases.iter().flat_map(|case| &case.figures) {
        if !entrants.contains(&figures.entrant.as_str()) {
            entrants.push(&figures.entrant);
        }
    }
    writeln!(text, "| case | unit | {} |", entrants.join(" | ")).expect("to a string");
    writeln!(text, "| --- | --- |{}", " ---: |".repeat(entrants.len())).expect("to a string");
    for case in &measured.cases {
        write!(text, "| {} | {} |", case.name, case.unit).expect("to a string");
        for entrant in &entrants {
            write!(text, " {} |", cell(case, entrant)).expect("to a string");
        }
        text += "\n";
    }
    let parameters: Vec<String> =
        measured.parameters.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    if !parameters.is_empty() {
        writeln!(text, "\n{}.", parameters.join("; ")).expect("to a string");
    }
    if let Some(noise) = &measured.noise {
        writeln!(
            text,
            "The machine, seen by an idle thread: p99.9 {}, p99.99 {}, longest gap {}.",
            time(noise.p99_9),
            time(noise.p99_99),
            time(noise.longest)
        )
        .expect("to a string");
    }
    for skipped in &measured.skipped {
        writeln!(text, "SKIPPED: {skipped}.").expect("to a string");
    }
    for note in &measured.notes {
        writeln!(text, "{note}").expect("to a string");
    }
    text
}

fn cell(case: &Case, entrant: &str) -> String {
    let Some(theirs) = case.of(entrant) else { return String::new() };
    let figure = written(theirs.median, &case.unit);
    let ours = match newer(entrant) {
        Some(same) => case.of(same),
        None => case.figures.iter().find(|figures| figures.entrant.starts_with(EVANESCE)),
    };
    match ours {
        Some(ours) if case.compared && is_compared(theirs) => {
            let ratio = median(&ratios(&ours.rounds, &theirs.rounds));
            if ratio.is_finite() { format!("{figure} ({})", short(ratio)) } else { figure }
        }
        _ => figure,
    }
}

/// Whether a ratio to it means anything.
fn is_compared(figures: &Figures) -> bool {
    let entrant = figures.entrant.as_str();
    (!is_ours(entrant) || newer(entrant).is_some()) && ![IDLE, CLOCK, PUBLISHED].contains(&entrant)
}

/// A figure in its unit; times that are long for nanoseconds bring their own.
fn written(value: f64, unit: &str) -> String {
    if unit == "ns" && value >= 10_000.0 { time(value) } else { short(value) }
}

fn time(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{} ns", short(nanos)),
        1e3..1e6 => format!("{} us", short(nanos / 1e3)),
        1e6..1e9 => format!("{} ms", short(nanos / 1e6)),
        _ => format!("{} s", short(nanos / 1e9)),
    }
}

/// About three digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Against, Machine, Measured, Target};

    fn outcome() -> Outcome {
        let passes = [vec![9.0, 10.0, 11.0], vec![18.0, 20.0, 22.0]];
        let case = Case::new("hit, 1k", "ns", &["evanesce", "papaya"], &passes, |ns| *ns);
        let judge = |target| case.judge("evanesce", Against::Peer("papaya"), target).unwrap();
        let verdicts = vec![judge(Target::must(0.8)), judge(Target::aim(0.4))];
        Outcome {
            row: "R1".into(),
            title: "Hit".into(),
            status: Status::Done,
            why: None,
            mode: Mode::Full,
            date: "2025-01-02 03:04 UTC".into(),
            seconds: 1.0,
            commit: Some("abc".into()),
            before: None,
            machine: Machine { processor: "P".into(), cores: 2, system: "S".into() },
            measured: Measured { verdicts, cases: vec![case], ..Measured::default() },
        }
    }

    #[test]
    fn wins_and_losses_are_told_alike() {
        let text = text(&[outcome()], &[]);
        assert!(text.contains(
            "| R1 | hit, 1k | evanesce 10.0 | papaya 20.0 | 0.50 [0.50, 0.50] | ≤ 0.8 | met |  |  |\n"
        ));
        assert!(text.contains("| 0.50 [0.50, 0.50] |  |  | ≤ 0.4 | **missed** |\n"));
        assert!(text.contains("| hit, 1k | ns | 10.0 | 20.0 (0.50) |\n"));
        assert!(text.contains("must: 1 of 1 met; aim: 0 of 1 met.\n"));
    }

    #[test]
    fn older_build_is_named_and_compared_with_the_same_of_the_present_one() {
        let entrants = ["evanesce+ttl", "before+ttl", "evanesce", "before"];
        let passes = [vec![30.0], vec![10.0], vec![20.0], vec![40.0]];
        let case = Case::new("hit", "ns", &entrants, &passes, |ns| *ns);
        let mut with = outcome();
        with.before = Some("0123abc".into());
        with.measured = Measured { cases: vec![case], ..Measured::default() };
        let table = text(&[with], &[]);
        assert!(table.contains("`before` is evanesce as of commit 0123abc.\n"));
        assert!(table.contains("| hit | ns | 30.0 | 10.0 (3.00) | 20.0 | 40.0 (0.50) |\n"));
        assert!(!text(&[outcome()], &[]).contains("before"));
    }

    #[test]
    fn rows_without_figures_say_why() {
        let skipped = Outcome {
            status: Status::Skipped,
            why: Some("no folder of traces".into()),
            measured: Measured::default(),
            ..outcome()
        };
        let text = text(&[skipped], &[]);
        assert!(text.contains("| R1 | SKIPPED: no folder of traces | | | | | | | |\n"));
    }

    #[test]
    fn figures_have_about_three_digits_and_a_unit_where_it_is_not_the_column_s() {
        assert_eq!(written(8.734, "ns"), "8.73");
        assert_eq!(written(734.5, "ns"), "734");
        assert_eq!(written(612_345.0, "ns"), "612 us");
        assert_eq!(written(2_267_000_000.0, "ns"), "2.27 s");
        assert_eq!(written(612_345.0, "bytes"), "612345");
        assert_eq!(short(0.05), "0.0500");
        assert_eq!(short(-1.5), "-1.50");
        assert_eq!(short(0.0), "0");
    }
}
