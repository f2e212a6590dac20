//! `kiln`: reads the command line and hands over.

mod blueprint;
mod change;
mod cli;
mod commands;
mod data_dir;
mod desired;
mod difference;
mod discovery;
mod exit;
mod instances;
mod locked;
mod plugins;
mod prepare;
mod reload;
mod running;
mod service;
mod signals;
#[cfg(feature = "compiler")]
mod trial;
#[cfg(feature = "compiler")]
mod user_cache;
mod waiting;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::Arguments;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Asking for help or the version is no mistake. What cannot be printed is lost with its reader.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => exit::usage_code(),
            };
        }
    };
    match commands::run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
