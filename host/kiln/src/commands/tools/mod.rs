//! What is done to plugins, configurations and bundles before they run somewhere. A Kiln without a compiler has none of it.

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
mod verify;

use crate::cli::{InternalCommand, PluginCommand, Tool};
use crate::exit::Failure;

pub(crate) use self::compile::compiler;
pub(crate) use self::plugin::read as read_file;

pub(super) fn run(tool: Tool) -> Result<(), Failure> {
    match tool {
        Tool::Plugin(PluginCommand::New(arguments)) => author::new(&arguments),
        Tool::Plugin(PluginCommand::Build(arguments)) => author::build(&arguments),
        Tool::Plugin(PluginCommand::Bindings(arguments)) => author::bindings(&arguments),
        Tool::Plugin(PluginCommand::Dev(arguments)) => dev::run(&arguments),
        Tool::Plugin(PluginCommand::Check(arguments)) => check::run(&arguments),
        Tool::Plugin(PluginCommand::Pack(arguments)) => plugin::pack(&arguments),
        Tool::Plugin(PluginCommand::Inspect(arguments)) => inspect::run(&arguments),
        Tool::Plugin(PluginCommand::Lock(arguments)) => lock::run(&arguments),
        Tool::Plugin(PluginCommand::Verify(arguments)) => verify::run(&arguments),
        Tool::Plugin(PluginCommand::Diff(arguments)) => diff::run(&arguments),
        Tool::Plugin(PluginCommand::List(arguments)) => plugin::list(&arguments),
        Tool::Plugin(PluginCommand::Reference(arguments)) => reference::run(&arguments),
        Tool::Bundle(arguments) => bundle::run(&arguments),
        Tool::InitScript(arguments) => init_script::run(&arguments),
        Tool::Internal(InternalCommand::Metrics) => metrics::run(),
        Tool::Internal(InternalCommand::Compile(arguments)) => compile::run(&arguments),
    }
}
