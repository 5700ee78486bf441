//! Runs rows in all places, and prints the table.

use std::{process::ExitCode, sync::Arc, time::Duration};

use evanesce_tier::Tracking;
use tokio::sync::OnceCell;

use crate::{
    Place, Row,
    common::server::{Kind, Server},
    say,
};

/// Longer than any row takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What a row said in each place, or why it failed.
type Column = (String, Vec<Result<String, String>>);

pub(crate) async fn run(rows: &[(&str, Row)]) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {})); // told in the table
    // Side by side, as most rows wait most of the time.
    let (redis, valkey) = tokio::join!(columns(Kind::Redis, rows), columns(Kind::Valkey, rows));
    let columns = [redis, valkey].concat();
    table(rows, &columns);
    let failed = columns.iter().flat_map(|(_, cells)| cells).filter(|cell| cell.is_err()).count();
    let done = columns.len() * rows.len();
    println!("\n{done} cells, {failed} failed");
    // No server at all is no success.
    if failed == 0 && done > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The rows on servers of a kind, one after another: they share its cluster.
async fn columns(kind: Kind, rows: &[(&str, Row)]) -> Vec<Column> {
    let version = match kind.version() {
        Ok(version) => version,
        Err(why) => {
            println!("SKIPPED: {why}");
            return Vec::new();
        }
    };
    let has = |name| rows.iter().any(|(row, _)| row.starts_with(name));
    let mut columns = Vec::new();
    let cluster = Arc::new(OnceCell::new());
    let prefixes = Tracking::Prefixes(vec![b"t:".to_vec()]);
    for (name, tracking) in [("OPTIN", Tracking::OptIn), ("BCAST", prefixes)] {
        let mut cells = Vec::new();
        let server = Server::start(kind, &[]).await;
        let place = Arc::new(Place {
            kind,
            server,
            tracking,
            cluster: Arc::clone(&cluster),
            spare: OnceCell::new(),
        });
        // Nodes take seconds to agree. Meanwhile other rows run.
        let early = Arc::clone(&place);
        let (any, moved) = (has("cluster"), has("cluster: replica promoted"));
        tokio::task::spawn_local(async move {
            if any {
                early.cluster().await;
            }
            if moved {
                early.spare().await;
            }
        });
        for (row, check) in rows {
            say::<()>(&mut place.foreign().await, "FLUSHALL").await;
            let start = std::time::Instant::now();
            let checked = tokio::task::spawn_local(check(Arc::clone(&place)));
            let cell = match tokio::time::timeout(LIMIT, checked).await {
                Ok(Ok(said)) => Ok(said),
                Ok(Err(error)) => Err(panic_message(error)),
                Err(_) => Err(format!("not done within {LIMIT:?}")),
            };
            eprintln!("{row}, {version} {name}: {:.1} s", start.elapsed().as_secs_f64());
            if let Err(error) = &cell {
                println!("FAILED: {row} on {version} with {name}: {error}");
            }
            cells.push(cell);
        }
        columns.push((format!("{version} {name}"), cells));
    }
    columns
}

fn table(rows: &[(&str, Row)], columns: &[Column]) {
    let line = |cells: &mut dyn Iterator<Item = String>| {
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
    };
    println!();
    line(&mut std::iter::once("row".into()).chain(columns.iter().map(|(name, _)| name.clone())));
    line(&mut (0..=columns.len()).map(|_| "---".into()));
    for (n, (row, _)) in rows.iter().enumerate() {
        let cells = columns.iter().map(|(_, cells)| match &cells[n] {
            Ok(said) => said.clone(),
            Err(_) => "FAILED".into(),
        });
        line(&mut std::iter::once((*row).to_owned()).chain(cells));
    }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "cancelled".into() };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or("a panic".into())
}
