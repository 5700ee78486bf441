//! The sessions and the server in front of them: the part to copy.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::routing::{get, post};
use evanesce_tier::{Error, Json, Tier};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};

/// How long a session lasts. (Who wants to renew one in use calls `touch`: that does not bring a session back that has ended
/// meanwhile, and `put` would.)
const LIFE: Duration = Duration::from_secs(8 * 60 * 60);

#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    user: String,
}

/// The sessions by their identifiers: in this process those that it has read, and all in the server.
pub(crate) type Sessions = Tier<str, Session>;

/// Connects. With the default `max_stale` of zero no session is accepted while nobody could say that it has ended.
pub(crate) async fn connect(url: &str) -> Result<Sessions, Error> {
    let options = Tier::builder(url).prefix("session:").codec(Json);
    options.max_entries(100_000).max_value_bytes(4096).connect().await
}

/// Installs the recorder of figures, and returns what renders them.
pub(crate) fn metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    metrics::describe_gauge!("sessions_connected", "1 if the server says what changes, else 0");
    Ok(handle)
}

/// What the handlers share.
struct App {
    sessions: Sessions,
    metrics: PrometheusHandle,
}

type Reply = Result<String, (StatusCode, String)>;

pub(crate) fn router(sessions: Sessions, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/login", post(login)) // the body is the user's name
        .route("/page", get(page))
        .route("/logout", post(logout))
        .route("/metrics", get(render))
        .with_state(Arc::new(App { sessions, metrics }))
}

async fn login(
    State(app): State<Arc<App>>,
    user: String,
) -> Result<([(HeaderName, String); 1], String), (StatusCode, String)> {
    let id = new_id()?;
    let session = Session { user };
    app.sessions.put(&id, &session, LIFE).await.map_err(|error| refusal(&error))?;
    // Behind TLS it has `Secure` as well.
    let cookie = format!("session={id}; HttpOnly; SameSite=Lax; Path=/");
    Ok(([(header::SET_COOKIE, cookie)], format!("welcome, {}\n", session.user)))
}

/// A page that needs a session: from memory, once this process has read it.
async fn page(State(app): State<Arc<App>>, headers: HeaderMap) -> Reply {
    let id = session_id(&headers)?;
    let session =
        app.sessions.get(id).await.map_err(|error| refusal(&error))?.ok_or_else(no_session)?;
    Ok(format!("hello, {}\n", session.user))
}

async fn logout(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<StatusCode, (StatusCode, String)> {
    // True for one caller: of two logouts at once, in whatever processes, one ended the session.
    let ended =
        app.sessions.delete(session_id(&headers)?).await.map_err(|error| refusal(&error))?;
    if ended { Ok(StatusCode::NO_CONTENT) } else { Err(no_session()) }
}

async fn render(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], String) {
    // The tier tells its figures with each heartbeat, and so none while it is lost: that is told here.
    let is_connected = app.sessions.state() == evanesce_tier::State::Connected;
    metrics::gauge!("sessions_connected").set(if is_connected { 1.0 } else { 0.0 });
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.render())
}

fn no_session() -> (StatusCode, String) {
    (StatusCode::UNAUTHORIZED, "no session\n".into())
}

/// What is wrong, said to the client without the server's words, which are not for it.
fn refusal(error: &Error) -> (StatusCode, String) {
    if let Error::TooLarge { .. } = error {
        return (StatusCode::PAYLOAD_TOO_LARGE, "a name that long is not taken\n".into());
    }
    eprintln!("shared-sessions: {error}");
    (StatusCode::SERVICE_UNAVAILABLE, "the session store is not available\n".into())
}

/// An identifier that nobody guesses: 128 random bits.
fn new_id() -> Result<String, (StatusCode, String)> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "no random bytes\n".into()))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// The identifier that the client sends, if it looks like one of ours: nothing else reaches the server.
fn session_id(headers: &HeaderMap) -> Result<&str, (StatusCode, String)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let is_id = |id: &&str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (lines.flat_map(|line| line.split(';')))
        .find_map(|cookie| cookie.trim().strip_prefix("session="))
        .filter(is_id)
        .ok_or_else(no_session)
}
