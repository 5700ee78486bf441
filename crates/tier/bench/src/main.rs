//! `cargo run --release -p evanesce-tier-bench`: the near tier beside other clients that keep what they read.

mod clients;
mod hits;
mod lease;
mod memory;
mod misses;
mod options;
mod passes;
mod race;
mod report;
#[path = "../../tests/common/server.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest")]
mod server;

use std::process::ExitCode;

use clients::Failure;
use options::{HELP, Options, Part};
use report::Must;
use server::{Kind, Server};

/// What is measured with, and what comes of it.
struct Run {
    url: String,
    smoke: bool,
    musts: Vec<Must>,
}

fn main() -> ExitCode {
    let options = match options::read(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(misuse) => {
            eprintln!("evanesce-tier-bench: {misuse} (--help says more)");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&options)));
    match done {
        Ok(is_all_met) => ExitCode::from(u8::from(!is_all_met)),
        Err(error) => {
            eprintln!("evanesce-tier-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, and says whether no must is missed.
async fn run(options: &Options) -> Result<bool, Failure> {
    let kind = [Kind::Redis, Kind::Valkey].into_iter().find(|kind| kind.program().is_ok());
    let Some(kind) = kind else {
        return Err("no server here; on Debian `apt-get install -y redis-server` brings one".into());
    };
    report::heading(&kind.version()?, options.smoke);
    let mut run = Run { url: String::new(), smoke: options.smoke, musts: Vec::new() };
    for part in &options.parts {
        // A server of its own for each: what one leaves behind is nothing to the next.
        let server = Server::start(kind, &[]).await;
        run.url = server.url();
        match part {
            Part::Hits => hits::measure(&mut run).await?,
            Part::Misses => misses::measure(&mut run).await?,
            Part::Lease => lease::measure(&mut run).await?,
            Part::Race => race::measure(&mut run).await?,
            Part::Memory => memory::measure(&mut run).await?,
        }
    }
    if !run.musts.is_empty() {
        report::musts(&run.musts, run.smoke);
    }
    Ok(!run.musts.iter().any(|must| must.is_missed(run.smoke)))
}
