//! One connection to a server that says what changes, made again whenever it is lost.

use std::{
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, ErrorKind, PushInfo, PushKind, RedisError, ServerErrorKind,
    Value, aio::MultiplexedConnection, cmd,
};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{timeout, timeout_at},
};

use crate::{
    error::Error,
    gate::{Gate, SessionId},
    observe,
    options::{Options, Tracking},
    socket::{self, Connected, Driver, LastHeard},
    view::{Address, View},
    wire::Session,
};

/// How a tier stands with its server. From [`Tier::state`](crate::Tier::state).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The server says what changes.
    Connected,
    /// The connection is lost; it is being made again.
    Lost {
        /// When that was noticed.
        since: Instant,
    },
}

/// What is done with what the server says of itself. Called in the order in which it came, and must not block.
pub(crate) trait Told: Send + Sync + 'static {
    /// A key has changed.
    fn changed(&self, key: &[u8]);
    /// All is to be forgotten; the word says so already.
    fn flushed(&self);
    /// The connection is lost; the word says so already.
    fn lost(&self);
    /// A heartbeat was answered.
    fn heartbeat_took(&self, time: Duration);
    /// The node says this of its cluster.
    fn view(&self, view: &View);
    /// The cluster is not as it was; the words say so already.
    fn topology_changed(&self);
}

/// The connection, and the word of what was read over it.
pub(crate) struct Link {
    pub(crate) gate: Arc<Gate>,
    /// The connection that the word speaks of, or a later one.
    session: Mutex<Option<Session>>,
    client: Client,
    server: String,
    /// Where it is, if it is a node of a cluster.
    node: Option<Address>,
    options: Options,
    told: Arc<dyn Told>,
    /// What the last attempt to connect came to, since the last loss.
    tried: watch::Sender<Option<Result<(), Error>>>,
    /// Held from when a view is asked for until it is told, so that views are told in their order.
    viewing: tokio::sync::Mutex<()>,
}

/// Ends the task that keeps a link connected when it is dropped.
#[derive(Debug)]
pub(crate) struct KeptOpen(AbortHandle);

impl Drop for KeptOpen {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// As many requests as can wait to be sent. Each has a caller, so this is no limit of memory. With the library's 50, callers that have been
/// given a place and are held and not polled would keep all others out, the heartbeat as well.
const MOST_REQUESTS: usize = 1 << 20;

/// Between two attempts to connect.
const PAUSES: [u64; 7] = [5, 10, 20, 50, 100, 250, 500];

impl Link {
    /// A link that is not connected yet.
    pub(crate) fn new(
        (client, server): (Client, String),
        node: Option<Address>,
        gate: Arc<Gate>,
        options: Options,
        told: Arc<dyn Told>,
    ) -> Arc<Self> {
        Arc::new(Self {
            gate,
            session: Mutex::new(None),
            client,
            server,
            node,
            options,
            told,
            tried: watch::Sender::new(None),
            viewing: tokio::sync::Mutex::new(()),
        })
    }

    /// Connects it, and keeps it so.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<KeptOpen, Error> {
        let open = self.open().await?;
        // The task has the link, not the link the task: `KeptOpen` ends it.
        let task = tokio::spawn(Keeper(Arc::clone(self)).keep(open));
        Ok(KeptOpen(task.abort_handle()))
    }

    /// Keeps it connected, as soon as it can be.
    pub(crate) fn connect_later(self: &Arc<Self>) -> KeptOpen {
        let keeper = Keeper(Arc::clone(self));
        let task = tokio::spawn(async move {
            let open = keeper.0.reopen().await;
            keeper.keep(open).await;
        });
        KeptOpen(task.abort_handle())
    }

    /// Waits for a connection, or the next attempt to make one that fails.
    pub(crate) async fn connected(&self) -> Result<(), Error> {
        let mut tried = self.tried.subscribe();
        match timeout(self.options.request_timeout, tried.wait_for(Option::is_some)).await {
            Ok(Ok(tried)) => tried.clone().unwrap_or(Ok(())),
            _ => Err(Error::Timeout { limit: self.options.request_timeout }),
        }
    }

    /// How it stands.
    pub(crate) fn state(&self) -> State {
        loop {
            let word = self.gate.word();
            if !word.is_lost() {
                return State::Connected;
            }
            if let Some(ago) = self.gate.lost_for(word) {
                let now = Instant::now();
                return State::Lost { since: now.checked_sub(ago).unwrap_or(now) };
            }
        }
    }

    /// The connection.
    pub(crate) fn session(&self) -> Result<Session, Error> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).clone();
        session
            .ok_or_else(|| self.gate.lost(self.gate.lost_for(self.gate.word()).unwrap_or_default()))
    }

    fn publish(&self, session: Option<Session>) {
        let mut published = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let _old = std::mem::replace(&mut *published, session);
    }

    /// Connects, switches tracking on, and only then opens the gate.
    async fn open(self: &Arc<Self>) -> Result<Open, Error> {
        let id = self.gate.next_session();
        let closed = Arc::new(watch::Sender::new(false));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.request_timeout))
            .set_response_timeout(Some(self.options.request_timeout))
            .set_pipeline_buffer_size(MOST_REQUESTS)
            .set_push_sender(self.listener(id, Arc::clone(&closed)));
        let connect = timeout(self.options.request_timeout, socket::connect(&self.client, config));
        let connected =
            connect.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
        let Connected { mut connection, last_heard, driver } =
            connected.map_err(|error| self.refusal(&error))?;
        self.track(&mut connection).await?;
        let opts_in = self.options.tracking == Tracking::OptIn;
        let timeout = self.options.request_timeout;
        let session = Session::new(connection, Arc::clone(&closed), opts_in, timeout);
        let _viewing = self.viewing.lock().await;
        let view = match &self.node {
            Some(at) => Some(session.view(at).await.map_err(|error| self.no_cluster(error))?),
            None => None,
        };
        // First the connection, then the word: who reads the word finds this connection or a later one.
        self.publish(Some(session.clone()));
        self.gate.connected(id);
        // Only now, as keys may be sent here by it.
        if let Some(view) = view {
            self.told.view(&view);
        }
        self.tried.send_replace(Some(Ok(())));
        observe::connected(&self.server);
        Ok(Open { id, session, closed, last_heard, _driver: driver })
    }

    async fn track(&self, connection: &mut MultiplexedConnection) -> Result<(), Error> {
        let mut track = cmd("CLIENT");
        track.arg("TRACKING").arg("ON");
        match &self.options.tracking {
            Tracking::OptIn => {
                track.arg("OPTIN");
            }
            Tracking::Prefixes(prefixes) => {
                track.arg("BCAST");
                for prefix in prefixes {
                    track.arg("PREFIX").arg(&prefix[..]);
                }
            }
        }
        // Never otherwise: the server would forget the key at one's own write (DESIGN.md, step 6).
        if planted!(noloop) {
            track.arg("NOLOOP");
        }
        let refused = |words| Error::NoTracking { server: self.server.clone(), words };
        match connection.send_packed_command(&track).await {
            Ok(Value::Okay) => Ok(()),
            Ok(Value::ServerError(error)) => Err(refused(words(error.code(), error.details()))),
            Ok(other) => Err(refused(format!("{other:?}"))),
            Err(error) if error.is_io_error() => Err(self.refusal(&error)),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// What the connection calls with each push, in the order in which it reads them.
    fn listener(
        self: &Arc<Self>,
        id: SessionId,
        closed: Arc<watch::Sender<bool>>,
    ) -> impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + use<> {
        // Weak: the link has the connection, which has this.
        let link = Arc::downgrade(self);
        let apply = move |push: PushInfo| {
            let Some(link) = link.upgrade() else { return };
            match push.kind {
                PushKind::Invalidate => link.invalidate(&push.data),
                PushKind::Disconnection => {
                    link.lose(id, "the connection has ended");
                    closed.send_replace(true);
                }
                _ => {}
            }
        };
        let beside = planted!(push_beside).then(|| beside(apply.clone()));
        move |push| {
            match &beside {
                None => apply(push),
                Some(sender) => _ = sender.send(push),
            }
            Ok(())
        }
    }

    /// `[[key, ..]]`, or `[nil]` for all.
    fn invalidate(&self, data: &[Value]) {
        for value in data {
            if let Value::Array(keys) = value {
                for key in keys {
                    if let Value::BulkString(key) = key {
                        self.told.changed(key);
                    }
                }
            } else {
                self.gate.forget_all();
                self.told.flushed();
                observe::flushed(&self.server);
            }
        }
    }

    fn lose(&self, id: SessionId, words: &str) {
        if self.gate.lose(id, words) {
            self.told.lost();
            observe::lost(&self.server, words);
        }
    }

    /// Asks for signs of life until there is none, and says what was instead.
    async fn watch(&self, open: &Open) -> String {
        let mut is_closed = open.closed.subscribe();
        loop {
            tokio::select! {
                _ = is_closed.wait_for(|closed| *closed) => return "the connection has ended".into(),
                () = tokio::time::sleep(self.options.heartbeat) => {}
            }
            let asked = Instant::now();
            match self.sign_in_time(open, asked).await {
                Some(Ok(())) => self.told.heartbeat_took(asked.elapsed()),
                Some(Err(error)) => return error.to_string(),
                None => return format!("no heartbeat within {:?}", asked.elapsed()),
            }
        }
    }

    /// A sign of life. `None` if nothing at all came for the heartbeat time-out, or no answer for as long as any request waits: what
    /// comes before the answer keeps it waiting, and is a sign of life as well.
    async fn sign_in_time(&self, open: &Open, asked: Instant) -> Option<Result<(), Error>> {
        let quiet = self.options.heartbeat_timeout;
        let longest = quiet.max(self.options.request_timeout);
        let mut sign = pin!(self.sign(&open.session, longest));
        loop {
            let heard = open.last_heard.time().max(asked);
            let until = (heard + quiet).min(asked + longest);
            if let Ok(sign) = timeout_at(until.into(), &mut sign).await {
                return Some(sign);
            }
            if open.last_heard.time() <= heard || asked.elapsed() >= longest {
                return None;
            }
        }
    }

    /// A sign of life: of a node, what it knows of its cluster.
    async fn sign(&self, session: &Session, longest: Duration) -> Result<(), Error> {
        let session = session.patient(longest);
        match &self.node {
            None => session.ping().await,
            Some(at) => self.view(&session, at, || true).await,
        }
    }

    /// Asks a node what it knows of its cluster, if that is needed still when it is this request's turn.
    pub(crate) async fn refresh_view(&self, is_needed: impl Fn() -> bool) -> Result<(), Error> {
        let Some(at) = &self.node else { return Ok(()) };
        self.view(&self.session()?, at, is_needed).await
    }

    async fn view(
        &self,
        session: &Session,
        at: &Address,
        is_needed: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let _viewing = self.viewing.lock().await;
        if is_needed() {
            self.told.view(&session.view(at).await?);
        }
        Ok(())
    }

    async fn reopen(self: &Arc<Self>) -> Open {
        let mut pauses = PAUSES.into_iter();
        let mut longest = 0;
        loop {
            match self.open().await {
                Ok(open) => return open,
                Err(error) => {
                    observe::cannot_connect(&self.server, &error);
                    self.gate.failed(error.clone());
                    self.tried.send_replace(Some(Err(error)));
                }
            }
            longest = pauses.next().unwrap_or(longest);
            // Of many processes not all at one instant.
            let pause = fastrand::u64(longest / 2..=longest);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Why it does not say what it knows of its cluster.
    fn no_cluster(&self, error: Error) -> Error {
        match error {
            Error::Server { words }
                if ["cluster support", "unknown"].iter().any(|no| words.contains(no)) =>
            {
                Error::NoCluster { server: self.server.clone(), words }
            }
            error => error,
        }
    }

    /// Why there is no connection.
    fn refusal(&self, error: &RedisError) -> Error {
        let (server, said) = (self.server.clone(), error.to_string());
        let code = error.code().unwrap_or_default();
        let is_unknown = said.to_ascii_lowercase().contains("unknown command");
        match error.kind() {
            ErrorKind::RESP3NotSupported => Error::NoResp3 { server, words: said },
            _ if code == "NOPROTO" || is_unknown => Error::NoResp3 { server, words: said },
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
                Error::Refused { server, words: said }
            }
            _ if matches!(code, "WRONGPASS" | "NOAUTH") => Error::Refused { server, words: said },
            _ if error.is_io_error() => Error::Unreachable { server, words: said },
            _ => Error::Server { words: said },
        }
    }
}

/// What keeps a link connected. Dropped, because its runtime has ended or by a panic, nobody hears the server any more:
/// so nothing that is kept may be served.
struct Keeper(Arc<Link>);

impl Keeper {
    /// Keeps the link connected, for ever.
    async fn keep(self, mut open: Open) {
        let link = &self.0;
        loop {
            let words = link.watch(&open).await;
            link.lose(open.id, &words);
            // Whoever waits for an answer of it waits no more.
            open.closed.send_replace(true);
            link.publish(None);
            link.tried.send_replace(None);
            drop(open);
            open = link.reopen().await;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let link = &self.0;
        // No connection from before changes the word after this.
        if link.gate.lose(link.gate.next_session(), "the tier's runtime has ended") {
            link.told.lost();
        }
        link.publish(None);
    }
}

/// A connection that is open.
struct Open {
    id: SessionId,
    session: Session,
    closed: Arc<watch::Sender<bool>>,
    last_heard: LastHeard,
    _driver: Option<Driver>,
}

/// Planted: a task that applies pushes when its turn comes.
fn beside(
    apply: impl Fn(PushInfo) + Send + 'static,
) -> tokio::sync::mpsc::UnboundedSender<PushInfo> {
    let (sender, mut pushes) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(push) = pushes.recv().await {
            // So that it shows: such a task comes when the runtime has time for it.
            tokio::time::sleep(Duration::from_millis(5)).await;
            apply(push);
        }
    });
    sender
}

fn words(code: &str, details: Option<&str>) -> String {
    format!("{code} {}", details.unwrap_or_default()).trim_end().to_owned()
}
