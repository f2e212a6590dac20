//! The world of a case: a folder of its own, the plugins in it, the servers around it.

use std::path::{Path, PathBuf};

use kiln_testbed::databricks::{Fault as WorkspaceFault, Options, Workspace, world};
use kiln_testbed::pages::{Page, Target};
use kiln_testbed::sink::{Fault, Sink};
use kiln_testbed::spark::{Pages, Phase, Prometheus, Spark};
use tempfile::TempDir;

use crate::case::{Case, Component, SimulatedWorkspace, SparkPages, TargetPage};
use crate::plugin_file::with_manifest;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) sink: Option<Sink>,
    pub(crate) environment: Vec<(String, String)>,
    _workspace: Option<Workspace>,
    _spark: Option<Spark>,
    _target: Option<Target>,
}

impl World {
    pub(crate) fn build(case: &Case, folder: &Path) -> Result<Self, String> {
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        let plugins = home.path().join("plugins");
        std::fs::create_dir(&plugins).map_err(|error| error.to_string())?;
        let config = folder.join("kiln.yaml");
        if config.exists() {
            std::fs::copy(&config, home.path().join("kiln.yaml")).map_err(|error| error.to_string())?;
        }
        if let Some(page) = &case.config_from {
            std::fs::write(home.path().join("kiln.yaml"), yaml_in(page)?).map_err(|error| error.to_string())?;
        }
        for name in &case.plugins {
            std::fs::copy(packed(name)?, plugins.join(format!("{name}.wasm"))).map_err(|error| error.to_string())?;
        }
        for (path, text) in &case.files {
            let target = home.path().join(path);
            let folder = target.parent().map_or(Ok(()), std::fs::create_dir_all);
            folder.and_then(|()| std::fs::write(target, text)).map_err(|error| format!("{path}: {error}"))?;
        }
        for (name, component) in &case.components {
            std::fs::write(plugins.join(name), make(component)?).map_err(|error| format!("{name}: {error}"))?;
        }
        let start = |error: std::io::Error| format!("a server does not start: {error}");
        let workspace = match &case.databricks {
            None => None,
            Some(description) => {
                let workspace = start_workspace(description).map_err(start)?;
                if let Some(path) = &description.token_file {
                    let written = std::fs::write(home.path().join(path), workspace.token());
                    written.map_err(|error| format!("{path}: {error}"))?;
                }
                Some(workspace)
            }
        };
        let spark = match &case.spark {
            None => None,
            Some(spark) => Some(start_spark(spark).map_err(start)?),
        };
        let target = match &case.pages {
            None => None,
            Some(pages) => {
                let page =
                    |page: &TargetPage| Page { content_type: page.content_type.clone(), body: page.body.clone() };
                let pages = pages.iter().map(|(path, found)| (path.clone(), page(found))).collect();
                Some(Target::start(pages).map_err(start)?)
            }
        };
        let sink = match &case.sink {
            None => None,
            Some(faults) => {
                let sink = Sink::start().map_err(start)?;
                for status in &faults.first_statuses {
                    sink.faults().next(1, Fault::status(*status));
                }
                Some(sink)
            }
        };
        let mut environment: Vec<(String, String)> =
            case.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut set = |name: &str, value: String| environment.push((name.to_owned(), value));
        set("CASE_DIR", home.path().display().to_string());
        if let Some(workspace) = &workspace {
            set("DATABRICKS_URL", workspace.url());
            set("DATABRICKS_TOKEN", workspace.token().to_owned());
            set("DATABRICKS_CLIENT_ID", workspace.client().id.clone());
            set("DATABRICKS_CLIENT_SECRET", workspace.client().secret.clone());
        }
        if let Some(spark) = &spark {
            set("SPARK_URL", spark.url());
        }
        if let Some(target) = &target {
            set("TARGET", target.address().to_string());
        }
        if let Some(sink) = &sink {
            set("SINK_URL", sink.url());
        }
        Ok(Self { folder: home, sink, environment, _workspace: workspace, _spark: spark, _target: target })
    }
}

fn start_workspace(description: &SimulatedWorkspace) -> std::io::Result<Workspace> {
    let world = world::World::living(1, description.jobs);
    let workspace = Workspace::start_with(Options { world, ..Options::default() })?;
    for path in &description.forbidden {
        workspace.faults().at(path, WorkspaceFault::Forbidden);
    }
    if description.slow_ms > 0 {
        workspace.faults().at("/", WorkspaceFault::Slow { ms: description.slow_ms });
    }
    Ok(workspace)
}

fn start_spark(description: &SparkPages) -> std::io::Result<Spark> {
    let mut pages = Pages::captured(&description.version)?;
    if let Some(name) = &description.application_name {
        pages.rename_application(name);
    }
    if description.page_mib > 0 {
        pages.set("metrics_prometheus", vec![b'x'; description.page_mib << 20]);
    }
    let spark = Spark::start(pages)?;
    if description.starting {
        spark.set_phase(Phase::StartingUp);
    }
    if description.without_prometheus {
        spark.set_prometheus(Prometheus { driver: false, executors: false });
    }
    if let Some(count) = description.executors {
        spark.set_executors(count);
    }
    if let Some(version) = &description.restarted_as {
        spark.restart_after(2, Pages::captured(version)?);
    }
    for rule in &description.faults {
        spark.faults().add(rule.clone());
    }
    Ok(spark)
}

/// The first block of YAML on a page, with the plugins where a case has them.
fn yaml_in(page: &str) -> Result<String, String> {
    let path = crate::repository().join(page);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let block = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let block = block.ok_or_else(|| format!("{page} has no YAML"))?;
    Ok(block.replace("plugins_dir: target/plugins", "plugins_dir: plugins"))
}

/// A packed plugin or test guest.
fn packed(name: &str) -> Result<PathBuf, String> {
    for variable in ["KILN_PLUGINS", "KILN_TEST_PLUGINS"] {
        let directory = std::env::var(variable)
            .map_err(|_| format!("{variable} is not set: run `scripts/test cases`, which sets it"))?;
        let path = Path::new(&directory).join(format!("{name}.wasm"));
        if path.exists() {
            return Ok(path);
        }
    }
    Err(format!("there is no packed plugin {name}: run `scripts/build-plugins`"))
}

fn make(component: &Component) -> Result<Vec<u8>, String> {
    let bytes = match (&component.wat, &component.plugin) {
        (Some(wat), None) => wat::parse_str(wat).map_err(|error| error.to_string())?,
        (None, Some(plugin)) => std::fs::read(packed(plugin)?).map_err(|error| error.to_string())?,
        _ => return Err("a component is made of either wat or a plugin".to_owned()),
    };
    Ok(match &component.manifest {
        Some(manifest) => with_manifest(&bytes, manifest),
        None => bytes,
    })
}
