//! The kinds of place a batch can go to.

use kiln_otlp::Batch;

use crate::attempt::{Failure, Outcome, Request};
use crate::debug::Printer;
use crate::file::Lines;
use crate::otlp_grpc::OtlpGrpc;
use crate::otlp_http::OtlpHttp;
use crate::prometheus::Exposition;

#[derive(Debug)]
pub(crate) enum Target {
    OtlpHttp(Box<OtlpHttp>),
    OtlpGrpc(Box<OtlpGrpc>),
    Prometheus(Exposition),
    File(Lines),
    Debug(Printer),
    #[cfg(test)]
    Scripted(crate::scripted::Scripted),
}

impl Target {
    /// Brings a batch into the form it leaves in.
    pub(crate) async fn prepare(&self, batch: Batch) -> Result<Request, Failure> {
        match self {
            Self::OtlpHttp(otlp_http) => otlp_http.prepare(batch).await,
            Self::OtlpGrpc(otlp_grpc) => otlp_grpc.prepare(batch).await,
            Self::Prometheus(_) | Self::File(_) | Self::Debug(_) => Ok(Request::plain(batch)),
            #[cfg(test)]
            Self::Scripted(_) => Ok(Request::plain(batch)),
        }
    }

    /// One attempt.
    pub(crate) async fn send(&self, request: &Request) -> Outcome {
        match self {
            Self::OtlpHttp(otlp_http) => otlp_http.send(request).await,
            Self::OtlpGrpc(otlp_grpc) => otlp_grpc.send(request).await,
            Self::Prometheus(exposition) => exposition.send(request).await,
            Self::File(lines) => lines.send(request).await,
            Self::Debug(printer) => printer.send(request).await,
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.send(request).await,
        }
    }
}
