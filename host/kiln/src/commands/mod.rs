//! One module per subcommand.

mod author;
mod bundle;
mod check;
mod compile;
mod dev;
mod diff;
mod init_script;
mod inspect;
mod lock;
mod metrics;
mod plugin;
mod reference;
mod run;
mod validate;
mod verify;

use crate::cli::{Command, InternalCommand, PluginCommand};
use crate::exit::Failure;

pub(crate) use self::compile::compiler;
pub(crate) use self::plugin::read as read_file;
pub(crate) use self::validate::environment;

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Plugin(PluginCommand::New(arguments)) => author::new(&arguments),
        Command::Plugin(PluginCommand::Build(arguments)) => author::build(&arguments),
        Command::Plugin(PluginCommand::Bindings(arguments)) => author::bindings(&arguments),
        Command::Plugin(PluginCommand::Dev(arguments)) => dev::run(&arguments),
        Command::Plugin(PluginCommand::Check(arguments)) => check::run(&arguments),
        Command::Plugin(PluginCommand::Pack(arguments)) => plugin::pack(&arguments),
        Command::Plugin(PluginCommand::Inspect(arguments)) => inspect::run(&arguments),
        Command::Plugin(PluginCommand::Lock(arguments)) => lock::run(&arguments),
        Command::Plugin(PluginCommand::Verify(arguments)) => verify::run(&arguments),
        Command::Plugin(PluginCommand::Diff(arguments)) => diff::run(&arguments),
        Command::Plugin(PluginCommand::List(arguments)) => plugin::list(&arguments),
        Command::Plugin(PluginCommand::Reference(arguments)) => reference::run(&arguments),
        Command::Bundle(arguments) => bundle::run(&arguments),
        Command::InitScript(arguments) => init_script::run(&arguments),
        Command::Internal(InternalCommand::Metrics) => metrics::run(),
        Command::Internal(InternalCommand::Compile(arguments)) => compile::run(&arguments),
    }
}
