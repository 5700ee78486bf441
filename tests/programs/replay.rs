//! The `replay` example as a user meets it: exact counts, closing figures, and one clear line for
//! whatever cannot be done.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::samples::example;
use flate2::Compression;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzWriter};
use serde_json::Value;
use tempfile::TempDir;

/// Keys with repeats: 20,000 requests on 500 keys, each above `u32::MAX / 2`.
const REQUESTS: u64 = 20_000;
const KEYS: u64 = 500;

fn keys() -> impl Iterator<Item = u32> {
    (0..REQUESTS).map(|place| {
        let number = (place * place + place / 7) % KEYS;
        u32::MAX - u32::try_from(number).expect("there are few keys")
    })
}

/// A folder with one trace in it, gone when dropped.
struct Trace {
    path: PathBuf,
    _folder: TempDir,
}

fn trace(name: &str, bytes: &[u8]) -> Trace {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a trace can be written");
    Trace { path, _folder: folder }
}

fn lines() -> Vec<u8> {
    keys().flat_map(|key| format!("{key}\n").into_bytes()).collect()
}

fn u32be() -> Vec<u8> {
    keys().flat_map(u32::to_be_bytes).collect()
}

fn u64be() -> Vec<u8> {
    keys().flat_map(|key| (u64::from(key) << 31).to_be_bytes()).collect()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder =
        XzWriter::new(Vec::new(), XzOptions::with_preset(6)).expect("preset 6 is valid");
    encoder.write_all(bytes).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

/// Runs the example with the words of `arguments`.
fn replay(arguments: &str) -> Output {
    replay_with(&arguments.split_whitespace().collect::<Vec<_>>())
}

fn replay_with(arguments: &[&str]) -> Output {
    (example("replay").args(arguments).output()).expect("the example starts")
}

fn replay_trace(path: &Path, format: &str, more: &str) -> Output {
    (example("replay").arg("--trace").arg(path))
        .args(["--format", format])
        .args(more.split_whitespace())
        .output()
        .expect("the example starts")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("the example writes UTF-8")
}

/// The figures of a run that succeeded in silence, with `--json`.
fn figures(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "", "no terminal, no progress bar");
    let line = text(&output.stdout).strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "more than one line: {line}");
    serde_json::from_str(line).expect("the line is JSON")
}

fn number(figures: &Value, name: &str) -> u64 {
    (figures[name].as_u64()).unwrap_or_else(|| panic!("{name} is not a number in {figures}"))
}

const ONE_READER: &str = "--json --readers 1 --writers 0 --ttl none";
const FOUR_READERS: &str = "--json --readers 4 --writers 0 --ttl none";

/// One reader's counts are exact; four readers serve as many requests, and lose no key.
fn assert_counts(path: &Path, format: &str, requests: u64, keys: u64) {
    let one = figures(&replay_trace(path, format, ONE_READER));
    assert_eq!(number(&one, "requests"), requests);
    assert_eq!(number(&one, "misses"), keys);
    assert_eq!(number(&one, "hits"), requests - keys);
    assert_eq!(number(&one, "misses_put_before"), 0);
    assert_eq!(number(&one, "entries"), keys);

    let four = figures(&replay_trace(path, format, FOUR_READERS));
    assert_eq!(number(&four, "requests"), requests);
    assert_eq!(number(&four, "hits") + number(&four, "misses"), requests);
    assert!(number(&four, "misses") >= keys);
    assert_eq!(number(&four, "misses_put_before"), 0);
    assert_eq!(number(&four, "entries"), keys);
}

/// The one line that a refused command leaves on standard error.
fn refusal(output: &Output, names: &[&str]) {
    assert!(!output.status.success(), "not refused: {output:?}");
    assert!(output.status.code().is_some(), "ended by a signal");
    assert_eq!(text(&output.stdout), "");
    let complaint = text(&output.stderr);
    assert!(!complaint.contains("panicked"), "{complaint}");
    let line = complaint.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "more than one line: {line}");
    for name in names {
        assert!(line.contains(name), "`{name}` is not named: {line}");
    }
}

#[test]
fn lines_trace_is_counted_exactly() {
    assert_counts(&trace("t.txt", &lines()).path, "lines", REQUESTS, KEYS);
}

#[test]
fn u32be_trace_is_counted_exactly() {
    assert_counts(&trace("t.bin", &u32be()).path, "u32be", REQUESTS, KEYS);
}

#[test]
fn u64be_trace_is_counted_exactly() {
    assert_counts(&trace("t.bin", &u64be()).path, "u64be", REQUESTS, KEYS);
}

#[test]
fn gz_trace_is_decompressed() {
    assert_counts(&trace("t.gz", &gz(&lines())).path, "lines", REQUESTS, KEYS);
}

#[test]
fn gz_trace_of_two_members_is_read_whole() {
    let twice = [gz(&lines()), gz(&lines())].concat();
    assert_counts(&trace("t.gz", &twice).path, "lines", 2 * REQUESTS, KEYS);
}

#[test]
fn xz_trace_is_decompressed() {
    assert_counts(&trace("t.xz", &xz(&u64be())).path, "u64be", REQUESTS, KEYS);
}

#[test]
fn last_line_needs_no_newline() {
    assert_counts(&trace("t.txt", b"7\n8\r\n 7\n9").path, "lines", 4, 3);
}

#[test]
fn real_traces_are_counted_exactly() {
    let Some(folder) = std::env::var_os("EVANESCE_TRACES").map(PathBuf::from) else {
        println!("SKIPPED: EVANESCE_TRACES names no folder with the real traces");
        return;
    };
    for (name, format, requests, keys) in [
        ("web12.trace.xz", "u32be", 95_607, 13_756),
        ("scarab-recs.trace.xz", "u64be", 1_245_184, 258_368),
        ("sprite.trace.gz", "lines", 133_996, 7_075),
    ] {
        if cfg!(debug_assertions) && requests > 1_000_000 {
            println!(
                "SKIPPED: {name}: seconds without optimisation; `.ci/run` counts it in release"
            );
            continue;
        }
        let path = folder.join(name);
        if path.is_file() {
            assert_counts(&path, format, requests, keys);
        } else {
            println!("SKIPPED: EVANESCE_TRACES holds no {name}");
        }
    }
}

#[test]
fn expired_keys_of_a_trace_are_missed_and_put_again() {
    // Gone before any later request: every request misses, and only first ones miss on new keys.
    let trace = trace("t.txt", &lines());
    let run = figures(&replay_trace(
        &trace.path,
        "lines",
        "--json --readers 1 --writers 0 --ttl 1ns --ttl-divisor 1",
    ));
    assert_eq!(number(&run, "requests"), REQUESTS);
    assert_eq!(number(&run, "misses"), REQUESTS);
    assert_eq!(number(&run, "misses_put_before"), REQUESTS - KEYS);
    assert_eq!(number(&run, "expired"), REQUESTS);
}

#[test]
fn bound_is_kept_and_what_it_costs_is_told() {
    const MOST: u64 = 50;
    let trace = trace("t.txt", &lines());
    for shape in [ONE_READER, FOUR_READERS] {
        let shape = format!("{shape} --max-entries {MOST}");
        let run = figures(&replay_trace(&trace.path, "lines", &shape));
        let count = |name| number(&run, name);
        assert_eq!(count("max_entries"), MOST);
        assert_eq!(count("entries"), MOST);
        assert!(count("misses_put_before") > 0);
        assert!(count("evicted") >= KEYS - MOST);
        assert_eq!(count("hits") + count("misses"), REQUESTS);
        let hits: f64 = run["hits"].as_f64().expect("a number");
        let requests: f64 = run["requests"].as_f64().expect("a number");
        assert_eq!(run["hit_ratio"].as_f64(), Some(hits / requests));
    }
}

#[test]
fn bound_as_large_as_the_stream_evicts_nothing() {
    let trace = trace("t.txt", &lines());
    let shape = format!("{ONE_READER} --max-entries {KEYS}");
    let run = figures(&replay_trace(&trace.path, "lines", &shape));
    assert_eq!(number(&run, "misses"), KEYS);
    assert_eq!(number(&run, "evicted"), 0);
}

#[test]
fn without_a_bound_nothing_is_evicted() {
    let run = figures(&replay("--json --duration 10ms --keys 100"));
    assert!(run["max_entries"].is_null());
    assert_eq!(number(&run, "evicted"), 0);
}

#[test]
fn bounded_accounts_balance_beside_writers_and_deadlines() {
    const MOST: u64 = 50;
    let trace = trace("t.txt", &lines());
    for ttl in ["none", "60s:0.5,1h:0.2"] {
        let shape = format!("--json --readers 2 --writers 2 --ttl {ttl} --max-entries {MOST}");
        let run = figures(&replay_trace(&trace.path, "lines", &shape));
        assert_eq!(number(&run, "hits") + number(&run, "misses"), REQUESTS);
        assert!(number(&run, "entries") <= MOST);
        // Each key is put, and writers delete fewer than one in 64 requests.
        let most_deleted = REQUESTS / 64;
        assert!(ttl != "none" || number(&run, "evicted") >= KEYS - MOST - most_deleted);
    }
}

#[test]
fn hit_ratio_of_a_table_is_a_percentage() {
    let trace = trace("t.txt", b"7\n7\n8\n7\n");
    let run = replay_trace(&trace.path, "lines", "--readers 1 --writers 0 --ttl none");
    let table = text(&run.stdout);
    let line = table.lines().find(|line| line.starts_with("hit ratio  ")).expect("a line for it");
    assert!(line.ends_with(" 50.00 %"), "{line}");
}

#[test]
fn writers_leave_the_request_count_alone() {
    let trace = trace("t.txt", &lines());
    for ttl in ["none", "60s:0.5,1h:0.2"] {
        let shape = format!("--json --readers 3 --writers 3 --ttl {ttl}");
        let run = figures(&replay_trace(&trace.path, "lines", &shape));
        assert_eq!(number(&run, "requests"), REQUESTS);
        assert_eq!(number(&run, "hits") + number(&run, "misses"), REQUESTS);
    }
}

#[test]
fn zipf_run_expires_and_sweeps() {
    // The default mix, so half of the values outlive less than a tenth of the run.
    let run = figures(&replay("--json --duration 500ms --keys 10000 --seed 7"));
    let count = |name| number(&run, name);
    assert!(count("hits") > 0);
    assert!(count("expired") > 0);
    assert!(count("swept") > 0);
    assert!(count("max_lag_ns") > 0);
    assert!(count("misses_put_before") > 0);
    assert!(count("expired") >= count("swept"));
    assert_eq!(count("requests"), count("hits") + count("misses"));
    assert_eq!(count("seed"), 7);
    assert_eq!(count("ttl_median_ns"), 50_000_000);
    assert!(count("elapsed_ns") >= 500_000_000);
}

#[test]
fn percentiles_do_not_fall() {
    let run = figures(&replay("--json --duration 50ms --keys 100"));
    let latencies = ["p50", "p99", "p999", "p9999", "max"]
        .map(|percentile| number(&run, &format!("get_{percentile}_ns")));
    assert!(latencies.is_sorted(), "{latencies:?}");
    assert!(latencies[0] > 0);
}

#[test]
fn json_names_are_those_of_help() {
    let run = figures(&replay("--json --duration 10ms --keys 100"));
    let help = replay("--help");
    assert!(help.status.success());
    let help = text(&help.stdout);
    let (_, named) = help.split_once("closing figures").expect("a list of figures");
    let run = run.as_object().expect("the figures are an object");
    assert!(run.contains_key("requests_per_s"));
    assert!(run.contains_key("rss_bytes"));
    for name in run.keys() {
        assert!(named.contains(&format!("\n  {name} ")), "--help does not name {name}");
    }
}

#[test]
fn table_has_a_line_a_figure() {
    let output = replay("--duration 10ms --keys 100");
    assert!(output.status.success());
    let table = text(&output.stdout);
    for label in [
        "requests",
        "hits",
        "misses",
        "hit ratio",
        "misses on keys put before",
        "requests/s",
        "get p50",
        "get p99",
        "get p99.9",
        "get p99.99",
        "get max",
        "entries",
        "bytes",
        "RSS",
        "evicted",
        "expired",
        "swept",
        "largest lag",
    ] {
        let found = table
            .lines()
            .any(|line| line.strip_prefix(label).is_some_and(|rest| rest.starts_with("  ")));
        assert!(found, "no line for {label}:\n{table}");
    }
}

#[test]
fn missing_file_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("nowhere.trace");
    refusal(&replay_trace(&path, "lines", ""), &["nowhere.trace"]);
}

#[test]
fn folder_as_trace_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let name = folder.path().file_name().and_then(|name| name.to_str());
    refusal(&replay_trace(folder.path(), "u32be", ""), &[name.expect("a plain name")]);
}

#[test]
fn file_name_with_a_newline_is_escaped() {
    refusal(&replay_trace(Path::new("no\nwhere"), "lines", ""), &["no\\nwhere"]);
}

#[test]
fn empty_trace_is_refused() {
    for format in ["lines", "u32be", "u64be"] {
        refusal(&replay_trace(&trace("t.trace", b"").path, format, ""), &["t.trace", "empty"]);
    }
    let empty = trace("t.gz", &gz(b""));
    refusal(&replay_trace(&empty.path, "lines", ""), &["t.gz", "empty"]);
}

#[test]
fn truncated_gz_names_the_file() {
    assert_truncation_is_seen("cut.gz", &gz(&u32be()));
}

#[test]
fn truncated_xz_names_the_file() {
    assert_truncation_is_seen("cut.xz", &xz(&u32be()));
}

/// Cuts within the header, the data and the trailer are all seen.
fn assert_truncation_is_seen(name: &str, whole: &[u8]) {
    let length = whole.len();
    for left in [0, 1, 5, 11, length / 4, length / 2, length - 9, length - 4, length - 1] {
        let cut = trace(name, &whole[..left]);
        refusal(&replay_trace(&cut.path, "u32be", ""), &[name]);
    }
}

#[test]
fn corrupted_compression_is_refused() {
    for (name, mut bytes) in [("bad.gz", gz(&u32be())), ("bad.xz", xz(&u32be()))] {
        let middle = bytes.len() / 2;
        for byte in &mut bytes[middle..middle + 8] {
            *byte = !*byte;
        }
        refusal(&replay_trace(&trace(name, &bytes).path, "u32be", ""), &[name]);
        refusal(&replay_trace(&trace(name, b"plain text").path, "lines", ""), &[name]);
    }
}

#[test]
fn truncated_u32be_names_file_and_offset() {
    let cut = trace("cut.bin", &u32be()[..43]);
    refusal(&replay_trace(&cut.path, "u32be", ""), &["cut.bin", "byte 40"]);
}

#[test]
fn truncated_u64be_names_file_and_offset() {
    let cut = trace("cut.bin.gz", &gz(&u64be()[..83]));
    refusal(&replay_trace(&cut.path, "u64be", ""), &["cut.bin.gz", "byte 80"]);
}

#[test]
fn malformed_line_names_file_line_and_offset() {
    for (bad, shown) in [
        ("seven", "`seven`"),
        ("", "``"),
        ("-7", "`-7`"),
        ("+7", "`+7`"),
        ("7 8", "`7 8`"),
        ("7.5", "`7.5`"),
        ("18446744073709551616", "`18446744073709551616`"),
    ] {
        let bad = trace("bad.txt", format!("17\n18\n{bad}\n19\n").as_bytes());
        let run = replay_trace(&bad.path, "lines", "");
        refusal(&run, &["bad.txt", "line 3", "byte 6", shown]);
    }
}

#[test]
fn binary_file_read_as_lines_is_refused_briefly() {
    let binary = trace("t.bin", &vec![0xff; 1 << 20]);
    let run = replay_trace(&binary.path, "lines", "");
    refusal(&run, &["t.bin", "line 1"]);
    assert!(run.stderr.len() < 400, "a long line for a long file");
}

#[test]
fn bad_option_is_named() {
    refusal(&replay("--reader 1"), &["--reader"]);
    refusal(&replay("-x"), &["-x"]);
    refusal(&replay("stray"), &["stray"]);
    refusal(&replay("--readers"), &["--readers"]);
    refusal(&replay("--json=1"), &["--json"]);
    refusal(&replay_with(&["--bad\nname"]), &["--bad\\nname"]);
}

#[test]
fn bad_value_names_option_value_and_range() {
    for (option, value, range) in [
        ("--readers", "0", "from 1 to 1024"),
        ("--readers", "x", "from 1 to 1024"),
        ("--readers", "99999999999999999999", "from 1 to 1024"),
        ("--writers", "-1", "from 0 to 1024"),
        ("--max-entries", "0", "from 1 to 100000000"),
        ("--max-entries", "-1", "from 1 to 100000000"),
        ("--max-entries", "10%", "from 1 to 100000000"),
        ("--max-entries", "100000001", "from 1 to 100000000"),
        ("--keys", "0", "from 1 to 100000000"),
        ("--seed", "1.5", "from 0 to 18446744073709551615"),
        ("--duration", "0s", "from 1ms to 1d"),
        ("--duration", "10", "unit"),
        ("--duration", "NaNs", "from 1ms to 1d"),
        ("--ttl", "60x:0.3", "ns, us, ms, s, m, h or d"),
        ("--ttl", "0s:0.3", "from 1ns to 36500d"),
        ("--ttl", "60s:0", "above 0"),
        ("--ttl", "60s:-1", "above 0"),
        ("--ttl", "60s:NaN", "above 0"),
        ("--ttl", "60s:inf", "up to 1e9"),
        ("--ttl", "60s:", "weight"),
        ("--ttl-divisor", "0", "above 0"),
        ("--ttl-divisor", "inf", "up to 1e12"),
        ("--format", "u16be", "lines, u32be or u64be"),
    ] {
        refusal(&replay_with(&[option, value]), &[option, &format!("`{value}`"), range]);
    }
    refusal(&replay_with(&["--ttl", " , "]), &["--ttl", "empty"]);
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    refusal(&replay("--trace t"), &["--format"]);
    refusal(&replay("--format lines"), &["--trace"]);
    let both = "--trace t --format lines --duration 1s";
    refusal(&replay(both), &["--duration"]);
    let nothing_to_divide = replay("--ttl none --ttl-divisor 2");
    refusal(&nothing_to_divide, &["--ttl-divisor", "--ttl none"]);
}

#[test]
fn weights_above_one_are_normalised() {
    let output = replay("--duration 10ms --keys 100 --ttl 1ms,3ms:3 --ttl-divisor 2");
    let table = text(&output.stdout);
    assert!(table.contains("500µs:0.250 1.5ms:0.750 never:0.000"), "{table}");
}

#[test]
fn output_closed_early_is_no_panic() {
    let mut child = (example("replay").arg("--help"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut first = String::new();
    let mut stdout = BufReader::with_capacity(1, child.stdout.take().expect("it is piped"));
    stdout.read_line(&mut first).expect("the first line is text");
    drop(stdout);
    let output = child.wait_with_output().expect("the example ends");
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
}
