//! What the three binaries have in common: they say where they listen, serve until they are told to end, and
//! explain in a sentence when they cannot.

use std::io::{self, Write};
use std::process::ExitCode;

/// Runs a binary's work and turns an error into a sentence on stderr and exit code 1.
pub fn run(work: impl FnOnce() -> io::Result<()>) -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the one line that callers wait for: `listening on http://127.0.0.1:PORT`.
///
/// # Errors
/// stdout is closed.
pub fn announce(url: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {url}")?;
    stdout.flush()
}

/// Blocks until the process is asked to end (SIGINT or SIGTERM).
///
/// # Errors
/// The signals cannot be listened for.
pub fn wait_for_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    })
}
