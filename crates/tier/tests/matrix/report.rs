//! Runs rows in all places, and prints the table.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use evanesce_tier::Tracking;
use tokio::sync::{Mutex, Notify, OnceCell};

use crate::{
    Place, Row,
    common::server::{Kind, Server},
    say,
};

/// Longer than any row takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What a row said, or why it failed.
type Cell = Result<String, String>;

/// A place's name, and what each row said there.
type Column = (String, Vec<Cell>);

/// Runs the rows in all places; if `ends_early`, in one after the other, until the first that fails.
pub(crate) async fn run(rows: &[(&str, Row)], ends_early: bool) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {})); // told in the table
    let failure = Notify::new();
    // Side by side, as most rows wait most of the time.
    let columns = async {
        let of = |kind| Box::pin(columns(kind, rows, &failure, ends_early));
        let (redis, valkey) = both(of(Kind::Redis), of(Kind::Valkey), ends_early).await;
        [redis, valkey].concat()
    };
    let columns = tokio::select! {
        biased;
        () = failure.notified(), if ends_early => return ExitCode::FAILURE,
        columns = columns => columns,
    };
    table(rows, &columns);
    let failed = columns.iter().flat_map(|(_, cells)| cells).filter(|cell| cell.is_err()).count();
    let done = columns.len() * rows.len();
    println!("\n{done} cells, {failed} failed");
    // No server at all is no success.
    if failed == 0 && done > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The rows on servers of a kind, which share its cluster.
async fn columns(
    kind: Kind,
    rows: &[(&str, Row)],
    failure: &Notify,
    ends_early: bool,
) -> Vec<Column> {
    let version = match kind.version() {
        Ok(version) => version,
        Err(why) => {
            println!("SKIPPED: {why}");
            return Vec::new();
        }
    };
    let cluster = Arc::new(OnceCell::new());
    // Held by the row that has the cluster.
    let turn = Mutex::new(());
    let prefixes = Tracking::Prefixes(vec![b"t:".to_vec()]);
    let column = async |way, tracking, order: Vec<usize>| {
        let name = format!("{version} {way}");
        let server = Server::start(kind, &[]).await;
        let cluster = Arc::clone(&cluster);
        let place = Arc::new(Place { kind, server, tracking, cluster, spare: OnceCell::new() });
        start_clusters_early(&place, rows);
        let mut cells = vec![None; rows.len()];
        for n in order {
            let (row, check) = rows[n];
            let _turn = if is_of_cluster(row) { Some(turn.lock().await) } else { None };
            let cell = cell(&place, (row, check), &name).await;
            if cell.is_err() {
                failure.notify_one();
            }
            cells[n] = Some(cell);
        }
        (name, cells.into_iter().map(|cell| cell.expect("the order has all rows")).collect())
    };
    let (others, of_cluster): (Vec<_>, Vec<_>) =
        (0..rows.len()).partition(|&n| !is_of_cluster(rows[n].0));
    // The cluster is one column's after the other's.
    let (first, last) = others.split_at(others.len() / 4);
    let cluster_first = [first, &of_cluster, last].concat();
    let cluster_last = [&others[..], &of_cluster].concat();
    let opt_in = column("OPTIN", Tracking::OptIn, cluster_last);
    let broadcast = column("BCAST", prefixes, cluster_first);
    let (opt_in, broadcast) = both(opt_in, broadcast, ends_early).await;
    vec![opt_in, broadcast]
}

/// Runs both: side by side, or one after the other.
async fn both<T>(
    one: impl Future<Output = T>,
    other: impl Future<Output = T>,
    one_by_one: bool,
) -> (T, T) {
    if one_by_one { (one.await, other.await) } else { tokio::join!(one, other) }
}

fn is_of_cluster(row: &str) -> bool {
    row.starts_with("cluster")
}

/// Nodes take seconds to agree. Meanwhile other rows run.
fn start_clusters_early(place: &Arc<Place>, rows: &[(&str, Row)]) {
    let has = |name| rows.iter().any(|(row, _)| row.starts_with(name));
    let (any, moved) = (has("cluster"), has("cluster: replica promoted"));
    let place = Arc::clone(place);
    tokio::task::spawn_local(async move {
        if any {
            place.cluster().await;
        }
        if moved {
            place.spare().await;
        }
    });
}

async fn cell(place: &Arc<Place>, (row, check): (&str, Row), name: &str) -> Cell {
    say::<()>(&mut place.foreign().await, "FLUSHALL").await;
    let start = Instant::now();
    let checked = tokio::task::spawn_local(check(Arc::clone(place)));
    let cell = match tokio::time::timeout(LIMIT, checked).await {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(error)) => Err(panic_message(error)),
        Err(_) => Err(format!("not done within {LIMIT:?}")),
    };
    eprintln!("{row}, {name}: {:.1} s", start.elapsed().as_secs_f64());
    if let Err(error) = &cell {
        println!("FAILED: {row} on {name}: {error}");
    }
    cell
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
