//! `kiln internal compile`: the process in which a running Kiln has a plugin compiled.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_config::LoadingLimits;
use kiln_runtime::{CompileBounds, Compiler, compile_within};

use crate::cli::Compile;
use crate::exit::Failure;

pub(super) fn run(Compile { memory, time, target }: &Compile) -> Result<(), Failure> {
    let bounds = CompileBounds { memory: *memory, time: Duration::from_millis(*time) };
    compile_within(bounds, target.as_deref(), std::io::stdin().lock(), std::io::stdout().lock())
        .map_err(Failure::Runtime)
}

/// How a running Kiln has plugins compiled: by itself, once more.
pub(crate) fn compiler(limits: &LoadingLimits) -> Compiler {
    process(limits, &[])
}

/// How plugins are compiled for machines of another kind, or for any machine of this kind.
pub(super) fn compiler_for(limits: &LoadingLimits, target: &str) -> Compiler {
    process(limits, &["--target", target])
}

fn process(limits: &LoadingLimits, arguments: &[&str]) -> Compiler {
    // The very file that runs, even if another has taken its place since.
    let this = Path::new("/proc/self/exe");
    let program = if this.exists() { this.to_owned() } else { std::env::current_exe().unwrap_or_default() };
    Compiler::Process {
        command: std::iter::once(program)
            .chain(["internal", "compile"].iter().chain(arguments).map(PathBuf::from))
            .collect(),
        bounds: CompileBounds { memory: limits.compile_memory, time: limits.compile_time },
    }
}
