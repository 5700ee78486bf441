//! The session store and the server in front of it: the part to copy.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::routing::{get, post};
use evanesce::{Budget, Builder, Sweeper, TickClock, TtlMap};
use tokio::{net::TcpListener, runtime};

/// How long a session lasts that is not used.
pub(crate) const IDLE: Duration = Duration::from_secs(30 * 60);
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// The sessions by their identifiers.
pub(crate) type Store = TtlMap<String, Session>;

pub(crate) struct Session {
    user: String,
}

/// Options for a store. With a default TTL every session ends, whoever puts it.
///
/// On a [`TickClock`] a deadline costs a lookup next to nothing. A session may then be seen a tick after its half hour,
/// which harms nobody; and a logout removes it, which no clock delays.
pub(crate) fn store() -> Builder<String, Session> {
    Store::builder().time_to_live(IDLE).clock(TickClock::shared())
}

/// What the handlers share. A map needs no lock around it.
type Shared = State<Arc<Store>>;
type Reply = Result<String, StatusCode>;

fn router(store: Arc<Store>) -> Router {
    Router::new()
        .route("/login", post(login)) // the body is the user's name
        .route("/page", get(page))
        .route("/whoami", get(whoami))
        .route("/logout", post(logout))
        .with_state(store)
}

async fn login(State(store): Shared, user: String) -> ([(HeaderName, String); 1], String) {
    let id = new_id();
    // Behind TLS it has `Secure` as well.
    let cookie = format!("session={id}; HttpOnly; SameSite=Lax; Path=/");
    let welcome = format!("welcome, {user}");
    store.insert(id, Session { user });
    ([(header::SET_COOKIE, cookie)], welcome)
}

/// A page that uses the session, and so renews it.
async fn page(State(store): Shared, headers: HeaderMap) -> Reply {
    let id = session_id(&headers)?;
    // The pin ends with this block, before the await, and what is needed later is cloned in here. `Pinned` is not
    // `Send`: with one held over the await this would be no handler, and the compiler says so. And while a pin is
    // held, no map of the program drops what was removed: not something to leave to the speed of a database.
    let user = {
        let pinned = store.pin();
        let user = pinned.get(id).map(|session| session.user.clone());
        // False if the session ended between the two: it is not brought back.
        user.filter(|_| pinned.set_ttl(id, IDLE)).ok_or(StatusCode::UNAUTHORIZED)?
    };
    let news = news_for(&user).await;
    Ok(format!("hello, {user}: {news}"))
}

/// Who is logged in. It looks and does not renew: a page that polls this does not keep its session alive.
async fn whoami(State(store): Shared, headers: HeaderMap) -> Reply {
    let id = session_id(&headers)?;
    // For one lookup `view` pins by itself, and what it returns holds nothing of the map; so does `get_cloned`,
    // for values that are cheap to clone.
    store.view(id, |session| session.user.clone()).ok_or(StatusCode::UNAUTHORIZED)
}

async fn logout(State(store): Shared, headers: HeaderMap) -> Result<StatusCode, StatusCode> {
    // True for one caller: of two logouts at once, one ended the session.
    let ended = store.remove(session_id(&headers)?);
    if ended { Ok(StatusCode::NO_CONTENT) } else { Err(StatusCode::UNAUTHORIZED) }
}

/// Stands for a database that is asked over the network.
async fn news_for(_user: &str) -> &'static str {
    tokio::task::yield_now().await;
    "nothing new"
}

/// An identifier that nobody guesses: 128 random bits.
fn new_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    format!("{:032x}", u128::from_ne_bytes(bytes))
}

fn session_id(headers: &HeaderMap) -> Result<&str, StatusCode> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    (lines.flat_map(|line| line.split(';')))
        .find_map(|cookie| cookie.trim().strip_prefix("session="))
        .ok_or(StatusCode::UNAUTHORIZED)
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _runtime: runtime::Runtime,
    _sweeper: Sweeper,
}

impl Server {
    /// Serves on the loopback, on any free port if `port` is 0.
    pub(crate) fn start(store: Arc<Store>, port: u16) -> io::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_io().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
        let address = listener.local_addr()?;
        // Sessions that nobody asks for again leave the memory too, and no handler waits for that. It is a thread
        // of its own: a sweep of a large map would hold up the tasks of a runtime's worker.
        let sweeper = Sweeper::spawn(&store, SWEEP_INTERVAL, Budget::full_pass())?;
        runtime.spawn(async move { axum::serve(listener, router(store)).await });
        Ok(Self { address, _runtime: runtime, _sweeper: sweeper })
    }
}
