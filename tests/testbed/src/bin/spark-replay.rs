//! The UI port of a Spark driver as a process, replayed from captured pages.

use clap::Parser;
use kiln_testbed::spark::{Pages, Phase, Spark};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Replays the UI port of a Spark driver from captured pages.
#[derive(Parser)]
struct Arguments {
    /// Folder of captured pages, such as tests/testbed/spark/4.1.4.
    #[arg(long)]
    pages: PathBuf,
    /// Where to listen; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Go through the phases of a driver's start first, this many seconds in each.
    #[arg(long, default_value_t = 0)]
    start_up: u64,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let pages = Pages::read(&arguments.pages)?;
    let spark = Spark::start_on(arguments.listen, pages, Phase::StartingUp)?;
    writeln!(io::stdout(), "listening on {}", spark.url())?;
    std::thread::scope(|scope| {
        // The signal is waited for meanwhile; the process ends with it, whatever phase has been reached.
        scope.spawn(|| {
            for phase in [Phase::NotFound, Phase::Attaching, Phase::Ready] {
                std::thread::sleep(Duration::from_secs(arguments.start_up));
                spark.set_phase(phase);
            }
        });
        let ended = kiln_testbed::wait_for_signal();
        std::process::exit(i32::from(ended.is_err()));
    })
}
