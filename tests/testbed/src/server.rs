//! One HTTP server on one thread, and connections that can be reset.
//!
//! Every simulated server is an [`axum::Router`] handed to [`Server::start`]. It gets a thread and a runtime
//! of its own, so that a test may block without starving it. Dropping the handle closes the listener and all
//! connections and joins the thread: what a client sees is a process that ended.
//!
//! Invariant: after `drop` returns the port is free again, so "the backend went away and came back" is a
//! drop and a start on the same address.

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A port of the system's choice on the loopback interface.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(name: &str, listen: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(listen)
            .map_err(|error| io::Error::new(error.kind(), format!("{name} cannot listen on {listen}: {error}")))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else {
                    return;
                };
                let service = router.into_make_service_with_connect_info::<Connection>();
                tokio::select! {
                    _ = axum::serve(Resettable(listener), service) => {}
                    _ = stopped => {}
                }
            });
            // Dropping the runtime here drops every connection with it.
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The connection a request came in on; handlers get it with `ConnectInfo<Connection>`.
#[derive(Clone, Default)]
pub(crate) struct Connection {
    reset: Arc<AtomicBool>,
    /// Milliseconds by which answers are late, on a connection that only counts them.
    delay: Option<Arc<AtomicU64>>,
}

impl Connection {
    /// The connection of a caller in this process: faults are noted on it instead of happening.
    pub(crate) fn without_socket() -> Self {
        Self { delay: Some(Arc::default()), ..Self::default() }
    }

    /// Ends the connection with a TCP reset instead of whatever the handler answers.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.reset.load(Ordering::SeqCst)
    }

    /// Makes the answer late.
    pub(crate) async fn wait(&self, ms: u64) {
        match &self.delay {
            Some(delay) => {
                delay.fetch_add(ms, Ordering::SeqCst);
            }
            None => tokio::time::sleep(Duration::from_millis(ms)).await,
        }
    }

    /// By how much answers have been late, without a socket.
    pub(crate) fn delay(&self) -> Duration {
        let delay = self.delay.as_ref().map(|delay| delay.load(Ordering::SeqCst));
        Duration::from_millis(delay.unwrap_or_default())
    }
}

impl Connected<IncomingStream<'_, Resettable>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Resettable>) -> Self {
        Self { reset: stream.io().reset.clone(), delay: None }
    }
}

struct Resettable(TcpListener);

impl Listener for Resettable {
    type Io = Socket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Socket, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Answers are small and tests wait for each one: Nagle's algorithm would only add delay.
        let _ = stream.set_nodelay(true);
        let socket = Socket { stream, reset: Arc::new(AtomicBool::new(false)) };
        (socket, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A TCP stream that refuses to write once its connection shall be reset.
///
/// Refusing the write is the one place that no buffering above can get past: not one byte of the answer
/// leaves, the HTTP machinery drops the connection, and zero linger turns the close into a reset.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Socket {
    fn refuse(&self) -> Option<io::Error> {
        if !self.reset.load(Ordering::SeqCst) {
            return None;
        }
        let _ = self.stream.set_zero_linger();
        Some(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.refuse() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.refuse() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.refuse() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_shutdown(context),
        }
    }
}
