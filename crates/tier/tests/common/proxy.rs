//! A network between a client and a server that can go dead without a word.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::AbortHandle,
};

/// Hands bytes on, both ways, until it swallows them.
pub struct Proxy {
    port: u16,
    states: [Arc<State>; 2],
    task: AbortHandle,
}

/// What is done with bytes of one direction.
#[derive(Default)]
struct State {
    swallows: AtomicBool,
    is_slow: AtomicBool,
}

impl Proxy {
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let states = <[Arc<State>; 2]>::default();
        let [up, down] = states.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(hand_on(from_client, to_server, Arc::clone(&up)));
                tokio::spawn(hand_on(from_server, to_client, Arc::clone(&down)));
            }
        });
        Self { port, states, task: task.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// From now on nothing comes through; the connections stay as they are.
    pub fn swallow(&self, swallows: bool) {
        for state in &self.states {
            state.swallows.store(swallows, Ordering::SeqCst);
        }
    }

    /// The same for what the client says alone.
    pub fn swallow_requests(&self, swallows: bool) {
        self.states[0].swallows.store(swallows, Ordering::SeqCst);
    }

    /// From now on what the server says comes bit by bit: 200 kB a second at most.
    pub fn be_slow(&self) {
        self.states[1].is_slow.store(true, Ordering::SeqCst);
    }
}

/// Hands bytes on, both ways, and on a word by another connection to the server from then on, as a proxy may that
/// shares them.
pub struct SwappingProxy {
    port: u16,
    swap: Arc<Notify>,
    task: AbortHandle,
}

impl SwappingProxy {
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let swap = Arc::new(Notify::new());
        let swap_too = Arc::clone(&swap);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(swapped(client, to, Arc::clone(&swap_too)));
            }
        });
        Self { port, swap, task: task.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Takes another connection to the server.
    pub fn swap(&self) {
        self.swap.notify_one();
    }
}

impl Drop for SwappingProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn swapped(mut client: TcpStream, to: u16, swap: Arc<Notify>) -> std::io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
    loop {
        tokio::select! {
            done = tokio::io::copy_bidirectional(&mut client, &mut server) => return done.map(drop),
            () = swap.notified() => {}
        }
        server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
        server.write_all(b"HELLO 3\r\n").await?;
        let mut hello = [0; 4096];
        assert!(server.read(&mut hello).await? > 0);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hand_on(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    state: Arc<State>,
) {
    const SLOW: usize = 2_000;
    let mut buffer = vec![0; 1 << 16];
    // A connection that has lost bytes once is dead for good.
    let mut is_dead = false;
    loop {
        let is_slow = state.is_slow.load(Ordering::SeqCst);
        let most = if is_slow { SLOW } else { buffer.len() };
        let length = from.read(&mut buffer[..most]).await.unwrap_or(0);
        is_dead |= state.swallows.load(Ordering::SeqCst);
        if length == 0 {
            return;
        }
        if !is_dead && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        if is_slow {
            tokio::time::sleep(Duration::from_millis(10)).await; // what makes it slow
        }
    }
}
