//! An HTTP client for tests: no pool, so that every request stands on its own connection.

use std::error::Error;
use std::io;
use std::sync::Once;
use std::time::Duration;

/// A client that follows no redirect, keeps no connection and decompresses nothing.
pub(crate) fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    // The workspace builds reqwest without a TLS provider; plain HTTP still wants one installed.
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .no_gzip()
        .no_proxy()
        .build()
        .expect("a client without special settings")
}

/// Whether a request failed because the peer reset the connection.
#[allow(dead_code, reason = "not every test file asks")]
pub(crate) fn is_connection_reset(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::ConnectionReset;
        }
        cause = error.source();
    }
    false
}

/// Waits until something is true that nobody announces.
#[allow(dead_code, reason = "not every test file asks")]
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let looking = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), looking).await.expect("the condition to become true");
}
