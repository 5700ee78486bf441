//! The line by which the `replay` example tells how far it is, as a terminal of some width gets it.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use crate::samples::example;
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// What the terminal of so many columns gets, frame by frame.
fn frames(columns: u16, command: &mut Command) -> Vec<String> {
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudoterminal");
    grantpt(&near).expect("it is ours");
    unlockpt(&near).expect("it is ours");
    let name = ptsname(&near, Vec::new()).expect("it has a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let far: OwnedFd = open(&*name, flags, Mode::empty()).expect("its other end");
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&far, size).expect("a size");
    let mut child = command.stdout(Stdio::null()).stderr(far).spawn().expect("the example starts");
    // The command keeps the other end open until it is told of another.
    command.stderr(Stdio::null());
    let (mut near, mut bytes, mut some) = (File::from(near), Vec::new(), [0; 4096]);
    loop {
        match near.read(&mut some) {
            Ok(0) => break,
            Ok(count) => bytes.extend(&some[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break, // what Linux says when the other end is closed
        }
    }
    assert!(child.wait().expect("the example ends").success());
    let text = String::from_utf8(bytes).expect("text");
    assert!(!text.contains('\n'), "{text:?}");
    text.split("\r\u{1b}[2K").skip(1).map(str::to_owned).collect()
}

/// By few threads, since their processor time counts.
fn run_for<'a>(duration: &'a str, readers: &'a str) -> [&'a str; 8] {
    ["--duration", duration, "--keys", "1000", "--readers", readers, "--writers", "0"]
}

fn replay(columns: u16) -> Vec<String> {
    frames(columns, example("replay").args(run_for("250ms", "1")))
}

/// All frames but the last, which is empty, of a run long enough to have told of requests.
fn frames_with_requests(columns: u16) -> Vec<String> {
    for duration in ["350ms", "5s", "60s"] {
        let mut frames = frames(columns, example("replay").args(run_for(duration, "2")));
        assert_eq!(frames.pop().as_deref(), Some(""), "it clears the line");
        if frames.last().is_some_and(|frame| frame.ends_with('%')) {
            return frames;
        }
    }
    panic!("no requests in a minute");
}

/// What `-` stands for until there was a request.
fn number(text: &str) -> f64 {
    let digits = text.trim_end_matches(['k', 'M', '%']);
    if digits == "-" { 0.0 } else { digits.parse().expect("a number") }
}

#[test]
fn each_frame_from_the_first_tells_share_time_rate_and_hit_ratio() {
    let frames = frames_with_requests(100);
    for frame in &frames {
        let bar: String = frame.chars().take_while(|c| ['█', '░'].contains(c)).collect();
        assert_eq!(bar.chars().count(), 30, "{frame}");
        let parts: Vec<&str> = frame[bar.len()..].trim_start().split("  ").map(str::trim).collect();
        let [share, time, rate, ratio] = parts[..] else { panic!("{frame}") };
        assert!((0.0..=100.0).contains(&number(share)) && time.contains(" of "), "{frame}");
        number(rate.strip_suffix(" requests/s").expect("requests a second"));
        number(ratio.strip_prefix("hit ratio ").expect("a hit ratio"));
    }
    let last = &frames[frames.len() - 1];
    let (_, rate) = last.rsplit_once("  hit ratio ").expect("a hit ratio");
    assert!((0.0..=100.0).contains(&number(rate)), "{last}");
}

#[test]
fn no_frame_is_wider_than_its_terminal() {
    for columns in [1, 10, 30, 40, 60, 80, 200] {
        for frame in replay(columns) {
            assert!(frame.chars().count() < usize::from(columns), "{columns}: {frame}");
        }
    }
}

#[test]
fn thirty_columns_tell_the_share_the_rate_and_the_hit_ratio() {
    for frame in frames_with_requests(30) {
        let parts: Vec<&str> = frame.trim_start().split("  ").map(str::trim).collect();
        let [share, rate, ratio] = parts[..] else { panic!("{frame}") };
        number(share);
        number(rate.strip_suffix("/s").expect("requests a second"));
        number(ratio.strip_prefix("hits ").expect("a hit ratio"));
    }
}
