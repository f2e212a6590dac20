//! The certificates of one grant, by the names of their files. What is in them is for the door to read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The `tls` of a grant: whom to trust at this origin, and who to be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Spelling")]
pub struct TlsFiles {
    /// Certificates of authorities in PEM format, trusted here in place of the platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The client's certificate in PEM format, with those that lead from it to an authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_file: Option<PathBuf>,
    /// Its private key in PEM format.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
}

impl TlsFiles {
    /// The files of the client's certificate and its key, if it has one.
    #[must_use]
    pub fn identity(&self) -> Option<(&Path, &Path)> {
        Some((self.cert_file.as_deref()?, self.key_file.as_deref()?))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelling {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl TryFrom<Spelling> for TlsFiles {
    type Error = InvalidTlsFiles;

    fn try_from(Spelling { ca_file, cert_file, key_file }: Spelling) -> Result<Self, Self::Error> {
        if cert_file.is_some() != key_file.is_some() {
            return Err(InvalidTlsFiles::HalfAnIdentity);
        }
        if ca_file.is_none() && cert_file.is_none() {
            return Err(InvalidTlsFiles::Nothing);
        }
        let files = Self { ca_file, cert_file, key_file };
        let paths = [&files.ca_file, &files.cert_file, &files.key_file];
        let relative = paths.into_iter().flatten().find(|path| !path.is_absolute()).cloned();
        match relative {
            Some(path) => Err(InvalidTlsFiles::Relative(path)),
            None => Ok(files),
        }
    }
}

/// Not certificates.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTlsFiles {
    /// A certificate without its key, or the other way round.
    #[error("`tls` has one of `cert_file` and `key_file`: a client certificate needs both")]
    HalfAnIdentity,
    /// No file.
    #[error("`tls` names no file: give it `ca_file`, or `cert_file` and `key_file`, or leave it out")]
    Nothing,
    /// Relative to what?
    #[error("`{}` is a relative path: write where the file is from the root on", .0.display())]
    Relative(PathBuf),
}
