//! A guest's standard output and error: lines of the operator's log, under the same bounds as any message of a plugin.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use kiln_telemetry::metrics::InstanceMetrics;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError};

use crate::log_gate::LogGate;

/// What a guest may write at once.
const WRITE_BYTES: usize = 16 << 10;
/// A longer line is written in pieces.
const LINE_BYTES: usize = 4 << 10;

/// Where one of the two streams goes. However often a guest asks for it, it is the same.
#[derive(Clone)]
pub(crate) struct Output {
    name: &'static str,
    level: Level,
    logs: Arc<Mutex<LogGate>>,
    metrics: InstanceMetrics,
    /// The beginning of a line; never longer than a line may be.
    line: Arc<Mutex<Vec<u8>>>,
}

impl Output {
    pub(crate) fn new(name: &'static str, level: Level, logs: Arc<Mutex<LogGate>>, metrics: InstanceMetrics) -> Self {
        Self { name, level, logs, metrics, line: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() == LINE_BYTES {
                self.log(&std::mem::take(&mut *line));
            }
        }
    }

    fn log(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if !text.is_empty() {
            let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
            logs.write(&self.metrics, self.level, text, &format!("stream={:?}", self.name));
        }
    }
}

impl Drop for Output {
    /// What a guest wrote last, most often why it gave up, need not end in a line break.
    fn drop(&mut self) {
        if Arc::strong_count(&self.line) == 1 {
            let rest = std::mem::take(&mut *self.line.lock().unwrap_or_else(PoisonError::into_inner));
            self.log(&rest);
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        if bytes.len() > WRITE_BYTES {
            return Err(StreamError::trap("writes more than check-write allows"));
        }
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(WRITE_BYTES)
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
