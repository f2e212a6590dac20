//! How the process ends. Code 64 is `EX_USAGE` of `sysexits.h`.

use std::io::Write as _;
use std::process::ExitCode;

use kiln_policy::Visible;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line, the configuration or a plugin is at fault: mend it and try again. Empty if all has been said.
    Usage(String),
    /// Something else went wrong while running.
    Runtime(String),
    /// The command has done its work, and the answer, which has been given, is no.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "only the tools are asked questions"))]
    Negative,
    /// Whoever read standard output has gone away.
    NobodyListens,
}

impl Failure {
    pub(crate) fn usage(error: impl ToString) -> Self {
        Self::Usage(error.to_string())
    }

    pub(crate) fn runtime(error: impl ToString) -> Self {
        Self::Runtime(error.to_string())
    }

    /// The reason.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Usage(text) | Self::Runtime(text) => text,
            Self::Negative | Self::NobodyListens => String::new(),
        }
    }

    /// Prints the reason and turns into the code.
    pub(crate) fn report(self) -> ExitCode {
        let (text, code) = match self {
            Self::Usage(text) => (text, usage_code()),
            Self::Runtime(text) => (text, ExitCode::FAILURE),
            Self::Negative => return ExitCode::FAILURE,
            Self::NobodyListens => return ExitCode::SUCCESS,
        };
        if !text.is_empty() {
            warn(&text);
        }
        code
    }
}

pub(crate) fn usage_code() -> ExitCode {
    ExitCode::from(64)
}

/// Prints to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::NobodyListens),
        Err(error) => Err(Failure::runtime(format!("cannot write to standard output: {error}"))),
    }
}

/// Prints to standard error, where a lost reader is no reason to stop.
///
/// Errors quote files, and files are strangers': no character of theirs may steer the terminal.
pub(crate) fn warn(text: &str) {
    let lines: Vec<_> = text.trim_end().split('\n').map(|line| Visible(line).to_string()).collect();
    let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}
