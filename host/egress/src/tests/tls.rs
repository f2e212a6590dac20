//! Certificates of a grant: whom to trust at an origin, and who to be there.

use std::path::Path;
use std::sync::Arc;

use kiln_policy::Policy;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::get;
use super::world::{World, everything, policy};
use crate::{Egress, EgressError, Error, TlsFileError};

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this name, and its key.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let issuer: &rcgen::Issuer<'_, KeyPair> = &self.0;
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
        (certificate, key)
    }
}

/// A server whose certificate is of one authority, and that wants one of another authority from its clients. Says hello.
async fn serve(authority: &Authority, of_clients: &Authority) -> u16 {
    let (certificate, key) = authority.issue("localhost");
    let mut roots = RootCertStore::empty();
    roots.add(of_clients.0.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello").await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

fn at(port: u16, tls: Value) -> Arc<Policy> {
    let origin = format!("https://localhost:{port}");
    let mut grant = json!({ "origin": origin, "addresses": ["loopback"] });
    if !tls.is_null() {
        grant["tls"] = tls;
    }
    policy(&everything(&origin), json!([grant]))
}

fn egress(policy: Arc<Policy>) -> Result<Egress, EgressError> {
    let world = World::new().resolving(&["127.0.0.1"]);
    let spec = world.spec(policy, &crate::Credentials::default(), crate::EgressLimits::default());
    Egress::within(world.ambient(), spec)
}

fn write(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Scenario: a server with a certificate of a private authority that asks its clients for one.
/// Guarantees: it is reached with both files of the grant, and with neither of them missing or wrong.
#[tokio::test]
async fn a_private_authority_is_trusted_and_a_certificate_shown_where_the_grant_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (authority, of_clients) = (Authority::new(), Authority::new());
    let port = serve(&authority, &of_clients).await;
    let ca_file = write(directory, "ca.pem", &authority.0.pem());
    let wrong_ca = write(directory, "wrong-ca.pem", &of_clients.0.pem());
    let identity = |authority: &Authority, name: &str| {
        let (certificate, key) = authority.issue(name);
        let certificate = write(directory, &format!("{name}.pem"), &certificate.pem());
        (certificate, write(directory, &format!("{name}.key"), &key.serialize_pem()))
    };
    let (cert_file, key_file) = identity(&of_clients, "client");
    let (stranger, strangers_key) = identity(&authority, "stranger");
    let tls = json!({ "ca_file": ca_file, "cert_file": cert_file, "key_file": key_file });
    let url = format!("https://localhost:{port}/");
    let answer = egress(at(port, tls)).unwrap().send(get(&url)).await.unwrap();
    assert_eq!(&answer.body[..], b"hello");
    for refused in [
        json!({ "ca_file": wrong_ca, "cert_file": cert_file, "key_file": key_file }),
        json!({ "ca_file": ca_file }),
        json!({ "ca_file": ca_file, "cert_file": stranger, "key_file": strangers_key }),
    ] {
        let error = egress(at(port, refused.clone())).unwrap().send(get(&url)).await.unwrap_err();
        assert!(matches!(error, Error::Tls(_) | Error::Protocol(_) | Error::Connect(_)), "{refused}: {error:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_certificate_is_found_before_anything_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let nonsense = write(directory, "nonsense.pem", "s3cret, and no certificate");
    let missing = directory.join("missing.pem").to_str().unwrap().to_owned();
    let error = |tls: Value| match egress(at(1, tls)) {
        Err(EgressError::TlsFile { error, .. }) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("accepted"),
    };
    assert!(matches!(error(json!({ "ca_file": nonsense })), TlsFileError::NoCertificate(_)));
    assert!(matches!(error(json!({ "ca_file": missing })), TlsFileError::Unreadable(..)));
    assert!(matches!(error(json!({ "ca_file": directory.to_str().unwrap() })), TlsFileError::NotAFile(_)));
    let error = error(json!({ "cert_file": nonsense, "key_file": nonsense }));
    assert!(matches!(error, TlsFileError::NoIdentity(..)) && !error.to_string().contains("s3cret"));
}
