//! `kiln internal compile`: the process in which a running Kiln has a plugin compiled.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_config::LoadingLimits;
use kiln_runtime::{CompileBounds, Compiler, compile_within};

use crate::cli::Compile;
use crate::exit::Failure;

pub(super) fn run(&Compile { memory, time }: &Compile) -> Result<(), Failure> {
    let bounds = CompileBounds { memory, time: Duration::from_millis(time) };
    compile_within(bounds, std::io::stdin().lock(), std::io::stdout().lock()).map_err(Failure::Runtime)
}

/// How a running Kiln has plugins compiled: by itself, once more.
pub(crate) fn compiler(limits: &LoadingLimits) -> Compiler {
    // The very file that runs, even if another has taken its place since.
    let this = Path::new("/proc/self/exe");
    let program = if this.exists() { this.to_owned() } else { std::env::current_exe().unwrap_or_default() };
    Compiler::Process {
        command: vec![program, PathBuf::from("internal"), PathBuf::from("compile")],
        bounds: CompileBounds { memory: limits.compile_memory, time: limits.compile_time },
    }
}
