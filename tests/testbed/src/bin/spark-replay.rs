//! The UI port of a Spark driver as a process, replayed from captured pages.

use clap::Parser;
use kiln_testbed::process;
use kiln_testbed::spark::{Pages, Phase, Spark};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
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
    /// Have so many executors, made from the captured ones, whose counters grow.
    #[arg(long)]
    executors: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    process::run(|| {
        let pages = Pages::read(&arguments.pages)?;
        let (first, later): (Phase, &'static [Phase]) = match arguments.start_up {
            0 => (Phase::Ready, &[]),
            _ => (Phase::StartingUp, &[Phase::NotFound, Phase::Attaching, Phase::Ready]),
        };
        let spark = Arc::new(Spark::start_on(arguments.listen, pages, first)?);
        if let Some(count) = arguments.executors {
            spark.set_executors(count);
        }
        process::announce(&spark.url())?;
        let moving = spark.clone();
        // Not joined: a signal ends the process whatever phase has been reached.
        std::thread::spawn(move || {
            for phase in later {
                std::thread::sleep(Duration::from_secs(arguments.start_up));
                moving.set_phase(*phase);
            }
        });
        process::wait_for_signal()
    })
}
