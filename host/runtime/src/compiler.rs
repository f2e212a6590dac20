//! Where a component is compiled: in a process of its own, which has limits and nothing else.
//!
//! A component is a stranger's program for the compiler, which is large and written for programs that mean well. So it gets
//! the component through one pipe, gives the code through another, and has no environment, no other open file, and no more
//! memory and time than [`Compiler::Process`] says. What it uses up is its own, and if it breaks nobody else notices.
//!
//! The child is this very binary, so what it answers is believed as what this process would have made itself is.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::compile_error::CompileError;
use crate::native_code::{Artifact, MAX_ARTIFACT_BYTES};
use crate::printable::printable;

/// Threads that compile. More would need more memory for little: functions of one component are compiled side by side.
pub(crate) const THREADS: u64 = 2;

/// What a compiler that fails has to say.
const MAX_COMPLAINT_BYTES: u64 = 4 * 1024;

/// How plugins are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// Not at all: what runs was compiled before, by a Kiln that has a compiler.
    Absent,
    /// Within this process, without bounds. For tests of what comes after.
    #[cfg(feature = "compiler")]
    Unbounded,
    /// In a process of its own.
    Process {
        /// The program and its arguments, to which `--memory BYTES --time MILLISECONDS` are added. It has to call
        /// `compile_within`.
        command: Vec<PathBuf>,
        /// What it may use up.
        bounds: CompileBounds,
    },
}

/// What compiling one plugin may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileBounds {
    /// Address space of the process, in bytes.
    pub memory: u64,
    /// Time on the clock on the wall; each thread may compute for as long.
    pub time: Duration,
}

impl Compiler {
    /// Compiles a component.
    ///
    /// # Errors
    /// The compiler refuses it, was stopped at a limit, broke, or cannot be started.
    pub(crate) async fn compile(&self, bytes: &[u8]) -> Result<Artifact, CompileError> {
        match self {
            Self::Absent => Err(CompileError::NoCompiler),
            #[cfg(feature = "compiler")]
            Self::Unbounded => crate::compile_within::compile_here(bytes).await,
            Self::Process { command, bounds } => {
                let compiled = tokio::time::timeout(bounds.time, in_a_process(command, *bounds, bytes)).await;
                compiled.unwrap_or(Err(CompileError::Time(bounds.time)))
            }
        }
    }
}

impl Compiler {
    /// Compiles a component, to be kept for a machine that has no compiler.
    ///
    /// # Errors
    /// As of [`Compiler::compile`].
    pub async fn precompile(&self, bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
        Ok(self.compile(bytes).await?.into_bytes())
    }
}

/// Dropping this ends the process.
async fn in_a_process(command: &[PathBuf], bounds: CompileBounds, bytes: &[u8]) -> Result<Artifact, CompileError> {
    let began = Instant::now();
    let unusable = |error: std::io::Error| CompileError::Process(error.to_string());
    let (program, arguments) = command.split_first().ok_or_else(|| unusable(std::io::ErrorKind::NotFound.into()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .args(["--memory", &bounds.memory.to_string()])
        .args(["--time", &bounds.time.as_millis().to_string()])
        .env_clear()
        .env("RAYON_NUM_THREADS", THREADS.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A terminal's signals are for its parent to deal with.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(unusable)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(unusable(std::io::ErrorKind::BrokenPipe.into()));
    };
    let (mut artifact, mut complaint) = (Vec::new(), Vec::new());
    let ask = async {
        // One that ends before it has read everything says why.
        let _broken_pipe = stdin.write_all(bytes).await;
        drop(stdin);
    };
    let mut answer = stdout.take(MAX_ARTIFACT_BYTES + 1);
    let mut complaints = stderr.take(MAX_COMPLAINT_BYTES);
    let ((), read, _) = tokio::join!(ask, answer.read_to_end(&mut artifact), complaints.read_to_end(&mut complaint));
    read.map_err(unusable)?;
    if artifact.len() as u64 > MAX_ARTIFACT_BYTES {
        return Err(CompileError::Component(format!("it becomes more than {MAX_ARTIFACT_BYTES} bytes of code")));
    }
    // Nobody reads on, so that a complaint without end ends it.
    drop(complaints);
    let status = child.wait().await.map_err(unusable)?;
    if status.success() {
        return Ok(Artifact::known_to_be_ours(artifact));
    }
    Err(fault(status, &String::from_utf8_lossy(&complaint), bounds, began.elapsed()))
}

/// What it means that the process ended like this.
fn fault(status: ExitStatus, complaint: &str, bounds: CompileBounds, took: Duration) -> CompileError {
    use std::os::unix::process::ExitStatusExt as _;
    const XCPU: i32 = rustix::process::Signal::XCPU.as_raw();
    match (status.signal(), status.code()) {
        (None, Some(REFUSED)) => CompileError::Component(printable(complaint.trim())),
        (Some(XCPU), _) => CompileError::Time(took.max(bounds.time)),
        // An allocation that fails ends a Rust program; a thread or a mapping that cannot be had is an error with this text.
        _ if ["memory allocation of", "Cannot allocate memory", "os error 12", "Resource temporarily unavailable"]
            .iter()
            .any(|text| complaint.contains(text)) =>
        {
            CompileError::Memory(bounds.memory)
        }
        _ => CompileError::Process(format!("it ended with {status}: {}", printable(complaint.trim()))),
    }
}

/// Exit code of a compiler that is well and refuses the component.
pub(crate) const REFUSED: i32 = 1;
