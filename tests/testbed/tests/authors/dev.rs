//! `kiln plugin dev`: what it shows, how it ends, and that it starts afresh when a file has changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use kiln_testbed::shop::{Order, Shop, TOKEN};
use tempfile::TempDir;

use crate::command::{Watched, kiln, kiln_with_caches, plugin};

const ORDERS: [Order; 3] = [
    Order { status: "paid", seconds: 0.25 },
    Order { status: "paid", seconds: 20.0 },
    Order { status: "void", seconds: 0.75 },
];

fn shop() -> Shop {
    let shop = Shop::start().unwrap();
    shop.trade(&ORDERS, 7);
    shop
}

fn settings(shop: &Shop) -> String {
    let url = shop.url();
    format!(
        "{{ host: \"{url}\", token: {TOKEN}, page_size: 2, collection_interval: 100ms,\n grants: {{ http: [ {{ origin: \
         \"{url}\", addresses: [loopback] }} ] }} }}"
    )
}

/// Scenario: a receiver is tried once against a shop with two pages, for people and for machines.
/// Guarantees: shown are every value with kind, unit and attributes, the requests with status, what it cost; not the token.
#[test]
fn a_receiver_shows_what_it_emits_asks_and_costs() {
    let (folder, shop) = (TempDir::new().unwrap(), shop());
    let (file, settings) = (plugin("orders-rust"), settings(&shop));
    let arguments = ["dev", file.to_str().unwrap(), "--with", &settings, "--once"];
    let ended = kiln(folder.path(), &arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for wanted in [
        "orders-rust 0.1.0, a receiver of ",
        "orders-rust: ok, configure ",
        ", memory ",
        "GET      200 ",
        &format!("{}/api/orders?limit=2&after=2", shop.url()),
        "shop.orders.count    monotonic sum  {order}  status=\"paid\"  2",
        "shop.orders.open     gauge          {order}                 7",
        "count=3 sum=21 min=0.25 max=20 [≤0.5: 1, ≤1: 1, >: 1]",
    ] {
        assert!(ended.stdout.contains(wanted), "{wanted}\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains(TOKEN) && !ended.stderr.contains(TOKEN), "{ended:?}");

    let ended = kiln(folder.path(), &[&arguments[..], &["--json"]].concat());
    let objects = ended.objects();
    assert_eq!(objects[0]["plugin"], "orders-rust");
    let report = &objects[1];
    assert_eq!((report["ok"].as_bool(), report["request_count"].as_u64()), (Some(true), Some(2)), "{ended:?}");
    assert_eq!(report["requests"][0]["status"], 200);
    assert!(report["calls"][1]["memory_bytes"].as_u64() > Some(100_000), "{report}");
    let metrics = &report["emitted"]["metrics"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    assert!(metrics.as_array().unwrap().iter().any(|metric| metric["name"] == "shop.orders.open"), "{metrics}");
}

/// Scenario: a receiver is tried, then tried and checked where no compiler may have the memory to compile it, then tried there
/// once more after its code in the cache was changed.
/// Guarantees: it is compiled the first time and not again; what is kept is for this user alone; code that was changed is
/// not run, and said to be compiled again.
#[test]
fn what_was_compiled_is_used_by_the_next_start() {
    let (folder, shop) = (TempDir::new().unwrap(), shop());
    let (file, caches) = (plugin("orders-rust"), folder.path().join("caches"));
    let config = format!(
        "receivers: {{ orders-rust: {} }}\nexporters: {{ debug: {{}} }}\nservice: {{ limits: {{ compile_memory: 64MiB }}, pipelines: \
         {{ metrics: {{ receivers: [orders-rust], exporters: [debug] }} }} }}\n",
        settings(&shop)
    );
    fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    let run = |command, more: &[&str]| {
        let arguments = [command, file.to_str().unwrap(), "--config", "kiln.yaml"];
        kiln_with_caches(&caches, folder.path(), &[&arguments[..], more].concat())
    };
    let out_of_memory = run("dev", &["--once"]);
    assert_eq!(out_of_memory.code, Some(64), "{out_of_memory:?}");
    assert!(out_of_memory.stderr.contains("compile_memory"), "{out_of_memory:?}");

    let settings = settings(&shop);
    let arguments = ["dev", file.to_str().unwrap(), "--with", &settings, "--once"];
    let compiled = kiln_with_caches(&caches, folder.path(), &arguments);
    assert_eq!(compiled.code, Some(0), "{compiled:?}");
    let directory = caches.join("kiln/compiled");
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);

    let tried = run("dev", &["--once"]);
    assert_eq!(tried.code, Some(0), "{tried:?}");
    let checked = run("check", &["--collections", "1"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");

    let is_code = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "cwasm");
    let code = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).find(is_code).unwrap();
    let mut bytes = fs::read(&code).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&code, bytes).unwrap();
    let changed = run("dev", &["--once"]);
    assert_eq!(changed.code, Some(64), "{changed:?}");
    assert!(changed.stderr.contains("not genuine") && changed.stderr.contains("compile_memory"), "{changed:?}");
}

/// Scenario: the same without the grant that this machine's addresses need; with a source that is not there; with a value of
/// the wrong type, on the second line.
/// Guarantees: the first is refused with the line to add; the second fails with exit code 1; the third names the line.
#[test]
fn what_is_missing_is_said_with_the_line_to_add() {
    let (folder, shop) = (TempDir::new().unwrap(), shop());
    let file = plugin("orders-rust");
    let once = |settings: &str| kiln(folder.path(), &["dev", file.to_str().unwrap(), "--with", settings, "--once"]);
    let ended = once(&format!("host: \"{}\"", shop.url()));
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("addresses: [loopback]") && ended.stderr.contains("--with:1:"), "{ended:?}");
    assert_eq!(shop.requests(), Vec::<String>::new());

    let ended = once(&settings(&shop).replace(TOKEN, "wrong"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("orders-rust: failed") && ended.stdout.contains("unauthorized: "), "{ended:?}");

    let ended = once("{ host: \"https://h.example\",\n page_size: many }");
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("--with:2:"), "{ended:?}");
}

/// Scenario: a plugin asks an origin it is not granted, then one that emits what it does not declare, then one that traps.
/// Guarantees: each is shown for what it is, and none passes for good.
#[test]
fn a_plugin_that_misbehaves_is_shown_at_it() {
    let folder = TempDir::new().unwrap();
    let file = plugin("misbehaving");
    for (mode, wanted) in [
        ("forbidden_origin", "http: https://forbidden.example is not granted"),
        ("undeclared_metric", "metric `kiln.test.undeclared` is not declared in the plugin's manifest"),
        ("trap", "trap: trapped: "),
        ("loop", "limit_cpu: used more than "),
    ] {
        let settings = format!("{{ mode: {mode}, endpoint: \"https://granted.example\", limits: {{ cpu: 200ms }} }}");
        let ended = kiln(folder.path(), &["dev", file.to_str().unwrap(), "--with", &settings, "--once"]);
        assert_eq!(ended.code, Some(1), "{mode}: {ended:?}");
        assert!(ended.stdout.contains(wanted), "{mode}: {ended:?}");
    }
}

/// Scenario: a configuration with two instances of the plugin, one of which is chosen.
/// Guarantees: without a choice both are named; with one, its settings count.
#[test]
fn one_of_several_instances_has_to_be_chosen() {
    let folder = TempDir::new().unwrap();
    let config = "
receivers:
  misbehaving/good: { mode: ok, endpoint: https://granted.example }
  misbehaving/bad: { mode: bad_config, endpoint: https://granted.example }
exporters: { debug: {} }
service: { pipelines: { metrics: { receivers: [misbehaving/good, misbehaving/bad], exporters: [debug] } } }
";
    fs::write(folder.path().join("kiln.yaml"), config).unwrap();
    let file = plugin("misbehaving");
    let once = |more: &[&str]| {
        let arguments = ["dev", file.to_str().unwrap(), "--config", "kiln.yaml", "--once"];
        kiln(folder.path(), &[&arguments[..], more].concat())
    };
    let ended = once(&[]);
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("misbehaving/good, misbehaving/bad"), "{ended:?}");
    assert_eq!(once(&["--instance", "misbehaving/good"]).code, Some(0));
    let ended = once(&["--instance", "misbehaving/bad"]);
    assert!(ended.code == Some(64) && ended.stderr.contains("refuses its configuration at /mode"), "{ended:?}");
}

/// Scenario: a plugin is watched; its file is replaced by another, then by nonsense, then by the first; then the
/// configuration changes.
/// Guarantees: each is picked up; what is wrong is said and mended by the next change; SIGTERM ends it with code 0.
#[test]
fn a_change_of_a_file_starts_it_afresh() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("plugin.wasm");
    let config = folder.path().join("kiln.yaml");
    let configure = |value: &str| {
        let text = format!(
            "receivers: {{ misbehaving: {{ mode: {value}, endpoint: https://granted.example, collection_interval: 100ms }}, steady: {{ collection_interval: 100ms }} }}\n\
             exporters: {{ debug: {{}} }}\n\
             service: {{ pipelines: {{ metrics: {{ receivers: [misbehaving, steady], exporters: [debug] }} }} }}\n"
        );
        fs::write(&config, text).unwrap();
    };
    configure("ok");
    fs::copy(plugin("misbehaving"), &file).unwrap();
    let mut dev = Watched::start(folder.path(), &["dev", "plugin.wasm", "--config", "kiln.yaml"]);
    dev.wait_for("misbehaving: ok");
    dev.wait_for("kiln.test.value");
    fs::copy(plugin("steady"), &file).unwrap();
    dev.wait_for("steady: ok");
    fs::write(&file, "nonsense").unwrap();
    dev.wait_for("is not WebAssembly");
    fs::copy(plugin("misbehaving"), &file).unwrap();
    dev.wait_for("misbehaving: ok");
    configure("bad_config");
    dev.wait_for("refuses its configuration at /mode");
    configure("trap");
    dev.wait_for("misbehaving: failed");
    assert_eq!(dev.stop(), Some(0));
}

/// What the exporter `file` writes: a request on each line.
const TELEMETRY: &str = concat!(
    r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"node-17"}}]},"#,
    r#""scopeMetrics":[{"metrics":[{"name":"m","unit":"1","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#,
    "\n",
    r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"other","value":{"stringValue":"x"}}]},"#,
    r#""scopeLogs":[{"logRecords":[{"severityNumber":9,"body":{"stringValue":"hello"}}]}]}]}"#,
    "\n"
);

/// Scenario: a processor is given what the exporter `file` has written; and nothing; and what is no OTLP.
/// Guarantees: what it changes is shown before and after, what it leaves alone is counted; the others are errors that say what
/// to do.
#[test]
fn a_processor_shows_what_it_changes() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("in.jsonl"), TELEMETRY).unwrap();
    fs::write(folder.path().join("broken.jsonl"), format!("{TELEMETRY}{{\"resourceLogs\": 1}}")).unwrap();
    let file = plugin("resource");
    let settings = "attributes: [ { key: host.name, value: node, action: update } ]";
    let once = |more: &[&str]| {
        let arguments = ["dev", file.to_str().unwrap(), "--with", settings, "--once"];
        kiln(folder.path(), &[&arguments[..], more].concat())
    };
    let ended = once(&["--input", "in.jsonl"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for wanted in [
        "data points: 0 the same, 1 gone, 1 new",
        "from host.name=\"node-17\"",
        "  -  m       gauge  1",
        "from host.name=\"node\"",
        "  +  m       gauge  1",
        "log records: 1 the same, 0 gone, 0 new",
    ] {
        assert!(ended.stdout.contains(wanted), "{wanted}\n{}", ended.stdout);
    }
    let objects = once(&["--input", "in.jsonl", "--json"]).objects();
    assert_eq!(objects.len(), 3);
    let value = |side: &str| {
        objects[1][side]["metrics"]["resourceMetrics"][0]["resource"]["attributes"][0]["value"]["stringValue"].clone()
    };
    assert_eq!((value("given"), value("left")), ("node-17".into(), "node".into()));
    let ended = once(&[]);
    assert!(ended.code == Some(64) && ended.stderr.contains("--input FILE"), "{ended:?}");
    let ended = once(&["--input", "broken.jsonl"]);
    assert!(ended.code == Some(64) && ended.stderr.contains("broken.jsonl: request 3 is no OTLP JSON"), "{ended:?}");
}
