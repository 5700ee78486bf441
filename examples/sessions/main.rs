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
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use evanesce::ManualClock;
use lexopt::{Arg, ValueExt};
use server::{Server, store};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sessions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut goes_on, mut port) = (false, 0);
    let mut options = lexopt::Parser::from_env();
    while let Some(option) = options.next()? {
        match option {
            Arg::Long("serve") => goes_on = true,
            Arg::Long("port") => port = options.value()?.parse()?,
            _ => return Err(option.unexpected().into()),
        }
    }
    if goes_on {
        let server = Server::start(Arc::new(store().build()?), port)?;
        println!("listening on http://{}", server.address);
        loop {
            thread::park();
        }
    }
    let clock = ManualClock::new();
    let store = Arc::new(store().clock(clock.clone()).build()?);
    let server = Server::start(Arc::clone(&store), port)?;
    println!("listening on http://{}", server.address);
    demonstrate(server.address, &clock)?;
    // The sweeper comes by ten times a second.
    while !store.is_empty() {
        thread::yield_now();
    }
    println!("the sweeper came by: {} sessions in the store", store.len());
    Ok(())
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
