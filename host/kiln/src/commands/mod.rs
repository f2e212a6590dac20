//! One module per subcommand.

mod init_script;
mod plugin;
mod reference;
mod run;
mod validate;

use crate::cli::{Command, PluginCommand};
use crate::exit::Failure;

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Plugin(PluginCommand::Pack(arguments)) => plugin::pack(&arguments),
        Command::Plugin(PluginCommand::Inspect(arguments)) => plugin::inspect(&arguments),
        Command::Plugin(PluginCommand::List(arguments)) => plugin::list(&arguments),
        Command::Plugin(PluginCommand::Reference(arguments)) => reference::run(&arguments),
        Command::InitScript(arguments) => init_script::run(&arguments),
    }
}
