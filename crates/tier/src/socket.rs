//! The way to a server: a socket that notes when something came, and the client's connection over it.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::future::select_ok;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, RedisError, RedisResult,
    aio::MultiplexedConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
    task::AbortHandle,
};

/// When the last bytes came.
#[derive(Clone, Debug)]
pub(crate) struct LastHeard {
    start: Instant,
    /// In nanoseconds from `start`.
    last: Arc<AtomicU64>,
}

impl LastHeard {
    fn now() -> Self {
        Self { start: Instant::now(), last: Arc::default() }
    }

    pub(crate) fn time(&self) -> Instant {
        // Relaxed: it is a time, and nothing follows from what came then.
        self.start + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    fn note(&self) {
        if planted!(answers_alone) {
            return;
        }
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.store(nanos, Ordering::Relaxed);
    }
}

/// Ends the task that reads and writes a connection when it is dropped.
#[derive(Debug)]
pub(crate) struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection.
pub(crate) struct Connected {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) last_heard: LastHeard,
    /// `None` if the client has it.
    pub(crate) driver: Option<Driver>,
}

/// Connects.
pub(crate) async fn connect(
    client: &Client,
    config: AsyncConnectionConfig,
) -> RedisResult<Connected> {
    let last_heard = LastHeard::now();
    let info = client.get_connection_info();
    let heard = last_heard.clone();
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let stream = connect_tcp(host, *port).await?;
            over(client, Heard { stream, last: heard }, config, last_heard).await
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await?;
            over(client, Heard { stream, last: heard }, config, last_heard).await
        }
        // Over TLS: the client makes the stream, and nobody sees what comes but by its answers.
        _ => {
            let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            Ok(Connected { connection, last_heard, driver: None })
        }
    }
}

/// The first address of the host that answers.
async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let connecting: Vec<_> =
        lookup_host((host, port)).await?.map(|at| Box::pin(TcpStream::connect(at))).collect();
    if connecting.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    }
    let (stream, _) = select_ok(connecting).await?;
    // Many small requests share it, and none is to wait for the answer of another.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn over(
    client: &Client,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    config: AsyncConnectionConfig,
    last_heard: LastHeard,
) -> Result<Connected, RedisError> {
    let settings = client.get_connection_info().redis_settings();
    let (connection, driver) =
        MultiplexedConnection::new_with_config(settings, stream, config).await?;
    let driver = Some(Driver(tokio::spawn(driver).abort_handle()));
    Ok(Connected { connection, last_heard, driver })
}

/// A stream that notes when bytes come.
struct Heard<S> {
    stream: S,
    last: LastHeard,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.last.note();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
