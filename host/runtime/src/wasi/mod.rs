//! WASI 0.2, for plugins whose toolchain brings it along.
//!
//! What a component imports is linked, interface by interface, to a context that holds nothing: no arguments, no
//! variables, no directories, no sockets, an empty input, and output that goes to the operator's log. Authority comes from
//! requests and grants alone: variables by name, directories to read (`filesystem`), and HTTP through the instance's own
//! egress (`http`). Every resource a guest makes here is an entry of one table of bounded size.

mod filesystem;
mod http;
mod metered;
mod output;
mod sockets;

use std::sync::{Arc, Mutex};

use kiln_egress::Egress;
use kiln_policy::{Policy, WasiInterface};
use kiln_telemetry::metrics::InstanceMetrics;
use tokio::sync::Semaphore;
use tracing::Level;
use wasmtime::component::{HasSelf, Linker, ResourceTable, ResourceTableError};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, random, sockets as wasi_sockets};
use wasmtime_wasi::random::{WasiRandom, WasiRandomCtx, WasiRandomView as _};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::http as wasi_http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_io::bindings::wasi::io;

use self::filesystem::GrantedDirectory;
use self::http::EgressHooks;
use self::metered::Metered;
use self::output::Output;
use crate::clock::Clock;
use crate::log_gate::LogGate;
use crate::store_data::StoreData;

pub(crate) use self::filesystem::DirectoryError;

/// Streams, files, requests and whatever else a guest holds at the same time. wasmtime's own bound is a million.
pub(crate) const MAX_RESOURCES: usize = 1000;
/// Files and lists of directories among them. Each is a descriptor of Kiln's process, which has no more than it needs.
const MAX_OPEN_FILES: usize = 64;
/// Random bytes of one call; wasmtime's own bound is 64 MiB.
const MAX_RANDOM_BYTES: u64 = 64 << 10;
/// Headers of one message, in the memory they take up; wasmtime's own bound is twice that.
const MAX_FIELD_BYTES: usize = 64 << 10;

/// What the WASI imports of one store work on.
pub(crate) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    directories: Vec<Arc<GrantedDirectory>>,
    open_files: Arc<Semaphore>,
    http: WasiHttpCtx,
    hooks: EgressHooks,
}

impl Wasi {
    /// Makes a context of what `policy` grants. Opens the granted directories.
    ///
    /// # Errors
    /// A granted directory cannot be opened.
    pub(crate) fn new(
        policy: &Policy,
        egress: Option<Arc<Egress>>,
        logs: &Arc<Mutex<LogGate>>,
        metrics: &InstanceMetrics,
        clock: &Clock,
    ) -> Result<Self, DirectoryError> {
        let output = |name, level| Output::new(name, level, Arc::clone(logs), metrics.clone());
        let mut builder = WasiCtxBuilder::new();
        builder
            .stdout(output("stdout", Level::INFO))
            .stderr(output("stderr", Level::WARN))
            .wall_clock(clock.clone())
            .max_random_size(MAX_RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        for name in policy.env() {
            // What is not set, or is no text, is not there.
            if let Ok(value) = std::env::var(name.as_str()) {
                builder.env(name.as_str(), value);
            }
        }
        let directories = policy.files().iter().map(|rule| GrantedDirectory::open(rule).map(Arc::new));
        let directories = directories.collect::<Result<_, _>>()?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELD_BYTES);
        Ok(Self {
            context: builder.build(),
            table,
            directories,
            open_files: Arc::new(Semaphore::new(MAX_OPEN_FILES)),
            http,
            hooks: EgressHooks::new(egress),
        })
    }

    /// Resources the guest holds.
    pub(crate) fn resources(&mut self) -> usize {
        self.table.iter_mut().count()
    }

    /// Ends what belongs to the call that has ended: requests under way and bodies that are not read to their end.
    pub(crate) fn end_call(&mut self) {
        self.hooks.end_call();
    }
}

/// Whether an error means that a guest holds more resources than it may.
pub(crate) fn is_too_many_resources(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref::<ResourceTableError>(), Some(ResourceTableError::Full))
}

/// Whether an error means that a guest has ended itself, as a program does.
pub(crate) fn is_exit(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<I32Exit>().is_some()
}

impl WasiView for StoreData {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.context, table: &mut self.wasi.table }
    }
}

impl WasiHttpView for StoreData {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Wasi { http, table, hooks, .. } = &mut self.wasi;
        WasiHttpCtxView { ctx: http, table, hooks }
    }
}

/// Links the interfaces a component imports. What is not imported is not linked.
pub(crate) fn link(linker: &mut Linker<StoreData>, interfaces: &[WasiInterface]) -> wasmtime::Result<()> {
    interfaces.iter().try_for_each(|interface| link_one(linker, *interface))
}

fn link_one(l: &mut Linker<StoreData>, interface: WasiInterface) -> wasmtime::Result<()> {
    type Data = StoreData;
    let random: fn(&mut Data) -> &mut WasiRandomCtx = |data| data.random();
    match interface {
        WasiInterface::CliEnvironment => cli::environment::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::CliExit => cli::exit::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::CliStdin => cli::stdin::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::CliStdout => cli::stdout::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::CliStderr => cli::stderr::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::CliTerminalInput => cli::terminal_input::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::CliTerminalOutput => cli::terminal_output::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::CliTerminalStdin => cli::terminal_stdin::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::CliTerminalStdout => cli::terminal_stdout::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::CliTerminalStderr => cli::terminal_stderr::add_to_linker::<Data, WasiCli>(l, Data::cli),
        WasiInterface::MonotonicClock => clocks::monotonic_clock::add_to_linker::<Data, WasiClocks>(l, Data::clocks),
        WasiInterface::WallClock => clocks::wall_clock::add_to_linker::<Data, WasiClocks>(l, Data::clocks),
        WasiInterface::IoError => io::error::add_to_linker::<Data, Metered>(l, metered::of),
        WasiInterface::IoPoll => io::poll::add_to_linker::<Data, Metered>(l, metered::of),
        WasiInterface::IoStreams => io::streams::add_to_linker::<Data, Metered>(l, metered::of),
        WasiInterface::Random => random::random::add_to_linker::<Data, WasiRandom>(l, random),
        WasiInterface::RandomInsecure => random::insecure::add_to_linker::<Data, WasiRandom>(l, random),
        WasiInterface::RandomInsecureSeed => random::insecure_seed::add_to_linker::<Data, WasiRandom>(l, random),
        WasiInterface::FilesystemTypes => filesystem::types::add_to_linker::<Data, HasSelf<Data>>(l, |data| data),
        WasiInterface::FilesystemPreopens => filesystem::preopens::add_to_linker::<Data, HasSelf<Data>>(l, |data| data),
        WasiInterface::HttpTypes => {
            let options = wasi_http::types::LinkOptions::default();
            wasi_http::types::add_to_linker::<Data, WasiHttp>(l, &options, Data::http)
        }
        WasiInterface::HttpOutgoingHandler => {
            wasi_http::outgoing_handler::add_to_linker::<Data, WasiHttp>(l, Data::http)
        }
        WasiInterface::SocketsNetwork => {
            let options = wasi_sockets::network::LinkOptions::default();
            wasi_sockets::network::add_to_linker::<Data, WasiSockets>(l, &options, Data::sockets)
        }
        WasiInterface::SocketsInstanceNetwork => {
            wasi_sockets::instance_network::add_to_linker::<Data, WasiSockets>(l, Data::sockets)
        }
        WasiInterface::SocketsTcp => wasi_sockets::tcp::add_to_linker::<Data, WasiSockets>(l, Data::sockets),
        WasiInterface::SocketsUdp => wasi_sockets::udp::add_to_linker::<Data, WasiSockets>(l, Data::sockets),
        WasiInterface::SocketsTcpCreateSocket => {
            wasi_sockets::tcp_create_socket::add_to_linker::<Data, HasSelf<Data>>(l, |data| data)
        }
        WasiInterface::SocketsUdpCreateSocket => {
            wasi_sockets::udp_create_socket::add_to_linker::<Data, HasSelf<Data>>(l, |data| data)
        }
        WasiInterface::SocketsIpNameLookup => {
            wasi_sockets::ip_name_lookup::add_to_linker::<Data, HasSelf<Data>>(l, |data| data)
        }
    }
}
