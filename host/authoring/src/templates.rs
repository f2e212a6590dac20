//! The files of a new project, as they are before names are filled in.
//!
//! Each is an ordinary file under `templates/`, where an editor knows its language. What the examples in a language have
//! and every project in it needs is theirs.

use kiln_policy::PluginKind;

use crate::language::Language;

/// A file of a project.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template {
    /// Where it goes.
    pub(crate) path: &'static str,
    /// What it holds, with `{{placeholders}}`.
    pub(crate) text: &'static str,
}

impl Template {
    /// Scripts are there to be run.
    pub(crate) fn is_executable(&self) -> bool {
        self.path.ends_with(".sh")
    }
}

macro_rules! template {
    ($path:literal, $source:literal) => {
        Template { path: $path, text: include_str!(concat!("../templates/", $source)) }
    };
}

macro_rules! example {
    ($path:literal, $source:literal) => {
        Template { path: $path, text: include_str!(concat!("../../../plugins/examples/", $source)) }
    };
}

const RECEIVER: &[Template] = &[
    template!("plugin.toml", "common/receiver/plugin.toml"),
    template!("README.md", "common/receiver/README.md"),
    template!("tests/answers.json", "common/receiver/tests/answers.json"),
];

const PROCESSOR: &[Template] =
    &[template!("plugin.toml", "common/processor/plugin.toml"), template!("README.md", "common/processor/README.md")];

const RUST: &[Template] = &[
    template!(".gitignore", "rust/common/gitignore"),
    template!("build.sh", "rust/common/build.sh"),
    template!("test.sh", "rust/common/test.sh"),
];

const RUST_RECEIVER: &[Template] = &[
    template!("Cargo.toml", "rust/receiver/Cargo.toml"),
    template!("src/lib.rs", "rust/receiver/src/lib.rs"),
    template!("tests/promises.rs", "rust/receiver/tests/promises.rs"),
];

const RUST_PROCESSOR: &[Template] = &[
    template!("Cargo.toml", "rust/processor/Cargo.toml"),
    template!("src/lib.rs", "rust/processor/src/lib.rs"),
    template!("tests/promises.rs", "rust/processor/tests/promises.rs"),
];

const C: &[Template] = &[
    template!(".gitignore", "c/common/gitignore"),
    example!("build.sh", "c/orders/build.sh"),
    example!("test.sh", "c/orders/test.sh"),
    example!("tools.sh", "c/orders/tools.sh"),
];

const C_RECEIVER: &[Template] = &[
    example!("src/json.h", "c/orders/src/json.h"),
    example!("src/json.c", "c/orders/src/json.c"),
    template!("src/plugin.c", "c/receiver/src/plugin.c"),
    template!("tests/promises.c", "c/receiver/tests/promises.c"),
];

const C_PROCESSOR: &[Template] = &[
    example!("src/json.h", "c/orders/src/json.h"),
    example!("src/json.c", "c/orders/src/json.c"),
    template!("src/plugin.c", "c/processor/src/plugin.c"),
    template!("tests/promises.c", "c/processor/tests/promises.c"),
];

const PYTHON: &[Template] = &[
    template!(".gitignore", "python/common/gitignore"),
    example!("build.sh", "python/orders/build.sh"),
    example!("test.sh", "python/orders/test.sh"),
    example!("tools.sh", "python/orders/tools.sh"),
];

const PYTHON_RECEIVER: &[Template] = &[
    template!("app.py", "python/receiver/app.py"),
    template!("tests/test_app.py", "python/receiver/tests/test_app.py"),
];

const PYTHON_PROCESSOR: &[Template] = &[
    template!("app.py", "python/processor/app.py"),
    template!("tests/test_app.py", "python/processor/tests/test_app.py"),
];

const JAVASCRIPT: &[Template] = &[
    template!(".gitignore", "javascript/common/gitignore"),
    template!("package.json", "javascript/common/package.json"),
    example!("build.sh", "javascript/orders/build.sh"),
    example!("test.sh", "javascript/orders/test.sh"),
    example!("tools.sh", "javascript/orders/tools.sh"),
];

const JAVASCRIPT_RECEIVER: &[Template] = &[
    template!("plugin.js", "javascript/receiver/plugin.js"),
    template!("queues.js", "javascript/receiver/queues.js"),
    example!("utf8.js", "javascript/orders/utf8.js"),
    template!("tests/queues.test.js", "javascript/receiver/tests/queues.test.js"),
];

const JAVASCRIPT_PROCESSOR: &[Template] = &[
    template!("plugin.js", "javascript/processor/plugin.js"),
    template!("mask.js", "javascript/processor/mask.js"),
    template!("tests/mask.test.js", "javascript/processor/tests/mask.test.js"),
];

const GO: &[Template] = &[
    template!(".gitignore", "go/common/gitignore"),
    template!("go.mod", "go/common/go.mod"),
    template!("plugin.go", "go/common/plugin.go"),
    example!("build.sh", "go/orders/build.sh"),
    template!("test.sh", "go/common/test.sh"),
];

const GO_RECEIVER: &[Template] = &[
    template!("export_wit_world/plugin.go", "go/receiver/export_wit_world/plugin.go"),
    template!("queues/queues.go", "go/receiver/queues/queues.go"),
    template!("queues/queues_test.go", "go/receiver/queues/queues_test.go"),
];

const GO_PROCESSOR: &[Template] = &[
    template!("export_wit_world/plugin.go", "go/processor/export_wit_world/plugin.go"),
    template!("mask/mask.go", "go/processor/mask/mask.go"),
    template!("mask/mask_test.go", "go/processor/mask/mask_test.go"),
];

/// The files of a project, those that are alike in all of them first.
pub(crate) fn templates(language: Language, kind: PluginKind) -> impl Iterator<Item = &'static Template> {
    let (shared, own) = match (language, kind) {
        (Language::Rust, PluginKind::Receiver) => (RUST, RUST_RECEIVER),
        (Language::Rust, PluginKind::Processor) => (RUST, RUST_PROCESSOR),
        (Language::Python, PluginKind::Receiver) => (PYTHON, PYTHON_RECEIVER),
        (Language::Python, PluginKind::Processor) => (PYTHON, PYTHON_PROCESSOR),
        (Language::JavaScript, PluginKind::Receiver) => (JAVASCRIPT, JAVASCRIPT_RECEIVER),
        (Language::JavaScript, PluginKind::Processor) => (JAVASCRIPT, JAVASCRIPT_PROCESSOR),
        (Language::C, PluginKind::Receiver) => (C, C_RECEIVER),
        (Language::C, PluginKind::Processor) => (C, C_PROCESSOR),
        (Language::Go, PluginKind::Receiver) => (GO, GO_RECEIVER),
        (Language::Go, PluginKind::Processor) => (GO, GO_PROCESSOR),
    };
    let common = match kind {
        PluginKind::Receiver => RECEIVER,
        PluginKind::Processor => PROCESSOR,
    };
    common.iter().chain(shared).chain(own)
}
