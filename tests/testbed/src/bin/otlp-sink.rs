//! An OTLP backend as a process, for demonstrations and for tests in other languages: `GET /-/telemetry` shows
//! everything it was sent, `POST /-/faults` makes it misbehave.

use clap::Parser;
use kiln_testbed::sink::Sink;
use std::io::{self, Write};
use std::net::SocketAddr;

/// An OTLP/HTTP backend that keeps everything it is sent, in memory.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let sink = Sink::start_on(arguments.listen)?;
    writeln!(io::stdout(), "listening on {}", sink.url())?;
    kiln_testbed::wait_for_signal()
}
