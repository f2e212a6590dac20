//! How requests get there: TLS with authorities and certificates of one's own, and proxies.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let issuer: &rcgen::Issuer<'_, KeyPair> = &self.0;
        (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap(), key)
    }

    /// A certificate and its key, as files.
    fn issue_files(&self, directory: &Path, name: &str) -> (std::path::PathBuf, std::path::PathBuf) {
        let (certificate, key) = self.issue(name);
        let (certificate_file, key_file) = (format!("{name}.pem"), format!("{name}.key"));
        (write(directory, &certificate_file, &certificate.pem()), write(directory, &key_file, &key.serialize_pem()))
    }
}

fn write(directory: &Path, name: &str, content: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// A backend for `localhost` that takes everything, once it has seen a certificate of `of_clients`, if it wants one.
async fn tls_backend(authority: &Authority, of_clients: Option<&Authority>) -> String {
    let (certificate, key) = authority.issue("localhost");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let config = match of_clients {
        None => config.with_no_client_auth(),
        Some(of_clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(of_clients.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.windows(4).any(|at| at == b"\r\n\r\n")
                && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0)
            {}
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}/v1/metrics")
}

/// Whether a point arrives there with this `tls`.
async fn arrives(url: &str, tls: &Tls) -> bool {
    let destination = Destination { tls: tls.clone(), ..destination(url) };
    let kiln = Running::start(OtlpHttp {
        destinations: PerSignal::new(|_| destination.clone()),
        retry: Retry { enabled: false, ..eager() },
        queue: Queue::default(),
        proxy: None,
    });
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.finish().await;
    assert_eq!(kiln.sent("metric_points") + kiln.lost("metric_points", "retries_exhausted"), 1);
    kiln.sent("metric_points") == 1
}

/// Scenario: a backend whose certificate is of a private authority.
/// Guarantees: it is trusted with that authority's certificate in `ca_file`, or with no check at all, and not otherwise.
#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let url = tls_backend(&authority, None).await;
    let trusting = |authority: &Authority, name: &str| {
        let ca_file = Some(write(directory.path(), name, &authority.0.pem()));
        Tls { ca_file, ..Tls::default() }
    };
    assert!(arrives(&url, &trusting(&authority, "ca.pem")).await);
    let tls_1_3 = kiln_config::TlsVersion::V1_3;
    assert!(arrives(&url, &Tls { min_version: tls_1_3, ..trusting(&authority, "ca.pem") }).await);
    assert!(!arrives(&url, &trusting(&other, "other.pem")).await);
    assert!(arrives(&url, &Tls { insecure_skip_verify: true, ..trusting(&other, "other.pem") }).await);
    // For another name than the certificate is for.
    let by_address = url.replace("localhost", "127.0.0.1");
    assert!(!arrives(&by_address, &trusting(&authority, "ca.pem")).await);
}

/// Scenario: a backend that wants a certificate of its clients.
/// Guarantees: the one that is configured is shown; without one, or with one of another authority, nothing arrives.
#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_configured() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, of_clients) = (Authority::new(), Authority::new());
    let url = tls_backend(&authority, Some(&of_clients)).await;
    let ca_file = Some(write(directory.path(), "ca.pem", &authority.0.pem()));
    let known = of_clients.issue_files(directory.path(), "client");
    let stranger = authority.issue_files(directory.path(), "stranger");
    for (identity, arrived) in [(Some(known), true), (None, false), (Some(stranger), false)] {
        let tls = Tls { ca_file: ca_file.clone(), identity, ..Tls::default() };
        assert_eq!(arrives(&url, &tls).await, arrived, "{:?}", tls.identity);
    }
}

#[test]
fn files_that_hold_no_certificate_are_found_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let nonsense = write(directory.path(), "nonsense.pem", "s3cret, and no certificate");
    let error = |tls: Tls| {
        let destination = Destination { tls, ..destination("https://localhost/v1/metrics") };
        let settings = OtlpHttp {
            destinations: PerSignal::new(|_| destination.clone()),
            retry: eager(),
            queue: Queue::default(),
            proxy: None,
        };
        let kind = ExporterKind::OtlpHttp(Box::new(settings));
        Exporter::new(&"otlp_http".parse().unwrap(), &kind).unwrap_err().to_string()
    };
    let none = error(Tls { ca_file: Some(nonsense.clone()), ..Tls::default() });
    let expected = format!(
        "exporter `otlp_http` cannot be used: `tls`: {} holds no certificate in PEM format; it is configured at \
         `exporters.otlp_http`",
        nonsense.display()
    );
    assert_eq!(none, expected);
    let missing = error(Tls { ca_file: Some(directory.path().join("missing")), ..Tls::default() });
    assert!(missing.contains("missing cannot be read: No such file"), "{missing}");
    let pair = error(Tls { identity: Some((nonsense.clone(), nonsense)), ..Tls::default() });
    assert!(pair.contains("do not hold a certificate and its private key") && !pair.contains("s3cret"), "{pair}");
}

/// Scenario: a proxy is configured, with a name and a password.
/// Guarantees: requests go to it, with its credential for it and the backend's for the backend; both leave no trace in an
/// error.
#[tokio::test]
async fn requests_go_through_the_proxy_that_is_configured() {
    let proxy = Backend::start([]).await;
    let mut settings = settings(&proxy);
    settings.destinations.metrics = destination("http://otlp.example.invalid/v1/metrics");
    let authority = proxy.address;
    settings.proxy = Some(Secret::new(format!("http://me:pa55word@{authority}")));
    let kiln = Running::start(settings);
    kiln.export(Signal::Metrics, 1, b"m").await;
    kiln.finish().await;
    let received = &proxy.received()[0];
    assert_eq!(received.path, "http://otlp.example.invalid/v1/metrics");
    assert_eq!(received.headers["proxy-authorization"], "Basic bWU6cGE1NXdvcmQ=");
    assert_eq!(received.headers["authorization"], "Bearer sesame99");
    assert_eq!(kiln.sent("metric_points"), 1);
}
