//! Two processes in front of one server, each with what it has read in its own memory, and each told at once what the other
//! changes: `cargo run --release -p evanesce-tier --example fleet`. It starts a server of its own, and itself once more.

#[path = "../tests/common/server.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest")]
mod server;

use std::{
    error::Error,
    io::Write,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use evanesce_tier::{Json, Load, Tier};
use serde::{Deserialize, Serialize};
use server::{Kind, Server};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

#[derive(Serialize, Deserialize, Debug)]
struct Session {
    user: String,
    visits: u32,
}

type Sessions = Tier<str, Session>;

async fn connect(url: &str) -> Result<Sessions, evanesce_tier::Error> {
    Tier::builder(url).prefix("session:").codec(Json).connect().await
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| match std::env::args().nth(1) {
        Some(url) => runtime.block_on(other(&url)),
        None => runtime.block_on(one()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The other process: does what it is told, a line at a time, and says how it went.
async fn other(url: &str) -> Result<(), Box<dyn Error>> {
    let tier = connect(url).await?;
    let mut told = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = told.next_line().await? {
        let said = match line.as_str() {
            "read" => shown(&tier).await?,
            "count" => {
                let visits = tier.get("ada").await?.map_or(0, |session| session.visits);
                let session = Session { user: "Ada".into(), visits: visits + 1 };
                tier.put("ada", &session, Duration::from_secs(60)).await?;
                format!("sets {} visits", session.visits)
            }
            _ => return Err(format!("what is `{line}`?").into()),
        };
        println!("{said}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// What a process reads, and whether that came from its memory.
async fn shown(tier: &Sessions) -> Result<String, evanesce_tier::Error> {
    let hits = tier.stats().hits;
    let start = Instant::now();
    let found = tier.get("ada").await?;
    let took = start.elapsed();
    let origin = if tier.stats().hits > hits { "its memory" } else { "the server" };
    let found = found.map_or("nothing".into(), |session| format!("{} visits", session.visits));
    Ok(format!("reads {found} from {origin}, in {took:?}"))
}

/// The other process, seen from this one.
struct Other {
    _process: Child,
    tell: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(url: &str) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(url).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let (Some(tell), Some(says)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the other process has no pipes".into());
        };
        Ok(Self { _process: process, tell, says: BufReader::new(says).lines() })
    }

    async fn does(&mut self, what: &str) -> Result<(), Box<dyn Error>> {
        self.tell.write_all(format!("{what}\n").as_bytes()).await?;
        let said = self.says.next_line().await?.ok_or("the other process has ended")?;
        println!("  process 2 {said}");
        Ok(())
    }
}

async fn one() -> Result<(), Box<dyn Error>> {
    let kind = [Kind::Redis, Kind::Valkey].into_iter().find(|kind| kind.program().is_ok());
    let Some(kind) = kind else {
        return Err("no server here; on Debian `apt-get install -y redis-server` brings one".into());
    };
    let server = Server::start(kind, &[]).await;
    println!("{} runs on port {}.", kind.version()?, server.port());
    let tier = connect(&server.url()).await?;
    let mut other = Other::start(&server.url())?;

    println!("\nProcess 1 loads a session, and both read it:");
    let load = Load::new().ttl(Duration::from_secs(60)).lease(Duration::from_secs(5));
    let made = async |_| Ok::<_, evanesce_tier::Error>(Session { user: "Ada".into(), visits: 1 });
    let session = tier.get_or_load("ada", load, made).await?;
    println!("  process 1 has loaded the session of {}", session.user);
    for _ in 0..2 {
        println!("  process 1 {}", shown(&tier).await?);
        other.does("read").await?;
    }

    println!("\nProcess 2 changes it, and process 1 is told:");
    let pushes = tier.stats().pushes;
    let start = Instant::now();
    other.does("count").await?;
    while tier.stats().pushes == pushes {
        tokio::task::yield_now().await;
    }
    println!("  process 1 was told within {:?}", start.elapsed());
    for _ in 0..2 {
        println!("  process 1 {}", shown(&tier).await?);
    }

    println!("\nProcess 1 deletes it, and process 2 does not see it any more:");
    other.does("read").await?;
    tier.delete("ada").await?;
    // What process 2 reads is right as soon as it has heard of it; it hears within a fraction of a millisecond.
    tokio::time::sleep(Duration::from_millis(50)).await;
    other.does("read").await?;

    let stats = tier.stats();
    let (hits, fills, pushes) = (stats.hits, stats.fills, stats.pushes);
    println!(
        "\nProcess 1: {hits} hits, {fills} reads of the server, {pushes} keys announced to it."
    );
    Ok(())
}
