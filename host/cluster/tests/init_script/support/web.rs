//! The smallest web server that does: one request per connection, plain or over TLS.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Answers GET requests by path until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) served: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, answer: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        Self::with(listener, move |mut stream| respond(&mut stream, &answer))
    }

    /// A server for `host` on a port of its own, and the certificate that makes a client trust it, in PEM.
    pub(crate) fn start_tls(host: &str, answer: impl Fn(&str) -> Reply + Send + 'static) -> (Self, String) {
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
        let served = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let (count, stop) = (Arc::clone(&served), Arc::clone(&stopping));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                handle(stream.unwrap());
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, served, stopping, thread: Some(thread) }
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
fn respond(stream: &mut (impl Read + Write), answer: impl Fn(&str) -> Reply) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && request.len() < 65536 {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request);
    let reply = answer(request.split(' ').nth(1).unwrap_or_default());
    let head = format!(
        "HTTP/1.1 {}\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n",
        reply.status,
        reply.headers,
        reply.body.len()
    );
    let _client_gone = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&reply.body));
    let _client_gone = stream.flush();
}
