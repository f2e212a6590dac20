//! `tls`: whom an exporter trusts, and who it says it is.
//!
//! The keys are the Collector's. What the TLS stack here cannot do is an error, never ignored: a setting somebody relies on
//! for safety must not have no effect.

use std::path::PathBuf;

use crate::error::Problem;
use crate::reader::Section;

/// Whom an exporter trusts, and who it says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities in PEM format, trusted in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether the system's are trusted as well as those in `ca_file`.
    pub include_system_authorities: bool,
    /// The client's certificate with those that lead to its authority, and its private key, both in PEM format.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether any certificate will do, which makes TLS worth little.
    pub insecure_skip_verify: bool,
    /// The least version of TLS that will do.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2, below which nothing will do.
    #[default]
    V1_2,
    /// 1.3.
    V1_3,
}

/// What `tls` says; what it does not say is for the environment to fill in.
#[derive(Debug, Default)]
pub(crate) struct WrittenTls {
    /// Everything but `insecure`; `None` if there is no `tls`.
    pub(crate) tls: Option<Tls>,
    /// `insecure`: no TLS at all.
    pub(crate) insecure: Option<bool>,
}

impl WrittenTls {
    pub(crate) fn read(parent: &mut Section<'_>) -> Self {
        let Some(value) = parent.get("tls") else { return Self::default() };
        let mut section = value.section();
        let mut path = |key| {
            let value = section.get(key)?;
            let path = PathBuf::from(value.text()?);
            if path.is_absolute() {
                return Some(path);
            }
            value.error(Problem::Unsupported("a relative path; write where the file is from the root on"));
            None
        };
        let (ca_file, cert_file, key_file) = (path("ca_file"), path("cert_file"), path("key_file"));
        let identity = match (cert_file, key_file) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                value.error(Problem::Unsupported("a client certificate needs both `cert_file` and `key_file`"));
                None
            }
        };
        let mut flag = |key| section.get(key).and_then(|value| value.boolean());
        let insecure = flag("insecure");
        let insecure_skip_verify = flag("insecure_skip_verify").unwrap_or_default();
        let include_system_authorities = flag("include_system_ca_certs_pool").unwrap_or_default();
        let versions = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
        let min_version = section.get("min_version").and_then(|value| value.choice(&versions)).unwrap_or_default();
        for (key, remedy) in [
            ("ca_pem", "certificates are read from files; write it into one and name that in `ca_file`"),
            ("cert_pem", "certificates are read from files; write it into one and name that in `cert_file`"),
            ("key_pem", "keys are read from files; write it into one and name that in `key_file`"),
            (
                "server_name_override",
                "a certificate must be for the host of the endpoint; use the name it is for there",
            ),
            ("max_version", "the latest version both sides speak is used; remove the key"),
            ("cipher_suites", "only suites that are considered safe are offered; remove the key"),
            ("reload_interval", "certificates are read when the exporter starts; remove the key"),
        ] {
            section.unsupported(key, remedy);
        }
        section.finish();
        let tls = Tls { ca_file, include_system_authorities, identity, insecure_skip_verify, min_version };
        Self { tls: Some(tls), insecure }
    }
}
