//! An OTLP backend as a process, for demonstrations and for tests in other languages: `GET /-/telemetry` shows
//! everything it was sent, `DELETE` of the same forgets it, `POST /-/faults` makes it misbehave.

use clap::Parser;
use kiln_testbed::process;
use kiln_testbed::sink::Sink;
use std::net::SocketAddr;
use std::process::ExitCode;

/// A backend for OTLP over HTTP and gRPC that keeps everything it is sent, in memory.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Keep how much there was, and not what.
    #[arg(long)]
    count_only: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    process::run(|| {
        let sink = Sink::start_on(arguments.listen)?;
        if arguments.count_only {
            sink.count_only();
        }
        process::announce(&sink.url())?;
        process::wait_for_signal()
    })
}
