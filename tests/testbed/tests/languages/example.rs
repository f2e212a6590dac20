//! One example plugin, and a folder to run it in.

use std::fs;
use std::path::Path;

use kiln_testbed::shop::{Shop, TOKEN};
use kiln_testbed::sink::Sink;
use tempfile::TempDir;

use crate::process::Kiln;

pub(crate) struct Example {
    folder: TempDir,
    plugin: String,
    processor: Option<String>,
    shop: String,
    sink: String,
}

impl Example {
    pub(crate) fn new(language: &str, shop: &Shop, sink: &Sink) -> Self {
        let plugin = format!("orders-{language}");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        copy_plugin(&plugin, &folder.path().join("plugins"));
        Self { folder, plugin, processor: None, shop: shop.url(), sink: sink.url() }
    }

    /// Passes what the plugin emits through a processor that replaces the shop's address, and every status by one.
    pub(crate) fn with_processor(mut self, name: &str) -> Self {
        copy_plugin(name, &self.folder.path().join("plugins"));
        self.processor = Some(name.to_owned());
        self
    }

    /// Runs Kiln with these grants. What the one before has compiled and remembered is still there.
    pub(crate) fn start(&self, grants: &str) -> Kiln {
        let Self { plugin, processor, shop, sink, .. } = self;
        let (processors, passed) = match processor {
            Some(name) => (
                format!(
                    r#"processors: {{ {name}: {{ patterns: [ {{ pattern: "127[.]0[.]0[.]1", replacement: "<host>" }}, {{ pattern: "paid|void", replacement: any }} ] }} }}"#
                ),
                name.as_str(),
            ),
            None => (String::new(), ""),
        };
        let config = format!(
            r#"
plugins_dir: plugins
receivers:
  {plugin}:
    host: {shop}
    token: {TOKEN}
    page_size: 2
    collection_interval: 1s
    initial_delay: 0s
    {grants}
{processors}
exporters:
  otlp_http: {{ endpoint: "{sink}" }}
service:
  data_dir: data
  telemetry: {{ endpoint: 127.0.0.1:0 }}
  pipelines:
    metrics: {{ receivers: [{plugin}], processors: [{passed}], exporters: [otlp_http] }}
"#
        );
        fs::write(self.folder.path().join("kiln.yaml"), config).unwrap();
        Kiln::start(self.folder.path())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn copy_plugin(name: &str, to: &Path) {
    let directory = std::env::var("KILN_EXAMPLES").expect("KILN_EXAMPLES: run `scripts/test examples`");
    let file = Path::new(&directory).join(format!("{name}.wasm"));
    fs::copy(&file, to.join(format!("{name}.wasm")))
        .unwrap_or_else(|error| panic!("{}: {error}; run `scripts/build-examples`", file.display()));
}
