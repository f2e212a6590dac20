//! A simulated Databricks workspace as a process, for demonstrations and for tests in other languages.

use clap::Parser;
use kiln_testbed::databricks::world::{MAX_JOBS, Size, World};
use kiln_testbed::databricks::{Client, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_TOKEN, Options, Workspace};
use kiln_testbed::process;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

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
    /// How many runs all jobs together have in a day, about; by default as many as suits each job.
    #[arg(long)]
    runs_per_day: Option<u32>,
    /// How far back runs are remembered, such as 90m, 24h or 7d.
    #[arg(long, default_value = "12h", value_parser = duration)]
    retention: Duration,
    /// How many objects lie in the workspace's tree.
    #[arg(long, default_value_t = Size::default().objects)]
    objects: u32,
    /// The client id that is given tokens by OAuth.
    #[arg(long, default_value = DEFAULT_CLIENT_ID)]
    client_id: String,
    /// The secret of that client.
    #[arg(long, default_value = DEFAULT_CLIENT_SECRET)]
    client_secret: String,
    /// For how many seconds such a token is good.
    #[arg(long, default_value_t = 3600)]
    token_lifetime: u64,
    /// What the world is thrown from: the same seed gives the same world.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    process::run(|| {
        let size = Size {
            jobs: arguments.jobs,
            runs_per_day: arguments.runs_per_day,
            retention: arguments.retention,
            objects: arguments.objects,
        };
        let workspace = Workspace::start_with(Options {
            listen: arguments.listen,
            token: arguments.token,
            world: World::living_of_size(arguments.seed, &size),
            client: Client {
                id: arguments.client_id,
                secret: arguments.client_secret,
                token_lifetime: Duration::from_secs(arguments.token_lifetime),
            },
            ..Options::default()
        })?;
        process::announce(&workspace.url())?;
        process::wait_for_signal()
    })
}

/// A whole number and `s`, `m`, `h` or `d`.
fn duration(text: &str) -> Result<Duration, String> {
    let read = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(seconds)
    };
    read().map(Duration::from_secs).ok_or_else(|| format!("'{text}' is not a duration such as 90m, 24h or 7d"))
}
