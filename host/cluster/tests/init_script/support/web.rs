//! The smallest web server that does: one request per connection, over TLS.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(crate) struct Reply {
    pub(crate) status: &'static str,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn ok(content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let headers = format!("Content-Type: {content_type}\r\n");
        Self { status: "200 OK", headers, body: body.as_ref().to_vec() }
    }
}

/// What a client asked for.
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    /// Method, path and headers, as they came; and the body, if a length was given.
    pub(crate) text: String,
}

impl Request {
    /// The value of a header, which the client is to send in lower case or as it is written here.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.text.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Answers requests until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// A server without TLS.
    pub(crate) fn start_plain(answer: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self::with(listener, move |mut stream| respond(&mut stream, &answer))
    }

    /// A server for `host` on a port of its own, and the certificate that makes a client trust it, in PEM.
    pub(crate) fn start_tls(host: &str, answer: impl Fn(&Request) -> Reply + Send + 'static) -> (Self, String) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let server = Self::with(listener, move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            respond(&mut stream, &answer);
            stream.conn.send_close_notify();
            let _client_gone = stream.flush();
        });
        (server, cert.pem())
    }

    fn with(listener: TcpListener, handle: impl Fn(TcpStream) + Send + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                handle(stream.unwrap());
            }
        });
        Self { address, stopping, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _wakes_the_thread = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Whatever goes wrong here went wrong for the client too, and it says so.
fn respond(stream: &mut (impl Read + Write), answer: impl Fn(&Request) -> Reply) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && request.len() < 65536 {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut request = Request { path, text };
    if let Some(length) = request.header("content-length").and_then(|length| length.parse().ok()) {
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        request.text.push_str(&String::from_utf8_lossy(&body));
    }
    let reply = answer(&request);
    let head = format!(
        "HTTP/1.1 {}\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n",
        reply.status,
        reply.headers,
        reply.body.len()
    );
    let _client_gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&reply.body));
    let _client_gone = stream.flush();
}
