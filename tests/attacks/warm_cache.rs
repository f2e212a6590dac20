//! Compiled plugins for every arena, so that each starts in no time: what an attack meets is a Kiln at work.

use std::path::Path;
use std::sync::OnceLock;

use kiln_testbed::program::Program;
use tempfile::TempDir;

use crate::arena::{PATIENCE, kiln_in};
use crate::guest::packed;

/// Copies a data directory whose cache holds the plugins of the neighbour and the probe.
pub(crate) fn copy_to(target: &Path) -> Result<(), String> {
    static WARM: OnceLock<Result<TempDir, String>> = OnceLock::new();
    let warm = WARM.get_or_init(compile).as_ref().map_err(Clone::clone)?;
    copy(&warm.path().join("data"), target).map_err(|error| format!("{}: {error}", target.display()))
}

fn compile() -> Result<TempDir, String> {
    let text = |error: std::io::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(text)?;
    std::fs::create_dir(folder.path().join("plugins")).map_err(text)?;
    for name in ["steady", "probe", "misbehaving"] {
        std::fs::write(folder.path().join(format!("plugins/{name}.wasm")), packed(name)?).map_err(text)?;
    }
    let configuration = r#"
plugins_dir: plugins
receivers:
  steady: { initial_delay: 1h }
  misbehaving: { mode: ok, initial_delay: 1h }
  probe: { origin: "https://example.com", initial_delay: 1h }
exporters:
  debug: {}
service:
  data_dir: data
  pipelines:
    metrics: { receivers: [steady, misbehaving, probe], exporters: [debug] }
"#;
    std::fs::write(folder.path().join("kiln.yaml"), configuration).map_err(text)?;
    let mut kiln = Program::start(&mut kiln_in(folder.path(), &["run"])?).map_err(text)?;
    kiln.stderr().wait_for(PATIENCE, |log| log.contains(" running receivers=").then_some(()))?;
    kiln.signal("TERM").map_err(text)?;
    kiln.wait(PATIENCE)?;
    Ok(folder)
}

/// With its permissions, which the cache insists on.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
