//! The compiler itself, where there is one.

use std::io::{Read, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::compile_error::CompileError;
use crate::compiler::{CompileBounds, THREADS};
use crate::component_file::MAX_FILE_BYTES;
use crate::engine::wasmtime_text;
use crate::native_code::Artifact;
use crate::settings::settings;

/// Compiles in this process, on a thread of its own.
pub(crate) async fn compile_here(bytes: &[u8]) -> Result<Artifact, CompileError> {
    let bytes = bytes.to_vec();
    let compiled = tokio::task::spawn_blocking(move || compile(None, &bytes)).await;
    let compiled = compiled.map_err(|error| CompileError::Process(error.to_string()))?;
    compiled.map(Artifact::known_to_be_ours).map_err(|error| CompileError::Component(wasmtime_text(&error)))
}

/// The other end of [`Compiler::Process`](crate::Compiler): bounds this process, reads a component and writes its code.
///
/// `target` is a machine other than this one, such as `aarch64-unknown-linux-gnu`; the code for it needs nothing that not
/// every machine of that kind has.
///
/// # Errors
/// What is wrong with the component, or with this process. The caller prints it and ends with the exit code 1.
pub fn compile_within(
    bounds: CompileBounds,
    target: Option<&str>,
    component: impl Read,
    mut artifact: impl Write,
) -> Result<(), String> {
    bound(bounds).map_err(|error| format!("the compiler cannot be bounded: {error}"))?;
    let mut bytes = Vec::new();
    component.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let compiled = compile(target, &bytes).map_err(|error| wasmtime_text(&error))?;
    artifact.write_all(&compiled).and_then(|()| artifact.flush()).map_err(|error| error.to_string())
}

fn compile(target: Option<&str>, component: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut settings = settings();
    if let Some(target) = target {
        settings.target(target)?;
    }
    wasmtime::Engine::new(&settings)?.precompile_component(component)
}

/// What a thread that computes for too long is ended with, and a moment later what nobody can ignore.
fn bound(CompileBounds { memory, time }: CompileBounds) -> std::io::Result<()> {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).saturating_mul(THREADS);
    for (resource, soft, hard) in [
        (Resource::As, memory, memory),
        (Resource::Cpu, seconds, seconds.saturating_add(1)),
        // Nothing is written to files, no memory image is left, and no file is opened beyond the three there are.
        (Resource::Fsize, 0, 0),
        (Resource::Core, 0, 0),
        (Resource::Nofile, 3, 3),
    ] {
        // It may be bounded more tightly already.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(resource, Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) })?;
    }
    Ok(())
}
