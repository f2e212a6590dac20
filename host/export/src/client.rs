//! The HTTP client of an exporter: whom it trusts, who it is, and what it sends through.
//!
//! Certificates are read when the exporter is made, and again when a reload changes it. Nothing here shows what is in a
//! file, nor the credential of a proxy.

use std::error::Error;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_config::{Secret, Tls, TlsVersion};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy};

/// Longer files hold no certificate.
const MAX_BYTES: u64 = 1 << 20;
/// A connection of HTTP/2 that was silent for so long is asked for a sign of life with the next request, and given up if there
/// is none: a network that forgot it would otherwise swallow every request that is sent over it.
const SILENCE: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(30) };
const SIGN_OF_LIFE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(10) };
/// The form the OTLP exporter specification asks for, after the name of the distribution.
const USER_AGENT: &str =
    concat!("kiln/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidClient {
    #[error("`tls`: {} cannot be read: {}", .0.display(), .1)]
    Unreadable(PathBuf, String),
    #[error("`tls`: {} is no regular file, or larger than any certificate", .0.display())]
    NotAFile(PathBuf),
    #[error("`tls`: {} holds no certificate in PEM format", .0.display())]
    NoCertificate(PathBuf),
    #[error("`tls`: {} and {} do not hold a certificate and its private key in PEM format", .0.display(), .1.display())]
    NoIdentity(PathBuf, PathBuf),
    #[error("`proxy_url` is not the URL of a proxy")]
    Proxy,
    #[error(
        "the HTTP client cannot be set up: {0}; https needs the system's CA certificates, install them, name a file in SSL_CERT_FILE, or set `tls.ca_file`"
    )]
    Setup(String),
}

/// What a client is for.
pub(crate) struct Purpose<'a> {
    pub(crate) tls: &'a Tls,
    pub(crate) proxy: Option<&'a Secret>,
    /// Whether it ever speaks TLS.
    pub(crate) is_tls: bool,
    /// Whether it speaks HTTP/2 and nothing else.
    pub(crate) is_http2: bool,
}

impl Purpose<'_> {
    pub(crate) fn client(&self) -> Result<Client, InvalidClient> {
        // Somebody else may have chosen a provider for the process already, which is as good.
        let _first = rustls::crypto::ring::default_provider().install_default();
        // A credential belongs to the host it was configured for, and a redirected POST may arrive as a GET.
        let mut client = Client::builder().user_agent(USER_AGENT).redirect(reqwest::redirect::Policy::none());
        client = client.http2_keep_alive_interval(SILENCE).http2_keep_alive_timeout(SIGN_OF_LIFE);
        if self.is_http2 {
            client = client.http2_prior_knowledge();
        }
        client = if self.is_tls {
            trust(client, self.tls)?
        } else {
            // Without TLS no certificate is needed, and a small container may have none.
            client.tls_certs_only([])
        };
        if let Some(proxy) = self.proxy {
            client = client.proxy(Proxy::all(proxy.expose()).map_err(|_| InvalidClient::Proxy)?);
        }
        client.build().map_err(|error| InvalidClient::Setup(root_cause(&error)))
    }
}

fn trust(client: ClientBuilder, tls: &Tls) -> Result<ClientBuilder, InvalidClient> {
    let mut client =
        client.tls_danger_accept_invalid_certs(tls.insecure_skip_verify).tls_version_min(match tls.min_version {
            TlsVersion::V1_2 => reqwest::tls::Version::TLS_1_2,
            TlsVersion::V1_3 => reqwest::tls::Version::TLS_1_3,
        });
    if let Some(path) = &tls.ca_file {
        let authorities = Certificate::from_pem_bundle(&read(path)?).unwrap_or_default();
        if authorities.is_empty() {
            return Err(InvalidClient::NoCertificate(path.clone()));
        }
        client = if tls.include_system_authorities {
            client.tls_certs_merge(authorities)
        } else {
            client.tls_certs_only(authorities)
        };
    }
    if let Some((certificate, key)) = &tls.identity {
        let mut pem = read(certificate)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        let identity = Identity::from_pem(&pem);
        client = client.identity(identity.map_err(|_| InvalidClient::NoIdentity(certificate.clone(), key.clone()))?);
    }
    Ok(client)
}

fn read(path: &Path) -> Result<Vec<u8>, InvalidClient> {
    let unreadable = |error: std::io::Error| InvalidClient::Unreadable(path.to_owned(), error.to_string());
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    // Opening a pipe would wait for whoever writes to it.
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(InvalidClient::NotAFile(path.to_owned()));
    }
    let mut content = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut content)).map_err(unreadable)?;
    Ok(content)
}

/// What started it; the layers above only say that something failed.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Scenario: a connection of HTTP/2 answers one request and then falls silent without being closed.
    /// Guarantees: the next request is lost with it, and the one after that gets through on another connection.
    #[tokio::test]
    async fn a_connection_that_has_died_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let (_, mut respond) = connection.accept().await.unwrap().unwrap();
                respond.send_response(http::Response::new(()), true).unwrap();
                // As far as the answer; then nobody looks at it any more.
                let _ = tokio::time::timeout(Duration::from_millis(50), connection.accept()).await;
                silent.push(connection);
            }
        });
        let tls = Tls::default();
        let client = Purpose { tls: &tls, proxy: None, is_tls: false, is_http2: true }.client().unwrap();
        let call = || client.post(&url).timeout(Duration::from_secs(60)).send();
        call().await.unwrap();
        let began = tokio::time::Instant::now();
        assert!(call().await.is_err());
        assert!(began.elapsed() < Duration::from_secs(60), "it was the time-out of the request");
        call().await.unwrap();
    }
}
