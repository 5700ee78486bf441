//! Of Redis and Valkey: docs/migrating.md, "From Redis". Run on what is installed as `redis-server` and
//! `valkey-server`, or on the binary that `EVANESCE_VALKEY` names; a server that is not there is SKIPPED aloud.

use super::common::{eventually, pass};
use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A reply, in RESP2.
#[derive(Clone, Debug, PartialEq)]
enum Reply {
    Text(String),
    Int(i64),
    Nil,
    Error(String),
    List(Vec<Self>),
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Reply {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

struct Client(BufReader<UnixStream>);

impl Client {
    /// Sends a command of words without spaces.
    fn send(&mut self, command: &str) {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
    }

    fn reply(&mut self) -> Reply {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "+" => rest.into(),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Int(rest.parse().unwrap()),
            "$" => usize::try_from(rest.parse::<i64>().unwrap()).map_or(Reply::Nil, |len| {
                let mut text = vec![0; len + 2];
                self.0.read_exact(&mut text).unwrap();
                String::from_utf8_lossy(&text[..len]).as_ref().into()
            }),
            "*" => Reply::List((0..rest.parse().unwrap()).map(|_| self.reply()).collect()),
            _ => unreachable!("{line}"),
        }
    }

    fn run(&mut self, command: &str) -> Reply {
        self.send(command);
        self.reply()
    }

    /// Runs a command and looks at its reply.
    #[track_caller]
    fn says(&mut self, command: &str, expected: impl Into<Reply>) {
        assert_eq!(self.run(command), expected.into(), "{command}");
    }
}

/// A server of ours; it ends with this.
struct Server {
    child: Child,
    folder: PathBuf,
}

impl Server {
    fn start(binary: &str, test: &str) -> Option<Self> {
        let name = binary.rsplit('/').next().unwrap();
        let folder = env::temp_dir().join(format!("evanesce-{}-{test}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let child = Command::new(binary)
            .args([
                "--port",
                "0",
                "--unixsocket",
                "socket",
                "--save",
                "",
                "--enable-debug-command",
                "local",
            ])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            fs::remove_dir_all(&folder).unwrap();
            return None;
        };
        let server = Self { child, folder };
        eventually("the server's socket", || {
            UnixStream::connect(server.folder.join("socket")).is_ok()
        });
        Some(server)
    }

    fn client(&self) -> Client {
        Client(BufReader::new(UnixStream::connect(self.folder.join("socket")).unwrap()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Runs the claim on each server that is there; the second argument is whether it is Valkey.
fn on_each(test: &str, claim: impl Fn(&Server, bool)) {
    let valkey = env::var("EVANESCE_VALKEY").unwrap_or_else(|_| "valkey-server".to_owned());
    for (binary, is_valkey) in [("redis-server", false), (&valkey, true)] {
        match Server::start(binary, test) {
            Some(server) => claim(&server, is_valkey),
            None => println!("SKIPPED: {test}: {binary} is not there"),
        }
    }
}

/// Migrating, the table: what keeps a TTL, what drops it, and what comes back.
#[test]
fn what_keeps_a_ttl_and_what_drops_it() {
    on_each("ttl", |server, _| {
        let mut redis = server.client();
        redis.says("SET k 1 EX 100", "OK");
        redis.says("INCR k", 2);
        redis.says("TTL k", 100);
        redis.says("SET k 5 KEEPTTL", "OK");
        redis.says("TTL k", 100);
        redis.says("GETEX k EX 200", "5");
        redis.says("TTL k", 200);
        redis.says("SET k 6 XX KEEPTTL", "OK");
        redis.says("TTL k", 200);
        redis.says("SET k 6 XX", "OK");
        redis.says("TTL k", -1);
        redis.says("TTL none", -2);
        redis.says("SET none 6 XX", Reply::Nil);
        redis.says("SET k 7 GET", "6");
        redis.says("GETSET k 8", "7");
        redis.says("GETDEL k", "8");
        redis.says("DEL k", 0);
    });
}

/// Migrating: "`PERSIST k`: true also if there was no TTL, where Redis says 0"; "`EXPIRE .. GT`" answers 0 where
/// nothing changed, and for a key without a TTL.
#[test]
fn persist_and_expire_gt_answer_zero_where_nothing_changed() {
    on_each("zero", |server, _| {
        let mut redis = server.client();
        redis.says("SET k 1 EX 100", "OK");
        redis.says("EXPIRE k 50 GT", 0);
        redis.says("EXPIRE k 200 GT", 1);
        redis.says("PERSIST k", 1);
        redis.says("PERSIST k", 0);
        redis.says("EXPIRE k 50 GT", 0);
        redis.says("EXPIRE none 50 GT", 0);
    });
}

/// Migrating: "`TTL` rounds to the nearest second": 400 ms left are 0, 1,600 ms are 2.
#[test]
fn ttl_rounds_to_the_nearest_second() {
    on_each("rounds", |server, _| {
        let mut redis = server.client();
        // Time goes on meanwhile, but a try in which both see the same half second is not far.
        for (millis, expected) in [(400, 0), (900, 1), (1300, 1), (1900, 2)] {
            eventually("an answer within the half second", || {
                redis.says(&format!("SET k 1 PX {millis}"), "OK");
                redis.run("TTL k") == Reply::Int(expected)
            });
        }
    });
}

/// Migrating: "`DBSIZE`: both count what has expired and is not cleared yet"; "keyspace event `expired`: both tell of
/// it when it is found, not at the deadline".
#[test]
fn what_has_expired_is_counted_and_told_when_it_is_found() {
    on_each("found", |server, _| {
        let (mut redis, mut listener) = (server.client(), server.client());
        redis.says("DEBUG SET-ACTIVE-EXPIRE 0", "OK");
        redis.says("CONFIG SET notify-keyspace-events Ex", "OK");
        listener.send("SUBSCRIBE __keyevent@0__:expired");
        listener.reply();
        redis.says("SET k 1 PX 1", "OK");
        pass(Duration::from_millis(20));
        redis.says("DBSIZE", 1);
        redis.says("PUBLISH __keyevent@0__:expired mark", 1);
        assert_eq!(event(&mut listener), "mark", "nothing was told before");
        redis.says("GET k", Reply::Nil);
        assert_eq!(event(&mut listener), "k");
        redis.says("DBSIZE", 0);
    });
}

fn event(listener: &mut Client) -> String {
    match listener.reply() {
        Reply::List(parts) => match parts.last() {
            Some(Reply::Text(text)) => text.clone(),
            other => unreachable!("{other:?}"),
        },
        other => unreachable!("{other:?}"),
    }
}

/// Migrating: a TTL that is over at once is announced as `del` by Redis 7 and 8, and as `expired` by Valkey 9.
#[test]
fn an_expire_of_zero_is_del_in_redis_and_expired_in_valkey() {
    on_each("event", |server, is_valkey| {
        let (mut redis, mut listener) = (server.client(), server.client());
        redis.says("CONFIG SET notify-keyspace-events Exg", "OK");
        listener.send("PSUBSCRIBE __keyevent@0__:*");
        listener.reply();
        redis.says("SET k 1", "OK");
        redis.says("EXPIRE k 0", 1);
        let Reply::List(parts) = listener.reply() else { unreachable!() };
        let expected = if is_valkey { "expired" } else { "del" };
        assert_eq!(parts[2], format!("__keyevent@0__:{expected}").as_str().into());
    });
}
