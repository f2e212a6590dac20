//! The debug exporter: shows people what would be sent.
//!
//! It prints to standard output, apart from Kiln's log on standard error, so that either can be piped on its own. The
//! layout follows the Collector's exporter of the same name. Names and values come from strangers and are written
//! escaped: they cannot steer a terminal or pass for lines of their own.

mod logs;
mod metrics;
mod text;
mod traces;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use kiln_config::Verbosity;
use kiln_otlp::Signal;
use kiln_telemetry::metrics::DropReason;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::{DecodeError, Message};

use crate::attempt::{Outcome, Request};

/// Prints batches.
pub(crate) struct Printer {
    verbosity: Verbosity,
    out: Arc<Mutex<dyn Write + Send>>,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer").field("verbosity", &self.verbosity).finish_non_exhaustive()
    }
}

impl Printer {
    pub(crate) fn to_stdout(verbosity: Verbosity) -> Self {
        Self::to(verbosity, io::stdout())
    }

    fn to(verbosity: Verbosity, out: impl Write + Send + 'static) -> Self {
        Self { verbosity, out: Arc::new(Mutex::new(out)) }
    }

    /// Prints one batch.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        let (verbosity, out, request) = (self.verbosity, Arc::clone(&self.out), request.clone());
        // A pipe that nobody reads blocks whoever writes to it.
        let printed = tokio::task::spawn_blocking(move || {
            let text = render(&request, verbosity).map_err(|error| format!("the batch is not OTLP: {error}"))?;
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .map_err(|error| format!("cannot write to standard output: {error}"))
        });
        match printed.await {
            Ok(Ok(())) => Outcome::Delivered { rejected: 0, note: None },
            Ok(Err(cause)) => Outcome::failed(DropReason::Unwritable, cause),
            Err(error) => Outcome::failed(DropReason::Unwritable, error.to_string()),
        }
    }
}

fn render(request: &Request, verbosity: Verbosity) -> Result<String, DecodeError> {
    let things = match request.signal {
        Signal::Metrics => "data points",
        Signal::Traces => "spans",
        Signal::Logs => "log records",
    };
    let mut out = String::new();
    let _infallible = writeln!(out, "{}: {} {things}, {} bytes", request.signal, request.items, request.body.len());
    let is_detailed = match verbosity {
        Verbosity::Basic => return Ok(out),
        Verbosity::Normal => false,
        Verbosity::Detailed => true,
    };
    let body = request.body.clone();
    let _infallible = match (request.signal, is_detailed) {
        (Signal::Metrics, false) => metrics::normal(&mut out, &ExportMetricsServiceRequest::decode(body)?),
        (Signal::Metrics, true) => metrics::detailed(&mut out, &ExportMetricsServiceRequest::decode(body)?),
        (Signal::Traces, false) => traces::normal(&mut out, &ExportTraceServiceRequest::decode(body)?),
        (Signal::Traces, true) => traces::detailed(&mut out, &ExportTraceServiceRequest::decode(body)?),
        (Signal::Logs, false) => logs::normal(&mut out, &ExportLogsServiceRequest::decode(body)?),
        (Signal::Logs, true) => logs::detailed(&mut out, &ExportLogsServiceRequest::decode(body)?),
    };
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn request(signal: Signal, items: usize, body: impl Into<Bytes>) -> Request {
        Request { signal, items, body: body.into(), compression: kiln_config::Compression::None }
    }

    #[tokio::test]
    async fn basic_is_a_line_per_batch_and_needs_no_decoding() {
        let page = Page::default();
        let printer = Printer::to(Verbosity::Basic, page.clone());
        let sent = printer.send(&request(Signal::Metrics, 12, &b"\xff\xff"[..])).await;
        assert_eq!(sent, Outcome::Delivered { rejected: 0, note: None });
        printer.send(&request(Signal::Logs, 3, &b""[..])).await;
        printer.send(&request(Signal::Traces, 1, &b""[..])).await;
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "metrics: 12 data points, 2 bytes\nlogs: 3 log records, 0 bytes\ntraces: 1 spans, 0 bytes\n");
    }

    #[tokio::test]
    async fn what_cannot_be_printed_is_a_failure_with_its_cause() {
        let printer = Printer::to(Verbosity::Basic, Closed);
        let Outcome::Failed(failure) = printer.send(&request(Signal::Logs, 3, &b""[..])).await else { panic!() };
        assert_eq!(failure.reason, DropReason::Unwritable);
        assert!(failure.cause.starts_with("cannot write to standard output: "), "{}", failure.cause);
        let printer = Printer::to(Verbosity::Normal, Page::default());
        let Outcome::Failed(failure) = printer.send(&request(Signal::Logs, 3, &b"\xff"[..])).await else { panic!() };
        assert!(failure.cause.starts_with("the batch is not OTLP: "), "{}", failure.cause);
    }

    proptest! {
        #[test]
        fn any_bytes_are_printed_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            for signal in Signal::ALL {
                for verbosity in [Verbosity::Normal, Verbosity::Detailed] {
                    if let Ok(text) = render(&request(signal, 1, body.clone()), verbosity) {
                        prop_assert!(text.chars().all(|it| it == '\n' || !it.is_control()));
                    }
                }
            }
        }
    }
}
