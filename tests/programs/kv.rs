//! The `kv` example as a user meets it: one answer a line, whatever the line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use crate::samples::example;

/// A running store, and the two ends to talk to it.
struct Kv {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Kv {
    fn start() -> Self {
        let mut process = example("kv")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, input, output }
    }

    fn ask(&mut self, line: &str) -> String {
        self.ask_bytes(line.as_bytes())
    }

    fn ask_bytes(&mut self, line: &[u8]) -> String {
        (self.input.write_all(&[line, b"\n"].concat())).expect("the store reads on");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the answer is text");
        answer.strip_suffix('\n').expect("a whole line").to_owned()
    }

    /// Ends the input, and checks that nothing more is said.
    fn end(mut self) {
        drop(self.input);
        let mut rest = String::new();
        self.output.read_line(&mut rest).expect("the rest is text");
        assert_eq!(rest, "");
        let output = self.process.wait_with_output().expect("the store ends");
        assert!(output.status.success());
        assert_eq!(output.stderr, b"");
    }
}

#[test]
fn put_get_delete_answer_as_documented() {
    let mut kv = Kv::start();
    assert_eq!(kv.ask("get foo"), "KeyError: foo");
    assert_eq!(kv.ask("put foo bar"), "bar");
    assert_eq!(kv.ask("get foo"), "bar");
    assert_eq!(kv.ask("put foo baz"), "baz");
    assert_eq!(kv.ask("get foo"), "baz");
    assert_eq!(kv.ask("delete foo"), "OK");
    assert_eq!(kv.ask("get foo"), "KeyError: foo");
    assert_eq!(kv.ask("delete foo"), "KeyError: foo");
    kv.end();
}

#[test]
fn ttl_of_zero_is_absent_at_once() {
    let mut kv = Kv::start();
    assert_eq!(kv.ask("put foo bar 0"), "bar");
    assert_eq!(kv.ask("get foo"), "KeyError: foo");
    assert_eq!(kv.ask("ttl foo"), "KeyError: foo");
    assert_eq!(kv.ask("delete foo"), "KeyError: foo");
    kv.end();
}

#[test]
fn value_expires_and_stays_expired() {
    let mut kv = Kv::start();
    assert_eq!(kv.ask("put foo bar 5"), "bar");
    loop {
        match kv.ask("get foo").as_str() {
            "bar" => {}
            answer => break assert_eq!(answer, "KeyError: foo"),
        }
    }
    assert_eq!(kv.ask("get foo"), "KeyError: foo");
    assert_eq!(kv.ask("put foo again"), "again");
    assert_eq!(kv.ask("get foo"), "again");
    kv.end();
}

#[test]
fn ttl_answers_milliseconds_left_or_never() {
    let mut kv = Kv::start();
    kv.ask("put foo bar 1000000");
    let left: u64 = kv.ask("ttl foo").parse().expect("whole milliseconds");
    assert!((1..=1_000_000).contains(&left), "{left}");
    kv.ask("put foo bar");
    assert_eq!(kv.ask("ttl foo"), "never");
    assert_eq!(kv.ask("ttl missing"), "KeyError: missing");
    kv.end();
}

#[test]
fn huge_ttl_means_never() {
    let mut kv = Kv::start();
    for huge in ["1e300", "99999999999999999999999999"] {
        assert_eq!(kv.ask(&format!("put foo bar {huge}")), "bar");
        assert_eq!(kv.ask("ttl foo"), "never");
    }
    kv.end();
}

#[test]
fn decimal_milliseconds_are_taken() {
    let mut kv = Kv::start();
    assert_eq!(kv.ask("put foo bar 1000000.5"), "bar");
    assert_eq!(kv.ask("get foo"), "bar");
    kv.end();
}

#[test]
fn bad_line_says_what_was_expected_and_goes_on() {
    let mut kv = Kv::start();
    for (bad, expected) in [
        ("put foo", "put KEY VALUE [MILLISECONDS]"),
        ("put foo bar 5 more", "no spaces"),
        ("put foo bar soon", "`soon`"),
        ("put foo bar -1", "from 0 up"),
        ("put foo bar NaN", "from 0 up"),
        ("get", "get KEY"),
        ("get two words", "no spaces"),
        ("delete", "delete KEY"),
        ("ttl", "ttl KEY"),
        ("quit now", "quit"),
        ("fetch foo", "`fetch`"),
        ("PUT foo bar", "put, get, delete, ttl, help or quit"),
    ] {
        let answer = kv.ask(bad);
        assert!(answer.starts_with("error: expected "), "{bad}: {answer}");
        assert!(answer.contains(expected), "{bad}: {answer}");
    }
    assert_eq!(kv.ask("put foo bar"), "bar");
    assert_eq!(kv.ask("get foo"), "bar");
    kv.end();
}

#[test]
fn bad_put_leaves_the_old_value() {
    let mut kv = Kv::start();
    kv.ask("put foo bar");
    kv.ask("put foo baz -5");
    assert_eq!(kv.ask("get foo"), "bar");
    assert_eq!(kv.ask("ttl foo"), "never");
    kv.end();
}

#[test]
fn line_that_is_not_utf8_is_a_bad_line() {
    let mut kv = Kv::start();
    let answer = kv.ask_bytes(b"put \xff\xfe bar");
    assert!(answer.starts_with("error: expected UTF-8"), "{answer}");
    assert_eq!(kv.ask("put foo b\u{e4}r"), "b\u{e4}r");
    kv.end();
}

#[test]
fn blank_lines_and_line_ends_do_not_matter() {
    let mut kv = Kv::start();
    assert_eq!(kv.ask("\n  \r\nput  foo\tbar \r"), "bar");
    kv.end();
}

#[test]
fn last_line_needs_no_newline() {
    let mut kv = Kv::start();
    kv.input.write_all(b"put foo bar").expect("the store reads");
    drop(kv.input);
    let mut answer = String::new();
    kv.output.read_line(&mut answer).expect("the answer is text");
    assert_eq!(answer, "bar\n");
    assert!(kv.process.wait().expect("the store ends").success());
}

#[test]
fn help_names_every_command_and_quit_ends() {
    let mut kv = Kv::start();
    kv.input.write_all(b"help\nquit\nget foo\n").expect("the store reads");
    let answers: Vec<String> =
        (kv.output.lines()).collect::<Result<_, _>>().expect("the answers are text");
    for verb in ["put", "get", "delete", "ttl", "help", "quit"] {
        assert!(answers.iter().any(|line| line.starts_with(verb)), "no {verb}");
    }
    assert!(!answers.contains(&"KeyError: foo".to_owned()));
    assert!(kv.process.wait().expect("the store ends").success());
}

#[test]
fn output_closed_early_is_no_panic() {
    let mut kv = Kv::start();
    assert_eq!(kv.ask("put foo bar"), "bar");
    drop(kv.output);
    // The store may end while it is still being asked.
    while kv.input.write_all(b"get foo\n").is_ok() {}
    let output = kv.process.wait_with_output().expect("the store ends");
    assert!(output.status.success());
    assert_eq!(output.stderr, b"");
}
