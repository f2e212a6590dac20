//! An HTTP/1 server that does what a test says, down to the bytes.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// What the server does with one request.
pub enum Answer {
    /// These bytes; the connection is kept.
    Bytes(Vec<u8>),
    /// These bytes, then the connection is closed.
    Last(Vec<u8>),
    /// These bytes, then nothing more, until the client goes away.
    Stall(Vec<u8>),
    /// The first bytes, then the second again and again, until the client goes away.
    Endless(Vec<u8>, Vec<u8>),
    /// A TCP reset.
    Reset,
    /// These bytes, once the test has released one more request.
    Held(Vec<u8>),
    /// These bytes, once so many requests have been answered.
    After(usize, Vec<u8>),
}

pub struct Received {
    /// Request line and headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
    /// The address of the server that the client dialled.
    pub dialled: std::net::IpAddr,
}

impl Received {
    /// The request line without the version.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    /// The values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

pub struct Server {
    pub port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

type Script = dyn Fn(usize, &Received) -> Answer + Send + Sync;

struct Shared {
    script: Box<Script>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    written: AtomicU64,
    under_way: watch::Sender<usize>,
    most_under_way: AtomicUsize,
    answered: watch::Sender<usize>,
    gone: watch::Sender<usize>,
    released: Semaphore,
}

impl Server {
    /// `script` is told how many requests came before, and the request.
    pub async fn start(script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST, script).await
    }

    pub async fn start_on(
        address: Ipv4Addr,
        script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            under_way: watch::channel(0).0,
            most_under_way: AtomicUsize::new(0),
            answered: watch::channel(0).0,
            gone: watch::channel(0).0,
            released: Semaphore::new(0),
        });
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move {
                        let _ = shared.serve(stream).await;
                        shared.gone.send_modify(|gone| *gone += 1);
                    });
                }
            }
        });
        Self { port, shared, accepting }
    }

    /// A server that answers everything with 200 and `body`.
    pub async fn saying(body: &'static str) -> Self {
        Self::start(move |_, _| Answer::Bytes(ok(body))).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn received<T>(&self, look: impl FnOnce(&[Received]) -> T) -> T {
        look(&self.shared.received.lock().unwrap())
    }

    pub fn lines(&self) -> Vec<String> {
        self.received(|received| received.iter().map(|request| request.line().to_owned()).collect())
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes the client has taken, buffers of the operating system included.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::SeqCst)
    }

    pub fn most_under_way(&self) -> usize {
        self.shared.most_under_way.load(Ordering::SeqCst)
    }

    pub async fn until_under_way(&self, requests: usize) {
        self.shared.under_way.subscribe().wait_for(|count| *count == requests).await.unwrap();
    }

    pub async fn until_answered(&self, requests: usize) {
        self.shared.answered.subscribe().wait_for(|count| *count == requests).await.unwrap();
    }

    pub async fn until_gone(&self, connections: usize) {
        self.shared.gone.subscribe().wait_for(|count| *count == connections).await.unwrap();
    }

    pub fn release(&self) {
        self.shared.released.add_permits(1);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                    break end;
                }
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            };
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            let mut request = Received { head, body: Vec::new(), dialled: stream.local_addr()?.ip() };
            let length = request.header("content-length").first().map_or(0, |length| length.parse().unwrap());
            while buffer.len() < length {
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            }
            request.body = buffer.drain(..length).collect();

            let number = self.received.lock().unwrap().len();
            let answer = (self.script)(number, &request);
            self.received.lock().unwrap().push(request);
            self.under_way.send_modify(|count| {
                *count += 1;
                self.most_under_way.fetch_max(*count, Ordering::SeqCst);
            });
            let kept = self.answer(&mut stream, answer).await;
            if !matches!(kept, Ok(true)) {
                self.under_way.send_modify(|count| *count -= 1);
                return kept.map(|_| ());
            }
        }
    }

    async fn answer(&self, stream: &mut TcpStream, answer: Answer) -> std::io::Result<bool> {
        match answer {
            Answer::Bytes(bytes) => self.write_last(stream, &bytes).await?,
            Answer::Last(bytes) => {
                self.write(stream, &bytes).await?;
                return Ok(false);
            }
            Answer::Stall(bytes) => {
                self.write(stream, &bytes).await?;
                while stream.read_u8().await.is_ok() {}
                return Ok(false);
            }
            Answer::Endless(first, again) => {
                self.write(stream, &first).await?;
                loop {
                    self.write(stream, &again).await?;
                }
            }
            Answer::Reset => {
                stream.set_zero_linger()?;
                return Ok(false);
            }
            Answer::Held(bytes) => {
                self.released.acquire().await.unwrap().forget();
                self.write_last(stream, &bytes).await?;
            }
            Answer::After(answered, bytes) => {
                self.answered.subscribe().wait_for(|count| *count >= answered).await.unwrap();
                self.write_last(stream, &bytes).await?;
            }
        }
        self.answered.send_modify(|count| *count += 1);
        Ok(true)
    }

    /// Counts the request as finished before the client can know that it is, and send another.
    async fn write_last(&self, stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        self.under_way.send_modify(|count| *count -= 1);
        self.write(stream, bytes).await
    }

    async fn write(&self, stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        stream.write_all(bytes).await?;
        self.written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

/// A response with a body and these further header lines, each ending in `\r\n`.
pub fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    response("200 OK", "", body)
}
