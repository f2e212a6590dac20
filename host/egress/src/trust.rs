//! Whom a client trusts and who it says it is: the certificates of a grant.
//!
//! Files are read when the instance is made. A changed file takes effect with the next start of the instance.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kiln_policy::TlsFiles;
use reqwest::{Certificate, ClientBuilder, Identity};

/// Longer files hold no certificate.
const MAX_BYTES: u64 = 1 << 20;

/// Gives a client the certificates of a grant.
pub(crate) fn apply(client: ClientBuilder, files: &TlsFiles) -> Result<ClientBuilder, TlsFileError> {
    let mut client = client;
    if let Some(path) = &files.ca_file {
        let authorities = Certificate::from_pem_bundle(&read(path)?);
        let authorities = authorities.map_err(|_| TlsFileError::NoCertificate(path.clone()))?;
        if authorities.is_empty() {
            return Err(TlsFileError::NoCertificate(path.clone()));
        }
        // In place of the platform's: whoever names an authority means that one.
        client = client.tls_certs_only(authorities);
    }
    if let Some((certificate, key)) = files.identity() {
        let mut pem = read(certificate)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        let identity = Identity::from_pem(&pem);
        client =
            client.identity(identity.map_err(|_| TlsFileError::NoIdentity(certificate.to_owned(), key.to_owned()))?);
    }
    Ok(client)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let unreadable = |error: std::io::Error| TlsFileError::Unreadable(path.to_owned(), error.to_string());
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    // Opening a pipe would wait for whoever writes to it.
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(TlsFileError::NotAFile(path.to_owned()));
    }
    let mut content = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut content)).map_err(unreadable)?;
    Ok(content)
}

/// Why the certificates of a grant cannot be used. Never shows what is in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFileError {
    /// The operating system says no.
    #[error("{} cannot be read: {}", .0.display(), .1)]
    Unreadable(PathBuf, String),
    /// Not a file, or a huge one.
    #[error("{} is no regular file, or larger than any certificate", .0.display())]
    NotAFile(PathBuf),
    /// Holds no certificate.
    #[error("{} holds no certificate in PEM format", .0.display())]
    NoCertificate(PathBuf),
    /// They do not make an identity.
    #[error("{} and {} do not hold a certificate and its private key in PEM format", .0.display(), .1.display())]
    NoIdentity(PathBuf, PathBuf),
}
