//! The session store, driven over a socket by an HTTP client.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use evanesce::ManualClock;

use crate::examples::sessions::server::{IDLE, Server, Store, store};
use crate::samples::{NANOSECOND, PATIENCE, example, help_of, nearly, prints_its_sample, refuses};

struct World {
    clock: ManualClock,
    store: Arc<Store>,
    server: Server,
}

impl World {
    fn start() -> Self {
        let clock = ManualClock::new();
        let store = Arc::new(store().clock(clock.clone()).build().expect("valid options"));
        let server = Server::start(Arc::clone(&store), 0).expect("a free port");
        Self { clock, store, server }
    }

    fn client(&self) -> Client {
        Client::of(&format!("http://{}", self.server.address))
    }
}

/// A client with a connection and a cookie of its own.
struct Client {
    agent: ureq::Agent,
    base: String,
    cookie: String,
}

impl Client {
    fn of(base: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.timeout_global(Some(PATIENCE)).build().new_agent();
        Self { agent, base: base.to_owned(), cookie: String::new() }
    }

    /// The answer's status and text.
    fn ask(&mut self, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.base);
        let reply = match path {
            "/logout" => self.agent.post(url).header("cookie", &self.cookie).send_empty(),
            _ => self.agent.get(url).header("cookie", &self.cookie).call(),
        };
        let mut reply = reply.expect("an answer");
        (reply.status().as_u16(), reply.body_mut().read_to_string().expect("text"))
    }

    fn status(&mut self, path: &str) -> u16 {
        self.ask(path).0
    }

    /// Takes the cookie of a new session.
    fn log_in(&mut self, user: &str) {
        let reply = self.agent.post(format!("{}/login", self.base)).send(user);
        let reply = reply.expect("an answer");
        assert_eq!(reply.status().as_u16(), 200);
        let set = reply.headers()["set-cookie"].to_str().expect("text");
        let (pair, attributes) = set.split_once("; ").expect("attributes");
        assert!(attributes.contains("HttpOnly"), "{attributes}");
        pair.clone_into(&mut self.cookie);
    }
}

fn hello(user: &str) -> (u16, String) {
    (200, format!("hello, {user}: nothing new"))
}

#[test]
fn a_session_goes_from_login_to_logout() {
    let world = World::start();
    let mut ada = world.client();
    assert_eq!(ada.status("/page"), 401);
    ada.log_in("ada");
    assert_eq!(ada.ask("/page"), hello("ada"));
    assert_eq!(ada.ask("/whoami"), (200, "ada".into()));
    assert_eq!(ada.status("/logout"), 204);
    // The cookie is still sent, and counts for nothing.
    for path in ["/page", "/whoami", "/logout"] {
        assert_eq!(ada.status(path), 401, "{path}");
    }
}

#[test]
fn an_expired_session_is_refused() {
    let world = World::start();
    let mut ada = world.client();
    ada.log_in("ada");
    world.clock.advance(nearly(IDLE));
    assert_eq!(ada.ask("/whoami"), (200, "ada".into()));
    world.clock.advance(NANOSECOND);
    for path in ["/page", "/whoami", "/logout", "/page"] {
        assert_eq!(ada.status(path), 401, "{path}");
    }
}

#[test]
fn use_renews_a_session_and_a_look_does_not() {
    let world = World::start();
    let mut ada = world.client();
    ada.log_in("ada");
    for _ in 0..5 {
        world.clock.advance(nearly(IDLE));
        assert_eq!(ada.ask("/page"), hello("ada"));
    }
    world.clock.advance(nearly(IDLE));
    assert_eq!(ada.status("/whoami"), 200);
    world.clock.advance(NANOSECOND);
    assert_eq!(ada.status("/whoami"), 401);
}

#[test]
fn no_cookie_a_forged_one_and_anothers_name_are_refused() {
    let world = World::start();
    world.client().log_in("ada");
    let mut eve = world.client();
    for cookie in ["", "session", "session=", "session=ada", "xsession=0", "ada=session=0"] {
        cookie.clone_into(&mut eve.cookie);
        assert_eq!(eve.status("/page"), 401, "{cookie}");
    }
}

#[test]
fn the_session_is_found_among_other_cookies() {
    let world = World::start();
    let mut ada = world.client();
    ada.log_in("ada");
    ada.cookie = format!("xsession=1; theme=session=2; {}; session2=3", ada.cookie);
    assert_eq!(ada.ask("/page"), hello("ada"));
}

#[test]
fn each_login_has_an_identifier_of_128_bits_and_its_own() {
    let world = World::start();
    let mut ada = world.client();
    let mut seen = HashSet::new();
    for _ in 0..100 {
        ada.log_in("ada");
        let id = ada.cookie.strip_prefix("session=").expect("a session");
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(seen.insert(id.to_owned()), "{id} twice");
    }
    assert_eq!(world.store.live_len(), 100, "a login ends no other session");
}

#[test]
fn many_clients_at_once_have_each_their_own_session() {
    const CLIENTS: usize = 16;
    let world = World::start();
    let start = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for n in 0..CLIENTS {
            let (mut client, start) = (world.client(), &start);
            scope.spawn(move || {
                let user = format!("user {n}");
                start.wait();
                for _ in 0..3 {
                    client.log_in(&user);
                    for _ in 0..20 {
                        assert_eq!(client.ask("/page"), hello(&user));
                    }
                    assert_eq!(client.status("/logout"), 204);
                    assert_eq!(client.status("/page"), 401);
                }
            });
        }
    });
    assert_eq!(world.store.len(), 0);
}

#[test]
fn of_many_logouts_at_once_one_ends_the_session() {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 50;
    let world = World::start();
    let mut ada = world.client();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| world.client()).collect();
    for _ in 0..ROUNDS {
        ada.log_in("ada");
        let start = Barrier::new(CLIENTS);
        let statuses: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (clients.iter_mut())
                .map(|client| {
                    ada.cookie.clone_into(&mut client.cookie);
                    scope.spawn(|| {
                        start.wait();
                        client.status("/logout")
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 401).count(), CLIENTS - 1);
    }
}

#[test]
fn abandoned_sessions_are_swept_away_though_no_one_asks() {
    let world = World::start();
    let mut ada = world.client();
    (0..50).for_each(|_| ada.log_in("ada"));
    assert_eq!(world.store.len(), 50);
    world.clock.advance(IDLE);
    let patience = Instant::now() + PATIENCE;
    while !world.store.is_empty() {
        assert!(Instant::now() < patience, "{:?}", world.store.stats());
        thread::yield_now();
    }
}

#[test]
fn with_serve_it_listens_until_it_is_stopped() {
    let mut process =
        example("sessions").arg("--serve").stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("text");
    let base = line.trim_end().strip_prefix("listening on ").expect("an address").to_owned();
    let talk = thread::spawn(move || {
        let mut ada = Client::of(&base);
        ada.log_in("ada");
        assert_eq!(ada.ask("/page"), hello("ada"));
        assert_eq!((ada.status("/logout"), ada.status("/page")), (204, 401));
    });
    // It is stopped also where the talk panics.
    let talked = talk.join();
    let is_running = process.try_wait().expect("a child").is_none();
    process.kill().expect("a child");
    process.wait().expect("a child");
    assert!(talked.is_ok() && is_running);
}

#[test]
fn what_cannot_be_followed_is_one_line_and_status_2() {
    let range = "--port: expected a whole number from 0 to 65535, found";
    for (options, says) in [
        (&["--port", "abc"][..], format!("{range} `abc`")),
        (&["--port", "65536"], format!("{range} `65536`")),
        (&["--port", "-1"], format!("{range} `-1`")),
        (&["--port", "8\n0"], format!("{range} `8\\n0`")),
        (&["--port"], "--port".to_owned()),
        (&["--prot", "1"], "--prot".to_owned()),
        (&["stray"], "stray".to_owned()),
    ] {
        refuses("sessions", options, &says);
    }
}

#[test]
fn a_port_in_use_is_named_in_one_line_and_is_status_1() {
    let world = World::start();
    let port = world.server.address.port().to_string();
    for options in [&["--port", &port][..], &["--serve", "--port", &port]] {
        let output = example("sessions").args(options).output().expect("it starts");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.starts_with(&format!("sessions: cannot listen at 127.0.0.1:{port}: ")),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn help_names_each_option_and_path() {
    let help = help_of("sessions");
    for name in ["--serve", "--port N", "--help", "/login", "/page", "/whoami", "/logout"] {
        assert!(help.contains(name), "{name}");
    }
}

#[test]
fn it_prints_what_its_docs_show() {
    prints_its_sample("sessions", include_str!("../../../../examples/sessions/main.rs"));
}
