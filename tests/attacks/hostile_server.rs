//! Servers that answer what no HTTP library would: byte by byte, for ever, or not at all.
//!
//! Each connection has a thread. What was asked is kept as it came, so that a test can say what was *not* sent.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A server on a port the kernel gave; everything ends when it is dropped.
pub(crate) struct HostileServer {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    heads: Mutex<Vec<String>>,
    connections: Mutex<Vec<TcpStream>>,
}

/// A connection on which the head of a request has been read.
pub(crate) struct Connection {
    stream: TcpStream,
    shared: Arc<Shared>,
    /// The head as it came, lines and all.
    pub(crate) head: String,
}

impl Connection {
    /// Sends these bytes; whether anybody still takes them.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends an answer of this status with a body, and is done.
    pub(crate) fn answer(&mut self, status: u16, body: &str) {
        self.send(format!(
            "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ));
    }

    /// Sends the same again and again until nobody takes it any more.
    pub(crate) fn send_for_ever(&mut self, bytes: impl AsRef<[u8]>) {
        let mut is_taken = true;
        while is_taken && !self.shared.stopping.load(Ordering::SeqCst) {
            is_taken = self.send(bytes.as_ref());
        }
    }

    /// Sends one byte after the other, each after a pause, until nobody takes them any more.
    pub(crate) fn drip(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) {
        for byte in bytes.as_ref().iter().cycle() {
            if self.shared.stopping.load(Ordering::SeqCst) || !self.send([*byte]) {
                return;
            }
            std::thread::park_timeout(pause);
        }
    }

    /// Says nothing until the other side gives up.
    pub(crate) fn keep_silent(&mut self) {
        let mut nothing = [0_u8; 64];
        while matches!(self.stream.read(&mut nothing), Ok(1..)) {}
    }
}

impl HostileServer {
    /// Answers every request so.
    pub(crate) fn start(answer: impl Fn(&mut Connection) + Send + Sync + 'static) -> Result<Self, String> {
        Self::start_on("127.0.0.1:0", answer)
    }

    /// As [`Self::start`], at an address.
    pub(crate) fn start_on(
        address: &str,
        answer: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared::default());
        let (answer, accepting) = (Arc::new(answer), shared.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                accepting.connections.lock().unwrap().extend(stream.try_clone());
                let (answer, shared) = (answer.clone(), accepting.clone());
                std::thread::spawn(move || {
                    let mut connection = Connection { stream, shared, head: String::new() };
                    while read_head(&mut connection) {
                        connection.shared.heads.lock().unwrap().push(connection.head.clone());
                        answer(&mut connection);
                        if connection.shared.stopping.load(Ordering::SeqCst) {
                            return;
                        }
                        // One answer to a connection, unless the answer leaves it open for more.
                        let _ = connection.stream.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads up to the empty line; whether there was a request.
fn read_head(connection: &mut Connection) -> bool {
    let mut head = Vec::new();
    let mut byte = [0_u8];
    while !head.ends_with(b"\r\n\r\n") {
        match connection.stream.read(&mut byte) {
            Ok(1..) if head.len() < 100_000 => head.push(byte[0]),
            Ok(_) | Err(_) => return false,
        }
    }
    connection.head = String::from_utf8_lossy(&head).into_owned();
    true
}
