//! A simulated Databricks workspace as a process, for demonstrations and for tests in other languages.

use clap::Parser;
use kiln_testbed::databricks::world::{MAX_JOBS, World};
use kiln_testbed::databricks::{DEFAULT_TOKEN, Options, Workspace};
use kiln_testbed::process;
use std::net::SocketAddr;
use std::process::ExitCode;

/// A simulated Databricks workspace in which jobs run by themselves.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The bearer token it accepts.
    #[arg(long, default_value = DEFAULT_TOKEN)]
    token: String,
    /// How many jobs exist.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_JOBS)))]
    jobs: u32,
    /// What the world is thrown from: the same seed gives the same world.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    process::run(|| {
        let workspace = Workspace::start_with(Options {
            listen: arguments.listen,
            token: arguments.token,
            world: World::living(arguments.seed, arguments.jobs),
            ..Options::default()
        })?;
        process::announce(&workspace.url())?;
        process::wait_for_signal()
    })
}
