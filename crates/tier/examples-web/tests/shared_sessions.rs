//! The example as a reader runs it: processes, a real server, an HTTP client.

#[path = "../../tests/common/server.rs"]
#[allow(dead_code, unreachable_pub, reason = "not all of it is used here")]
mod server;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use server::{Kind, Server, free_port};
use tokio::runtime::Runtime;

/// After which what is waited for counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// The example's program, which `cargo test -p tier-web-examples` builds beside this test. (With `--test` it would not.)
fn example() -> Command {
    let test = std::env::current_exe().expect("this test has a path");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let program: PathBuf = folder.join("examples/shared-sessions");
    Command::new(program)
}

/// A server, Redis or else Valkey, and what runs it.
fn start_server() -> (Runtime, Server) {
    let runtime = Runtime::new().expect("a runtime");
    let kind = [Kind::Redis, Kind::Valkey].into_iter().find(|kind| kind.program().is_ok());
    let kind = kind.expect("a server; on Debian `apt-get install -y redis-server` brings one");
    let server = runtime.block_on(Server::start(kind, &[]));
    (runtime, server)
}

/// A process of the fleet.
struct Process {
    child: Child,
    base: String,
    agent: ureq::Agent,
}

impl Process {
    fn start(redis: &str) -> Self {
        let mut command = example();
        command.args(["--port", "0", "--redis", redis]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the example starts");
        let mut line = String::new();
        let said = child.stdout.take().expect("it is piped");
        BufReader::new(said).read_line(&mut line).expect("text");
        let base = line.trim_end().strip_prefix("listening on ").expect("an address").to_owned();
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
        Self { child, base, agent }
    }

    /// Status and text of the answer; a path of /logout is posted to.
    fn ask(&self, path: &str, cookie: &str) -> (u16, String) {
        let url = format!("{}{path}", self.base);
        let reply = match path {
            "/logout" => self.agent.post(url).header("cookie", cookie).send_empty(),
            _ => self.agent.get(url).header("cookie", cookie).call(),
        };
        let mut reply = reply.expect("an answer");
        (reply.status().as_u16(), reply.body_mut().read_to_string().expect("text"))
    }

    /// The cookie of a new session.
    fn log_in(&self, user: &str) -> String {
        let reply = self.agent.post(format!("{}/login", self.base)).send(user);
        let reply = reply.expect("an answer");
        assert_eq!(reply.status().as_u16(), 200);
        let set = reply.headers()["set-cookie"].to_str().expect("text");
        let (pair, attributes) = set.split_once("; ").expect("attributes");
        assert!(attributes.contains("HttpOnly"), "{attributes}");
        pair.to_owned()
    }

    /// What `/metrics` says of a figure, whatever its labels.
    fn figure(&self, name: &str) -> Option<f64> {
        let (status, text) = self.ask("/metrics", "");
        assert_eq!(status, 200);
        let line = text.lines().find(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        })?;
        Some(line.rsplit_once(' ').expect("a value").1.parse().expect("a number"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_logout_in_one_process_ends_the_session_in_the_other() {
    let (_runtime, server) = start_server();
    let [one, other] = [0, 1].map(|_| Process::start(&server.url()));
    let cookie = one.log_in("ada");
    let hello = (200, "hello, ada\n".to_owned());
    for _ in 0..3 {
        assert_eq!(other.ask("/page", &cookie), hello);
    }
    // It was read once, and is in memory: the near TTL would not end it within this test.
    until("figures of hits", || other.figure("evanesce_tier_hits_total") == Some(2.0));
    assert_eq!(other.figure("evanesce_tier_fills_total"), Some(1.0));
    the_guide_names_the_figures_of(&other);
    assert_eq!(one.ask("/logout", &cookie).0, 204);
    assert_eq!(one.ask("/page", &cookie), (401, "no session\n".into()));
    until("the other is told", || other.ask("/page", &cookie).0 == 401);
    until("figures of pushes", || other.figure("evanesce_tier_pushes_total") == Some(1.0));
    for process in [&one, &other] {
        assert_eq!(process.ask("/logout", &cookie).0, 401, "it is over");
    }
}

#[test]
fn without_the_server_no_session_is_accepted_and_with_it_again_they_are() {
    let (runtime, mut server) = start_server();
    let process = Process::start(&server.url());
    let cookie = process.log_in("ada");
    assert_eq!(process.ask("/page", &cookie).0, 200);
    assert_eq!(process.figure("sessions_connected"), Some(1.0));
    server.stop();
    until("it is refused", || process.ask("/page", &cookie).0 == 503);
    assert_eq!(process.figure("sessions_connected"), Some(0.0));
    runtime.block_on(server.start_again());
    // The server has come back empty.
    until("it is connected again", || process.ask("/page", &cookie).0 == 401);
    let cookie = process.log_in("bob");
    assert_eq!(process.ask("/page", &cookie), (200, "hello, bob\n".into()));
    until("figures of losses", || process.figure("evanesce_tier_losses_total") == Some(1.0));
}

#[test]
fn forged_cookies_are_refused_and_reach_no_server() {
    let (_runtime, server) = start_server();
    let process = Process::start(&server.url());
    process.log_in("ada");
    let long = format!("session={}", "0".repeat(4000));
    for cookie in ["", "session", "session=", "session=ada", "session=*", &long] {
        for path in ["/page", "/logout"] {
            assert_eq!(process.ask(path, cookie).0, 401, "{cookie}");
        }
    }
    // One that looks right is asked for, and is none.
    assert_eq!(process.ask("/page", &format!("session={}", "0".repeat(32))).0, 401);
    until("figures of fills", || process.figure("evanesce_tier_fills_total") == Some(1.0));
    let name = "a".repeat(5000);
    let reply = process.agent.post(format!("{}/login", process.base)).send(&name);
    assert_eq!(reply.expect("an answer").status().as_u16(), 413);
}

/// Checks that what the guide tells to watch is there, and that it names all that is there.
fn the_guide_names_the_figures_of(process: &Process) {
    let names = |text: &str| -> BTreeSet<String> {
        let is_no_part = |c: char| c != '_' && !c.is_ascii_alphanumeric();
        let words = text.split(is_no_part).filter(|word| word.starts_with("evanesce_tier_"));
        words.map(str::to_owned).collect()
    };
    let told = names(&process.ask("/metrics", "").1);
    assert!(told.len() > 10, "{told:?}");
    assert_eq!(names(include_str!("../../GUIDE.md")), told);
}

fn output(arguments: &[&str]) -> Output {
    example().args(arguments).output().expect("the example starts")
}

/// Checks that it ends with this status, and one line on standard error that says `says`.
fn refuses(arguments: &[&str], status: i32, says: &str) {
    let output = output(arguments);
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    assert!(said.starts_with("shared-sessions: ") && said.contains(says), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn what_cannot_be_followed_is_one_line_and_status_2() {
    let range = "--port: expected a whole number from 0 to 65535, found";
    for (arguments, says) in [
        (&["--port", "abc"][..], format!("{range} `abc`")),
        (&["--port", "65536"], format!("{range} `65536`")),
        (&["--port", "8\n0"], format!("{range} `8\\n0`")),
        (&["--port"], "--port".to_owned()),
        (&["--prot", "1"], "--prot".to_owned()),
        (&["stray"], "stray".to_owned()),
    ] {
        refuses(arguments, 2, &says);
    }
}

#[test]
fn a_port_in_use_is_named_in_one_line_and_is_status_1() {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = held.local_addr().expect("it has one").port().to_string();
    refuses(&["--port", &port], 1, &format!("cannot listen at 127.0.0.1:{port}: "));
}

#[test]
fn a_server_that_is_not_there_is_named_in_one_line_and_is_status_1() {
    let url = format!("redis://:secret@127.0.0.1:{}/", free_port());
    let server = url.replace(":secret@", "");
    refuses(&["--redis", &url], 1, &server);
    refuses(&["--redis", "http://127.0.0.1/"], 1, "http://127.0.0.1/");
}

#[test]
fn help_names_each_option_and_path() {
    let outputs = ["--help", "-h"].map(|option| output(&[option]));
    assert!(outputs.iter().all(|output| output.status.success() && output.stderr.is_empty()));
    let help = String::from_utf8_lossy(&outputs[0].stdout).into_owned();
    assert_eq!(outputs[0].stdout, outputs[1].stdout);
    let names = ["Usage: shared-sessions", "--port N", "--redis URL", "--help"];
    for name in names.into_iter().chain(["/login", "/page", "/logout", "/metrics"]) {
        assert!(help.contains(name), "{name}");
    }
}
