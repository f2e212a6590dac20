//! What the door takes from the machine it runs on: its root certificates; and what it does not: its proxies.
//!
//! Both are read from environment variables, which a process cannot safely change for itself. So each case runs this
//! program again, as [`a_child_sends_one_request`], in an environment of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kiln_egress::{Credentials, Egress, EgressLimits, EgressSpec, Error, Request};
use kiln_policy::{Grants, Manifest, Method, Policy, ProxyRule, Setting};
use kiln_telemetry::{Metrics, Redaction, Subject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const ORIGIN: &str = "KILN_TEST_ORIGIN";

fn egress(origin: &str) -> Egress {
    let manifest = Manifest::parse(&format!(
        "name = 'example'\nversion = '1.0.0'\nkind = 'receiver'\ndescription = 'An example'\nlicense = 'Apache-2.0'\n\
         wit = '0.1'\n[[requests.http]]\norigin = '{origin}'\nmethods = ['GET']\npaths = ['/*']\nreason = 'a test'\n\
         credential = '${{config.token}}'\n"
    ));
    let grants = serde_json::json!({ "http": [{ "origin": origin, "addresses": ["loopback"] }] });
    let grants: Grants = serde_json::from_value(grants).unwrap();
    let policy = Policy::resolve(&manifest.unwrap(), &grants, true, |_| Some(Setting::secret())).unwrap();
    let mut credentials = Credentials::default();
    credentials.insert("token", "s3cret");
    let metrics = Metrics::new("test");
    let spec = EgressSpec {
        instance: "example".to_owned(),
        policy: Arc::new(policy),
        credentials,
        limits: EgressLimits::default(),
        metrics: metrics.egress("example"),
        denials: metrics.denials().of(Subject::default()),
        redaction: Redaction::default(),
        proxy: ProxyRule::Direct,
        discovery: None,
        rehearsal: None,
    };
    Egress::new(spec).unwrap()
}

/// Sends one request where the environment says, and tells its parent how it went.
#[tokio::test]
async fn a_child_sends_one_request() {
    let Ok(origin) = std::env::var(ORIGIN) else { return };
    let request = Request { method: Method::Get, url: format!("{origin}/x"), headers: Vec::new(), body: None };
    let outcome = match egress(&origin).send(request).await {
        Ok(response) => String::from_utf8(response.body.to_vec()).unwrap(),
        Err(Error::Tls(text)) => format!("tls: {text}"),
        Err(error) => format!("{error:?}"),
    };
    println!("outcome={outcome}");
}

async fn outcome(origin: &str, environment: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_child_sends_one_request", "--nocapture"]);
    child.env(ORIGIN, origin).envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let outcome = text.split_once("outcome=").and_then(|(_, rest)| rest.lines().next());
    outcome.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

/// A certificate for `localhost`, written to `path`, and a server configuration that presents it.
fn certificate(path: &Path, protocol: &[u8]) -> TlsAcceptor {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path, certified.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Serves every connection with `serve` and counts them.
async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (u16, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    (port, connections)
}

async fn http1(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, body: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap() == 0 {
            return;
        }
    }
    assert!(String::from_utf8(head).unwrap().contains("authorization: Bearer s3cret\r\n"));
    let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn https_trusts_what_the_platform_trusts_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (own, other) = (directory.path().join("own.pem"), directory.path().join("other.pem"));
    let acceptor = certificate(&own, b"http/1.1");
    certificate(&other, b"http/1.1");
    let (port, _) = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                http1(stream, "over TLS").await;
            }
        }
    })
    .await;
    let (own, other) = (own.to_str().unwrap(), other.to_str().unwrap());
    let origin = format!("https://localhost:{port}");

    assert_eq!(outcome(&origin, &[("SSL_CERT_FILE", own)]).await, "over TLS");
    let untrusted = outcome(&origin, &[("SSL_CERT_FILE", other)]).await;
    assert!(untrusted.starts_with(&format!("tls: {origin}: invalid peer certificate")), "{untrusted}");
    // Trusted, but for another name.
    let other_name = format!("https://127.0.0.1:{port}");
    let mismatched = outcome(&other_name, &[("SSL_CERT_FILE", own)]).await;
    assert!(mismatched.starts_with(&format!("tls: {other_name}: invalid peer certificate")), "{mismatched}");
}

#[tokio::test]
async fn http_2_is_spoken_where_the_server_speaks_it() {
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("own.pem");
    let acceptor = certificate(&own, b"h2");
    let (port, _) = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut connection = h2::server::handshake(acceptor.accept(stream).await.unwrap()).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert_eq!(request.headers()["authorization"], "Bearer s3cret");
                let mut body = respond.send_response(Default::default(), false).unwrap();
                body.send_data(Bytes::from_static(b"over HTTP/2"), true).unwrap();
            }
        }
    })
    .await;
    let origin = format!("https://localhost:{port}");
    assert_eq!(outcome(&origin, &[("SSL_CERT_FILE", own.to_str().unwrap())]).await, "over HTTP/2");
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let (proxy, proxied) = listen(|stream| http1(stream, "through the proxy")).await;
    let (port, direct) = listen(|stream| http1(stream, "directly")).await;
    let proxy = format!("http://127.0.0.1:{proxy}");
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let environment = names.map(|name| (name, proxy.as_str()));
    assert_eq!(outcome(&format!("http://127.0.0.1:{port}"), &environment).await, "directly");
    assert_eq!((proxied.load(Ordering::SeqCst), direct.load(Ordering::SeqCst)), (0, 1));
}

#[tokio::test]
async fn plain_http_needs_no_root_certificates() {
    let (port, _) = listen(|stream| http1(stream, "in the clear")).await;
    let environment = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    assert_eq!(outcome(&format!("http://127.0.0.1:{port}"), &environment).await, "in the clear");
}
