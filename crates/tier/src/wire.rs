//! What is said to the server, and what it answers. One connection, no state.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Cmd, ErrorKind, Pipeline, RedisError, Value, aio::MultiplexedConnection, cmd, pipe};
use tokio::sync::watch;

use crate::{
    error::{Error, shown},
    view::{Address, View},
};

/// A connection that tracks.
#[derive(Clone)]
pub(crate) struct Session {
    connection: MultiplexedConnection,
    /// True when it is given up.
    closed: Arc<watch::Sender<bool>>,
    /// Whether each read says that it is to be tracked.
    opts_in: bool,
    /// Whether each command is for a slot that is being moved to this node.
    is_asking: bool,
    timeout: Duration,
}

/// What the server has of a key.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The value, and the time it has left.
    pub(crate) value: Option<(Vec<u8>, Left)>,
    /// When the request left.
    pub(crate) asked: Instant,
}

/// The time a value has left in the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    Forever,
    For(Duration),
    /// None, or the key had gone when it was asked for.
    Over,
}

/// How a claim to load a key stands.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It has a value by now.
    Value(Vec<u8>),
    /// It is for the caller to load.
    Ours,
    /// Another has the lease.
    Theirs,
}

/// What storing a loaded value came to.
#[derive(Debug)]
pub(crate) enum Stored {
    Done,
    /// Somebody else has put this.
    Theirs(Vec<u8>),
    /// The lease is over, or was ended.
    Overtaken,
}

/// Keys: the key, the lease. Arguments: the lease's holder, or "" for none; milliseconds.
const CLAIM: &str = "\
local value = redis.call('GET', KEYS[1])
if value then return {value} end
if ARGV[1] == '' then return 1 end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0";

/// Keys: the key, the lease. Arguments: the lease's holder, or "" for none; the value; milliseconds, or "" for no end.
const STORE: &str = "\
if ARGV[1] ~= '' then
  if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
  redis.call('DEL', KEYS[2])
end
local value = redis.call('GET', KEYS[1])
if value then return {value} end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1";

/// Keys: the lease. Arguments: its holder.
const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

impl Session {
    pub(crate) fn new(
        connection: MultiplexedConnection,
        closed: Arc<watch::Sender<bool>>,
        opts_in: bool,
        timeout: Duration,
    ) -> Self {
        Self { connection, closed, opts_in, is_asking: false, timeout }
    }

    /// The same, for keys of a slot that is being moved to this node.
    pub(crate) fn asking(self) -> Self {
        Self { is_asking: true, ..self }
    }

    /// Reads a key, so that the server says when it changes.
    ///
    /// Not so where its slot is being moved to: `ASKING` and `CLIENT CACHING` are both for the next command alone.
    pub(crate) async fn fetch(&self, key: &[u8]) -> Result<Fetched, Error> {
        if self.is_asking {
            let asked = Instant::now();
            let value = bytes(key, self.ask(key, cmd("GET").arg(key)).await?)?;
            return Ok(Fetched { value: value.map(|value| (value, Left::Over)), asked });
        }
        let mut read = pipe();
        if self.opts_in {
            // For the next command alone. An error where the connection does not track.
            read.cmd("CLIENT").arg("CACHING").arg("YES");
        }
        read.cmd("GET").arg(key).cmd("PTTL").arg(key);
        let asked = Instant::now();
        let mut answers = self.ask_all(&read, if self.opts_in { 3 } else { 2 }).await?;
        let (left, value) = (answers.pop(), answers.pop());
        if let Some(tracked) = answers.pop() {
            answer(key, tracked).map_err(|error| self.untracked(error))?;
        }
        let value = bytes(key, value.unwrap_or(Value::Nil))?;
        let left = match answer(key, left.unwrap_or(Value::Nil))? {
            Value::Int(-1) => Left::Forever,
            Value::Int(left @ 1..) => Left::For(Duration::from_millis(left.unsigned_abs())),
            _ => Left::Over,
        };
        Ok(Fetched { value: value.map(|value| (value, left)), asked })
    }

    /// What it means that a read is not tracked. Where the user lacks the right, that; else the server knows nothing of this
    /// connection's tracking, as behind a proxy that has made another: then nothing that is kept will be announced, and the
    /// connection is given up.
    fn untracked(&self, error: Error) -> Error {
        match error {
            Error::Server { words } if !words.starts_with("NOPERM") => {
                self.closed.send_replace(true);
                Error::Interrupted { words: format!("the connection does not track: {words}") }
            }
            error => error,
        }
    }

    /// Sets a key.
    pub(crate) async fn set(
        &self,
        key: &[u8],
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<(), Error> {
        let mut set = cmd("SET");
        set.arg(key).arg(value);
        if let Some(ttl) = ttl {
            set.arg("PX").arg(millis(ttl));
        }
        self.write(key, set).await.map(drop)
    }

    /// Ends the lease of a key, then deletes it. Whether it was there.
    ///
    /// [`Error::Redirected`] if one of both is elsewhere: then one was perhaps done, and they are to be done one by one.
    pub(crate) async fn delete_both(&self, key: &[u8], lease: &[u8]) -> Result<bool, Error> {
        let mut delete = pipe();
        delete.cmd("DEL").arg(lease).cmd("DEL").arg(key).cmd("PING");
        let mut answers = self.ask_all(&delete, 3).await?;
        answers.pop();
        let deleted = answer(key, answers.pop().unwrap_or(Value::Nil))?;
        answer(key, answers.pop().unwrap_or(Value::Nil))?;
        Ok(deleted == Value::Int(1))
    }

    /// Deletes a key. Whether it was there.
    pub(crate) async fn delete(&self, key: &[u8]) -> Result<bool, Error> {
        let mut delete = cmd("DEL");
        delete.arg(key);
        Ok(self.write(key, delete).await? == Value::Int(1))
    }

    /// Gives a key this time from now. Whether it was there.
    pub(crate) async fn touch(&self, key: &[u8], ttl: Duration) -> Result<bool, Error> {
        let mut touch = cmd("PEXPIRE");
        touch.arg(key).arg(millis(ttl));
        let touched = self.write(key, touch).await?;
        Ok(touched == Value::Int(1))
    }

    /// The same connection for requests that wait for their answer so long.
    pub(crate) fn patient(&self, timeout: Duration) -> Self {
        let mut patient = Self { timeout, ..self.clone() };
        patient.connection.set_response_timeout(timeout);
        patient
    }

    /// Asks for a sign of life: any answer is one, a refusal as well.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        match self.ask(b"", &cmd("PING")).await {
            Err(error) if error.is_connection() => Err(error),
            _ => Ok(()),
        }
    }

    /// Asks a node of a cluster, which is at this address, what it knows of it.
    pub(crate) async fn view(&self, at: &Address) -> Result<View, Error> {
        let said = self.ask(b"", cmd("CLUSTER").arg("NODES")).await?;
        let text = redis::from_redis_value::<String>(said).unwrap_or_default();
        View::parse(&text, at)
            .ok_or_else(|| Error::Server { words: format!("CLUSTER NODES is no view: {text}") })
    }

    /// The value of a key, or else the right to load it: by the lease, if `holder` is not empty.
    pub(crate) async fn claim(
        &self,
        key: &[u8],
        lease: &[u8],
        holder: &str,
        time: Duration,
    ) -> Result<Claim, Error> {
        let mut claim = cmd("EVAL");
        claim.arg(CLAIM);
        keys(&mut claim, key, lease, holder);
        claim.arg(holder).arg(millis(time));
        Ok(match self.ask(key, &claim).await? {
            Value::Int(1) => Claim::Ours,
            Value::Int(_) => Claim::Theirs,
            value => Claim::Value(only(key, value)?),
        })
    }

    /// Stores what was loaded, if the lease is still `holder`'s, unless that is empty, and the key has no value; and ends the lease.
    pub(crate) async fn store(
        &self,
        key: &[u8],
        lease: &[u8],
        holder: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<Stored, Error> {
        let ttl = ttl.map_or_else(String::new, |ttl| millis(ttl).to_string());
        let mut store = cmd("EVAL");
        store.arg(STORE);
        keys(&mut store, key, lease, holder);
        store.arg(holder).arg(value).arg(ttl);
        Ok(match self.write(key, store).await? {
            Value::Int(1) => Stored::Done,
            Value::Int(_) => Stored::Overtaken,
            value => Stored::Theirs(only(key, value)?),
        })
    }

    /// Ends a lease, if it is still `holder`'s.
    pub(crate) async fn release(&self, lease: &[u8], holder: &str) -> Result<(), Error> {
        self.ask(lease, cmd("EVAL").arg(RELEASE).arg(1).arg(lease).arg(holder)).await.map(drop)
    }

    /// A write of one's own, with a `PING` behind it. What the server says of the write it says behind its answer, and before that of
    /// the `PING` (but for prefixes): so the push has come when this returns, and refuses no fill that begins then.
    async fn write(&self, key: &[u8], command: Cmd) -> Result<Value, Error> {
        let mut both = pipe();
        if self.is_asking {
            both.cmd("ASKING");
        }
        both.add_command(command).cmd("PING");
        let mut answers = self.ask_all(&both, 2 + usize::from(self.is_asking)).await?;
        answers.pop();
        answer(key, answers.pop().unwrap_or(Value::Nil))
    }

    async fn ask(&self, key: &[u8], command: &Cmd) -> Result<Value, Error> {
        if self.is_asking {
            let mut both = pipe();
            both.cmd("ASKING").add_command(command.clone());
            let mut answers = self.ask_all(&both, 2).await?;
            return answer(key, answers.pop().unwrap_or(Value::Nil));
        }
        let mut connection = self.connection.clone();
        let asked = self.while_open(connection.send_packed_command(command)).await?;
        answer(key, asked)
    }

    async fn ask_all(&self, commands: &Pipeline, count: usize) -> Result<Vec<Value>, Error> {
        let mut connection = self.connection.clone();
        let answers = self.while_open(connection.send_packed_commands(commands, 0, count)).await?;
        if answers.len() == count {
            return Ok(answers);
        }
        Err(Error::Server { words: format!("{} answers to {count} commands", answers.len()) })
    }

    /// Waits for an answer no longer than the connection is not given up.
    async fn while_open<T>(
        &self,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Error> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            answered = asked => answered.map_err(|error| self.connection_error(&error)),
            _ = closed.wait_for(|closed| *closed) => {
                Err(Error::Interrupted { words: "the heartbeat failed".into() })
            }
        }
    }

    fn connection_error(&self, error: &RedisError) -> Error {
        if error.is_timeout() {
            Error::Timeout { limit: self.timeout }
        } else if error.is_io_error() || error.kind() == ErrorKind::Parse {
            Error::Interrupted { words: error.to_string() }
        } else {
            Error::Server { words: error.to_string() }
        }
    }
}

/// An answer that is no error of the server.
fn answer(key: &[u8], value: Value) -> Result<Value, Error> {
    let Value::ServerError(error) = value else { return Ok(value) };
    let words = format!("{} {}", error.code(), error.details().unwrap_or_default());
    let words = words.trim_end().to_owned();
    Err(match error.code() {
        "WRONGTYPE" => Error::WrongType { key: shown(key), words },
        "MOVED" | "ASK" => redirected(&words).unwrap_or(Error::Server { words }),
        _ => Error::Server { words },
    })
}

/// `MOVED slot host:port`, or with `ASK`.
fn redirected(words: &str) -> Option<Error> {
    let mut parts = words.split(' ');
    let (code, slot, to) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    Some(Error::Redirected { slot, to: to.to_owned(), is_moving: code == "ASK" })
}

/// The keys of a script: the lease is one only if it is asked for, as a slot that is being moved is open to scripts with
/// one key alone.
fn keys(script: &mut Cmd, key: &[u8], lease: &[u8], holder: &str) {
    if holder.is_empty() {
        script.arg(1).arg(key);
    } else {
        script.arg(2).arg(key).arg(lease);
    }
}

/// An answer that is a string, or nothing.
fn bytes(key: &[u8], value: Value) -> Result<Option<Vec<u8>>, Error> {
    match answer(key, value)? {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        other => Err(Error::Server { words: format!("an answer of another kind: {other:?}") }),
    }
}

/// The only string of an array.
fn only(key: &[u8], value: Value) -> Result<Vec<u8>, Error> {
    let first = match value {
        Value::Array(mut values) if values.len() == 1 => bytes(key, values.remove(0))?,
        other => bytes(key, other)?,
    };
    first.ok_or_else(|| Error::Server { words: "a script that returned nothing".into() })
}

/// Whole milliseconds, rounded up: 1 at least.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}
