//! A session store behind an HTTP server: a session ends by itself when it is not used, or at logout.
//!
//! It shows a map that async handlers share, which hold no pin over an `.await`; renewal by
//! [`Pinned::set_ttl`](evanesce::Pinned::set_ttl) on use; and a [`Sweeper`](evanesce::Sweeper) that clears
//! abandoned sessions away. As it stands it is its own client, on the loopback, with a clock set by hand. With
//! `--serve` it goes on by a [`TickClock`](evanesce::TickClock) until it is stopped; `--port N` listens at that port.
//!
//! ```text
//! $ cargo run --release -p async-examples --example sessions
//! listening on http://127.0.0.1:36017
//! after  0 min  /page    401
//! after  0 min  /login   200 welcome, ada
//! after 29 min  /page    200 hello, ada: nothing new
//! after 29 min  /page    200 hello, ada: nothing new
//! after 29 min  /whoami  200 ada
//! after  1 min  /page    401
//! after  0 min  /login   200 welcome, ada
//! after  1 min  /logout  204
//! after  0 min  /page    401
//! after  0 min  /login   200 welcome, ada
//! after 30 min  /page    401
//! the sweeper came by: 0 sessions in the store
//! ```
//!
//! ```text
//! $ cargo run --release -p async-examples --example sessions -- --serve --port 8000 &
//! $ curl --cookie-jar jar --data ada http://127.0.0.1:8000/login
//! welcome, ada
//! $ curl --cookie jar http://127.0.0.1:8000/page
//! hello, ada: nothing new
//! ```

pub(crate) mod server;

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use evanesce::ManualClock;
use lexopt::Arg;
use server::{Server, Store, store};

const HELP: &str = "\
A session store behind an HTTP server on the loopback: shows itself as its own client, or serves.

Usage: sessions [OPTIONS]

  --serve      serve until it is stopped, instead of showing itself
  --port N     listen at this port, 0 to 65535; 0 is any that is free [0]
  -h, --help   print this

The server answers /login (POST, the body is the user's name), /page, /whoami and /logout (POST). Exit status: 0, 1 when
the work could not be done, as where the port is in use, 2 when the command line could not be followed.
";

/// What the command line asks for.
struct Options {
    goes_on: bool,
    port: u16,
}

fn main() -> ExitCode {
    let (status, message) = match parse(lexopt::Parser::from_env()) {
        Ok(options) => match run(options.as_ref()) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (1, error.to_string()),
        },
        Err(misuse) => (2, format!("{misuse} (--help lists the options)")),
    };
    eprintln!("sessions: {message}");
    ExitCode::from(status)
}

/// Reads the options; `None` for `--help`.
fn parse(mut arguments: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { goes_on: false, port: 0 };
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("serve") => options.goes_on = true,
            Arg::Long("port") => {
                let value = arguments.value()?;
                let text = value.to_string_lossy();
                options.port = text.parse().map_err(|_| {
                    let found = text.escape_debug();
                    format!("--port: expected a whole number from 0 to 65535, found `{found}`")
                })?;
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(options: Option<&Options>) -> Result<(), Box<dyn Error>> {
    let Some(&Options { goes_on, port }) = options else {
        return Ok(io::stdout().write_all(HELP.as_bytes())?);
    };
    if goes_on {
        let server = listen(Arc::new(store().build()?), port)?;
        println!("listening on http://{}", server.address);
        loop {
            thread::park();
        }
    }
    let clock = ManualClock::new();
    let store = Arc::new(store().clock(clock.clone()).build()?);
    let server = listen(Arc::clone(&store), port)?;
    println!("listening on http://{}", server.address);
    demonstrate(server.address, &clock)?;
    // The sweeper comes by ten times a second.
    while !store.is_empty() {
        thread::yield_now();
    }
    println!("the sweeper came by: {} sessions in the store", store.len());
    Ok(())
}

fn listen(store: Arc<Store>, port: u16) -> Result<Server, String> {
    Server::start(store, port)
        .map_err(|error| format!("cannot listen at 127.0.0.1:{port}: {error}"))
}

/// Minutes that pass, and what is asked for then.
const DAY: [(u32, &str); 11] = [
    (0, "/page"),
    (0, "/login"),
    (29, "/page"), // renews
    (29, "/page"),
    (29, "/whoami"), // does not
    (1, "/page"),
    (0, "/login"),
    (1, "/logout"),
    (0, "/page"),
    (0, "/login"),
    (30, "/page"),
];

fn demonstrate(address: SocketAddr, clock: &ManualClock) -> Result<(), ureq::Error> {
    // On the loopback, whatever the environment says of proxies.
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    let client = config.build().new_agent();
    let mut cookie = String::new();
    for (minutes, path) in DAY {
        clock.advance(minutes * Duration::from_secs(60));
        let url = format!("http://{address}{path}");
        let mut reply = match path {
            "/login" => client.post(url).send("ada")?,
            "/logout" => client.post(url).header("cookie", &cookie).send_empty()?,
            _ => client.get(url).header("cookie", &cookie).call()?,
        };
        if let Some(set) = reply.headers().get("set-cookie") {
            // What goes before the first `;` is sent back.
            let set = set.to_str().unwrap_or_default();
            cookie = set.split_once(';').map_or(set, |(pair, _)| pair).to_string();
        }
        let (status, body) = (reply.status(), reply.body_mut().read_to_string()?);
        let line = format!("after {minutes:>2} min  {path:<7}  {} {body}", status.as_u16());
        println!("{}", line.trim_end());
    }
    Ok(())
}
