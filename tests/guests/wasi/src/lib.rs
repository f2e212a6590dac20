//! A plugin that uses WASI, one way per `mode`, and says in the log what came of it.
//!
//! Ordinary programs get these calls from their standard library; here they are made by hand, so that a test knows which
//! they are.

mod doors;
mod files;

use kiln_plugin::{CollectError, ConfigError, Host, Level, Outcome, Receiver};
use serde::Deserialize;
use wasip2::{cli, clocks, filesystem, io, random, sockets};

kiln_plugin::manifest!("plugin.toml");
kiln_plugin::export_receiver!(Wasi);

/// Lines of `flood`.
const LINES: u32 = 10_000;
/// Bytes `too_much_random` asks for at once.
const RANDOM_BYTES: u64 = 1 << 30;
/// Waits of `wait`, and how long each is in nanoseconds.
const WAITS: u32 = 50;
const WAIT: u64 = 10_000_000;

/// What the test writes.
#[derive(Debug, Deserialize)]
pub struct Config {
    mode: Mode,
    paths: Vec<String>,
    requests: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    LookAround,
    Print,
    Flood,
    Read,
    List,
    Write,
    KeepFilesOpen,
    KeepResources,
    Sockets,
    TooMuchRandom,
    Exit,
    Wait,
    Fetch,
}

/// The plugin.
#[derive(Debug)]
pub struct Wasi {
    config: Config,
}

impl Receiver for Wasi {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    fn collect(&mut self, host: &mut Host) -> Result<Outcome, CollectError> {
        let paths = || self.config.paths.iter().map(String::as_str);
        let done = match self.config.mode {
            Mode::LookAround => look_around(host),
            Mode::Print => print(&["a line", " in two pieces\nand another\n", "without an end"]),
            Mode::Flood => flood(),
            Mode::Read => paths().map(|path| say(host, path, files::read(path))).sum(),
            Mode::List => paths().map(|path| say(host, path, files::list(path))).sum(),
            Mode::Write => paths().map(|path| say(host, path, files::write(path))).sum(),
            Mode::KeepFilesOpen => paths().map(|path| say(host, path, files::keep_open(path))).sum(),
            Mode::KeepResources => keep_resources(),
            Mode::Sockets => try_sockets(host),
            Mode::TooMuchRandom => random::random::get_random_bytes(RANDOM_BYTES).len(),
            Mode::Exit => {
                cli::exit::exit(Err(()));
                0
            }
            Mode::Wait => wait(),
            Mode::Fetch => self.config.requests.iter().map(|request| doors::compare(host, request)).sum(),
        };
        let mut metrics = telemetry::Metrics::new();
        metrics.kiln_test_value(i64::try_from(done).unwrap_or(i64::MAX));
        host.emit_metrics([metrics])?;
        Ok(Outcome::complete())
    }
}

/// Says what became of a path, and counts what was got.
fn say(host: &Host, path: &str, result: Result<usize, filesystem::types::ErrorCode>) -> usize {
    match result {
        Ok(count) => {
            host.log(Level::Info, &format!("{path}: ok, {count}"), &[]);
            count
        }
        Err(code) => {
            host.log(Level::Info, &format!("{path}: {}", code.name()), &[]);
            0
        }
    }
}

fn look_around(host: &Host) -> usize {
    let variables = cli::environment::get_environment();
    let arguments = cli::environment::get_arguments();
    let directories: Vec<_> =
        filesystem::preopens::get_directories().into_iter().map(|(_, directory)| directory).collect();
    let mut input = Vec::new();
    let end = loop {
        match cli::stdin::get_stdin().blocking_read(64) {
            Ok(bytes) => input.extend(bytes),
            Err(error) => break matches!(error, io::streams::StreamError::Closed),
        }
    };
    let seen = format!(
        "variables {variables:?}, arguments {arguments:?}, directories {directories:?}, input {} bytes, ended {end}",
        input.len()
    );
    host.log(Level::Info, &seen, &[]);
    variables.len()
}

/// Writes each piece to both streams.
fn print(pieces: &[&str]) -> usize {
    for piece in pieces {
        for stream in [cli::stdout::get_stdout(), cli::stderr::get_stderr()] {
            // The host takes at least this much at once.
            if stream.blocking_write_and_flush(piece.as_bytes()).is_err() {
                return 0;
            }
        }
    }
    pieces.len()
}

fn flood() -> usize {
    let stream = cli::stdout::get_stdout();
    (0..LINES).filter(|_| stream.blocking_write_and_flush(b"the same again\n").is_ok()).count()
}

/// Collects things to wait for until the host has enough of it.
fn keep_resources() -> usize {
    let mut kept = Vec::new();
    loop {
        kept.push(clocks::monotonic_clock::subscribe_duration(1));
        std::hint::black_box(&kept);
    }
}

fn try_sockets(host: &Host) -> usize {
    use sockets::network::{ErrorCode, IpAddressFamily};
    let network = sockets::instance_network::instance_network();
    let attempts: [(&str, Result<(), ErrorCode>); 3] = [
        ("tcp", sockets::tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map(drop)),
        ("udp", sockets::udp_create_socket::create_udp_socket(IpAddressFamily::Ipv6).map(drop)),
        ("name", sockets::ip_name_lookup::resolve_addresses(&network, "localhost").map(drop)),
    ];
    for (attempt, result) in &attempts {
        let answer = result.as_ref().map_or_else(|code| code.name(), |()| "given");
        host.log(Level::Info, &format!("{attempt}: {answer}"), &[]);
    }
    attempts.iter().filter(|(_, result)| result.is_ok()).count()
}

/// Waits far longer than it computes.
fn wait() -> usize {
    for _ in 0..WAITS {
        clocks::monotonic_clock::subscribe_duration(WAIT).block();
    }
    usize::try_from(WAITS).unwrap_or_default()
}
