//! `kiln init-script`.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use kiln_cluster::{Bundle, InitScript, Nodes, Options, Source, Verdict, spark_settings, uninstall_script};
use kiln_policy::Visible;

use crate::cli;
use crate::exit::{Failure, print};

/// Bytes of a script to check at most; the largest that is rendered has less than a tenth.
const MAX_SCRIPT: u64 = 1024 * 1024;

pub(super) fn run(arguments: &cli::InitScript) -> Result<(), Failure> {
    let script = if arguments.uninstall { Some(uninstall_script()) } else { rendered(arguments)? };
    if let Some(deployed) = &arguments.check {
        return check(deployed, script.as_deref());
    }
    let Some(script) = script else { return Err(Failure::Usage("give --bundle and --source".to_owned())) };
    match &arguments.output {
        None => print(&script)?,
        Some(path) => fs::write(path, script)
            .map_err(|error| Failure::runtime(format!("{} cannot be written: {error}", path.display())))?,
    }
    if arguments.uninstall || arguments.write_spark_settings {
        return Ok(());
    }
    let policy = spark_settings::policy_json();
    if arguments.output.is_some() {
        return print(&policy);
    }
    // Beside the script, which has standard output for itself. Nobody misses it if nobody reads it.
    let _ = write!(std::io::stderr(), "What Spark has to be told, as a part of the cluster policy:\n{policy}");
    Ok(())
}

/// What the arguments ask for; `None` if they name neither a bundle nor a source.
fn rendered(arguments: &cli::InitScript) -> Result<Option<String>, Failure> {
    let (Some(source), Some(bundle)) = (&arguments.source, &arguments.bundle) else {
        return if arguments.source.is_none() && arguments.bundle.is_none() {
            Ok(None)
        } else {
            Err(Failure::Usage("--bundle and --source belong together: give both or neither".to_owned()))
        };
    };
    let source: Source = source.parse().map_err(|error| Failure::Usage(format!("--source: {error}")))?;
    let bundle = Bundle::read(bundle).map_err(|error| Failure::Usage(format!("--bundle: {error}")))?;
    let options = Options {
        nodes: if arguments.all_nodes { Nodes::All } else { Nodes::Driver },
        memory_limit: arguments.memory_limit,
        cpu_limit: arguments.cpu_limit,
        writes_spark_settings: arguments.write_spark_settings,
    };
    let script = InitScript::new(source, bundle, options).map_err(Failure::usage)?;
    Ok(Some(script.render()))
}

fn check(path: &Path, current: Option<&str>) -> Result<(), Failure> {
    let unreadable = |why: String| Failure::Usage(format!("{} cannot be read: {why}", path.display()));
    let length = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_SCRIPT {
        return Err(unreadable(format!("it has {length} bytes, and no script of Kiln's is that long")));
    }
    let deployed = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let verdict = Verdict::of(&String::from_utf8_lossy(&deployed), current);
    // It quotes a file that may be anybody's.
    print(&format!("{}\n", Visible(&format!("{}: {verdict}", path.display()))))?;
    if verdict.is_good() { Ok(()) } else { Err(Failure::Negative) }
}
