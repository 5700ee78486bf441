//! The fault matrix on real servers, and the race: `cargo test -p evanesce-tier --test matrix -- [FILTER]` prints both as
//! tables. It fails if a row does, and with `--until-failure` ends with the first that does.

mod bad_input;
mod cluster;
mod cluster_moves;
#[path = "../common/mod.rs"]
mod common;
mod connection;
mod expiry;
mod loads;
mod race;
mod report;
mod runtimes;
mod writes;

use std::{future::Future, pin::Pin, process::ExitCode, sync::Arc, time::Duration};

pub(crate) use common::cluster::say;
use common::{
    cluster::Cluster,
    server::{Kind, Server},
};
use evanesce_tier::{Bytes, Tier, TierBuilder, Tracking};
use redis::aio::MultiplexedConnection;
use tokio::sync::OnceCell;

/// One server and one way of tracking: a column of the table.
pub(crate) struct Place {
    kind: Kind,
    server: Server,
    tracking: Tracking,
    /// Of the same kind, for all places of that.
    cluster: Arc<OnceCell<Cluster>>,
    /// One of its own, for a row that leaves another behind.
    spare: OnceCell<Cluster>,
}

pub(crate) type Text = Tier<str, String>;

impl Place {
    /// The cluster, started when it is first asked for.
    async fn cluster(&self) -> &Cluster {
        self.cluster.get_or_init(|| Cluster::start(self.kind)).await
    }

    async fn spare(&self) -> &Cluster {
        self.spare.get_or_init(|| Cluster::start(self.kind)).await
    }

    fn is_opt_in(&self) -> bool {
        self.tracking == Tracking::OptIn
    }

    /// Options for a tier of text in front of this server; its keys begin with `t:`.
    fn options(&self) -> TierBuilder<str, String, Bytes> {
        self.options_at(&self.server.url())
    }

    fn options_at(&self, url: &str) -> TierBuilder<str, String, Bytes> {
        self.with_options(Tier::builder(url))
    }

    fn with_options(&self, options: TierBuilder<str, String>) -> TierBuilder<str, String, Bytes> {
        // On a busy machine a second is not long: only rows that are about it lose a connection by it.
        let (interval, timeout) = (Duration::from_secs(1), Duration::from_secs(30));
        let options = options.heartbeat(interval, timeout).request_timeout(timeout);
        options.codec(Bytes).prefix("t:").tracking(self.tracking.clone())
    }

    async fn tier(&self) -> Text {
        self.options().connect().await.unwrap()
    }

    async fn foreign(&self) -> MultiplexedConnection {
        self.server.foreign().await
    }
}

/// Returns when the tier has heard all that the server has said before this call: an answer comes behind it. (A push of a write from
/// before a fill may otherwise still be under way, and refuse the fill.)
pub(crate) async fn catch_up(tier: &Text) {
    tier.forget_local("catch up");
    tier.get("catch up").await.unwrap();
}

/// What the tier says of a key.
pub(crate) async fn read(tier: &Text, key: &str) -> Option<String> {
    tier.get(key).await.unwrap().map(|value| String::clone(&value))
}

/// A row: it says something for the table, or panics.
pub(crate) type Row = fn(Arc<Place>) -> Pin<Box<dyn Future<Output = String>>>;

/// The rows of a file: functions from the place to what is said.
macro_rules! rows {
    ($($name:literal: $row:path),* $(,)?) => {
        pub(crate) const ROWS: &[(&str, crate::Row)] = &[$(($name, |place| Box::pin($row(place)))),*];
    };
}
pub(crate) use rows;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let ends_early = arguments.iter().any(|argument| argument == "--until-failure");
    let is_wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter));
    let rows = [
        race::ROWS,
        writes::ROWS,
        expiry::ROWS,
        connection::ROWS,
        runtimes::ROWS,
        loads::ROWS,
        bad_input::ROWS,
        cluster::ROWS,
        cluster_moves::ROWS,
    ];
    let rows: Vec<_> = rows.concat().into_iter().filter(|(name, _)| is_wanted(name)).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .event_interval(7)
        .enable_all()
        .build();
    tokio::task::LocalSet::new().block_on(&runtime.unwrap(), report::run(&rows, ends_early))
}
