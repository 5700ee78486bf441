//! A session store that a fleet of processes shares: each keeps in its own memory what it has read, and is told at once
//! when a session ends, in whatever process.
//!
//! ```text
//! $ redis-server --port 6379 --save '' &
//! $ cargo run --release -p tier-web-examples --example shared-sessions -- --port 8001 &
//! $ cargo run --release -p tier-web-examples --example shared-sessions -- --port 8002 &
//! $ curl --cookie-jar jar --data ada http://127.0.0.1:8001/login
//! welcome, ada
//! $ curl --cookie jar http://127.0.0.1:8002/page
//! hello, ada
//! $ curl --cookie jar --request POST http://127.0.0.1:8001/logout
//! $ curl --cookie jar http://127.0.0.1:8002/page
//! no session
//! $ curl http://127.0.0.1:8002/metrics
//! ```

mod server;

use std::error::Error;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;

use lexopt::prelude::*;
use tokio::net::TcpListener;

const HELP: &str = "\
A session store behind an HTTP server on the loopback; processes in front of one Redis or Valkey server share it.

Usage: shared-sessions [OPTIONS]

  --port N     listen at this port, 0 to 65535; 0 is any that is free [0]
  --redis URL  the server with the sessions [redis://127.0.0.1/]
  -h, --help   print this

It answers /login (POST, the body is the user's name), /page, /logout (POST), and /metrics in Prometheus text. It serves until it
is stopped. Exit status: 1 when the work could not be done, as where the port is in use or there is no server; 2 when the command
line could not be followed.
";

struct Options {
    port: u16,
    redis: String,
}

fn main() -> ExitCode {
    let (status, message) = match parse(lexopt::Parser::from_env()) {
        Ok(None) => match io::stdout().write_all(HELP.as_bytes()) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (1, error.to_string()),
        },
        Ok(Some(options)) => match run(&options) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (1, error.to_string()),
        },
        Err(misuse) => (2, format!("{misuse} (--help lists the options)")),
    };
    eprintln!("shared-sessions: {message}");
    ExitCode::from(status)
}

/// Reads the options; `None` for `--help`.
fn parse(mut arguments: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { port: 0, redis: "redis://127.0.0.1/".into() };
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("port") => {
                let value = arguments.value()?;
                let text = value.to_string_lossy();
                options.port = text.parse().map_err(|_| {
                    let found = text.escape_debug();
                    format!("--port: expected a whole number from 0 to 65535, found `{found}`")
                })?;
            }
            Long("redis") => options.redis = arguments.value()?.string()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(Options { port, redis }: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))
            .await
            .map_err(|error| format!("cannot listen at 127.0.0.1:{port}: {error}"))?;
        // The recorder goes first: what the tier tells before it would be lost.
        let metrics = server::metrics()?;
        let sessions = server::connect(redis).await?;
        println!("listening on http://{}", listener.local_addr()?);
        axum::serve(listener, server::router(sessions, metrics)).await?;
        Ok(())
    })
}
