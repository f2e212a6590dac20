//! What the lookup processor promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use core::time::Duration;
use std::fs;
use std::path::Path;

use kiln_plugin::Level;
use kiln_plugin::processor::{Edit, MetricKind, ResourceView, SetAttribute, Signal, View};
use kiln_plugin::telemetry::{Attribute, AttributeValue};
use kiln_plugin::testing::{Instance, TestBatch, TestHost};
use kiln_plugin_lookup::{Lookup, telemetry};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A host, and the directory it finds under `/lookup`.
fn world() -> (TestHost, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let host = TestHost::new(telemetry::MANIFEST);
    host.on_directory("/lookup", directory.path());
    (host, directory)
}

fn write(directory: &TempDir, name: &str, content: impl AsRef<[u8]>) {
    fs::write(directory.path().join(name), content).unwrap();
}

fn teams(host: &TestHost, name: &str) -> Instance<Lookup> {
    let config =
        json!({ "path": format!("/lookup/{name}"), "from_attribute": "databricks.job.id", "column": "job_id" });
    host.configure_processor(config).unwrap_or_else(|error| panic!("{error:?}"))
}

/// What a table is refused with.
fn refusal(name: &str, content: impl AsRef<[u8]>, more: Value) -> String {
    let (host, directory) = world();
    write(&directory, name, content);
    let mut config = json!({ "path": format!("/lookup/{name}"), "from_attribute": "id" });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let error = host.configure_processor::<Lookup>(config).map(|_| ()).unwrap_err();
    format!("{}: {}", error.field, error.message)
}

fn resource(attributes: &[Attribute]) -> View {
    View {
        signal: Signal::Metrics,
        resources: vec![ResourceView { attributes: attributes.to_vec() }],
        metrics: Vec::new(),
        points: Vec::new(),
        strings: Vec::new(),
    }
}

fn job(id: &str) -> View {
    resource(&[Attribute::new("databricks.job.id", id)])
}

/// Scenario: the attribute is one of the resource, and one of the points.
/// Guarantees: the row's values are set where the attribute is, and nothing where there is no row or no attribute.
#[test]
fn attributes_are_set_where_the_looked_up_one_is() {
    let (host, directory) = world();
    write(&directory, "teams.csv", "job_id,team,cost_center\n1,orders,\"CC 1, north\"\n2,search,\n");
    let mut lookup = teams(&host, "teams.csv");
    let batch = TestBatch::new()
        .resource(&[("service.name", "workspace")])
        .metric("runs", MetricKind::Sum, &[&[("databricks.job.id", "1")], &[("databricks.job.id", "3")], &[]])
        .resource(&[("databricks.job.id", "2")])
        .metric("tasks", MetricKind::Sum, &[&[("task", "a")]])
        .build();
    let after = lookup.process_batch(&batch).unwrap();
    assert_eq!(
        after.series(),
        [
            r#"runs{cost_center="CC 1, north",databricks.job.id="1",team="orders"}"#,
            r#"runs{databricks.job.id="3"}"#,
            "runs{}",
            r#"tasks{task="a"}"#
        ]
    );
    assert_eq!(
        after.resources(),
        [r#"{service.name="workspace"}"#, r#"{databricks.job.id="2",team="search"}"#],
        "an empty field sets nothing"
    );
}

#[test]
fn a_json_table_is_a_list_or_an_object_and_keeps_types() {
    let (host, directory) = world();
    write(&directory, "list.json", r#"[{"job_id": 1, "tier": 2, "paid": true, "share": 0.5, "team": null}]"#);
    write(&directory, "object.json", r#"{"1": {"tier": 2, "paid": true, "share": 0.5}}"#);
    for name in ["list.json", "object.json"] {
        let mut edits = teams(&host, name).process(&job("1")).unwrap();
        edits.sort_by_key(|edit| format!("{edit:?}"));
        let expected = [
            Edit::set_resource_attribute(0, "paid", true),
            Edit::set_resource_attribute(0, "share", 0.5),
            Edit::set_resource_attribute(0, "tier", 2),
        ];
        assert_eq!(edits, expected, "{name}");
    }
}

#[test]
fn whole_numbers_and_booleans_are_looked_up_as_they_are_written() {
    let (host, directory) = world();
    write(&directory, "t.csv", "job_id,team\n7,orders\ntrue,flags\n");
    let mut lookup = teams(&host, "t.csv");
    let mut team = |value: Attribute| lookup.process(&resource(&[value])).unwrap();
    let set = |team| [Edit::set_resource_attribute(0, "team", team)];
    assert_eq!(team(Attribute::new("databricks.job.id", 7)), set("orders"));
    assert_eq!(team(Attribute::new("databricks.job.id", true)), set("flags"));
    assert_eq!(team(Attribute::new("databricks.job.id", 7.0)), []);
}

/// Scenario: attributes with every action and a default, where they are there and where they are not.
/// Guarantees: each is set when its action says, to the default where the table says nothing, and not where it is right.
#[test]
fn actions_and_defaults() {
    let (host, directory) = world();
    write(&directory, "t.csv", "id,team,floor\n1,orders,\n");
    let mut lookup = host
        .configure_processor::<Lookup>(json!({
            "path": "/lookup/t.csv", "from_attribute": "id",
            "attributes": [
                { "key": "inserted", "column": "team", "action": "insert" },
                { "key": "updated", "column": "team", "action": "update" },
                { "key": "team" },
                { "key": "floor", "default": 0 },
            ],
        }))
        .unwrap();
    let set = |index, key: &str, value: &str| Edit::set_resource_attribute(index, key, value);
    let floor = || Edit::set_resource_attribute(0, "floor", 0);
    let absent = resource(&[Attribute::new("id", "1")]);
    let edits = [set(0, "inserted", "orders"), set(0, "team", "orders"), floor()];
    assert_eq!(lookup.process(&absent).unwrap(), edits);
    let present = ["inserted", "updated", "team"].map(|key| Attribute::new(key, "other"));
    let present = [present.as_slice(), &[Attribute::new("id", "1"), Attribute::new("floor", 0)]].concat();
    assert_eq!(lookup.process(&resource(&present)).unwrap(), [set(0, "updated", "orders"), set(0, "team", "orders")]);
    let unknown = resource(&[Attribute::new("id", "2")]);
    assert_eq!(lookup.process(&unknown).unwrap(), [floor()]);
    assert_eq!(lookup.process(&resource(&[])).unwrap(), []);
}

/// Scenario: the file changes, breaks, is broken still, is another broken one, is gone, and is right again.
/// Guarantees: it is read when its time has come; while it is broken the last good table stays and each fault is told once.
#[test]
fn a_broken_file_leaves_the_last_good_table_in_place() {
    let (host, directory) = world();
    let path = directory.path().join("t.csv");
    write(&directory, "t.csv", "job_id,team\n1,orders\n");
    let mut lookup = teams(&host, "t.csv");
    let mut team = || match lookup.process(&job("1")).unwrap().as_slice() {
        [Edit::SetResourceAttribute(SetAttribute { value: AttributeValue::Text(team), .. })] => team.clone(),
        edits => panic!("{edits:?}"),
    };
    let told = || host.take_log().into_iter().map(|line| (line.level, line.message)).collect::<Vec<_>>();
    write(&directory, "t.csv", "job_id,team\n1,search\n");
    host.advance(Duration::from_secs(9));
    assert_eq!(team(), "orders", "not yet");
    host.advance(Duration::from_secs(1));
    assert_eq!(team(), "search");
    assert_eq!(told(), [(Level::Info, "has read the table again".to_owned())]);

    for (content, fault) in [
        ("job_id,team\n1\n", "line 2: the number of fields is 1"),
        ("job_id,team\n1,\"x\n", "line 2: a quote opens here"),
    ] {
        write(&directory, "t.csv", content);
        for round in 0..3 {
            host.advance(Duration::from_secs(10));
            assert_eq!(team(), "search");
            let told = told();
            assert_eq!(told.len(), usize::from(round == 0), "{told:?}");
            if let [(level, message)] = told.as_slice() {
                assert!(message.starts_with(&format!("/lookup/t.csv {fault}")), "{message}");
                assert!(message.ends_with("goes on with the table as it was"), "{message}");
                assert_eq!(*level, Level::Error);
            }
        }
    }
    fs::remove_file(&path).unwrap();
    host.advance(Duration::from_secs(10));
    assert_eq!(team(), "search");
    assert_eq!(told()[0].1, "/lookup/t.csv is not there; goes on with the table as it was");
    write(&directory, "t.csv", "job_id,team\n1,orders\n");
    host.advance(Duration::from_secs(10));
    assert_eq!(team(), "orders");
    assert_eq!(told(), [(Level::Info, "has read the table again".to_owned())]);
    host.advance(Duration::from_secs(10));
    assert_eq!(team(), "orders");
    assert_eq!(told(), []);
}

/// Scenario: a good file goes away for a moment and comes back as it was.
/// Guarantees: that it is back is told, and it does not count as broken.
#[test]
fn a_file_that_comes_back_is_right_again() {
    let (host, directory) = world();
    write(&directory, "t.csv", "job_id,team\n1,orders\n");
    let mut lookup = teams(&host, "t.csv");
    for (is_there, told) in [(false, 1), (true, 1), (true, 0)] {
        match is_there {
            true => write(&directory, "t.csv", "job_id,team\n1,orders\n"),
            false => fs::remove_file(directory.path().join("t.csv")).unwrap(),
        }
        host.advance(Duration::from_secs(10));
        lookup.process(&job("1")).unwrap();
        assert_eq!(host.take_log().len(), told, "{is_there}");
    }
}

#[test]
fn a_table_that_is_broken_from_the_start_is_refused_with_its_line() {
    let csv = |content: &str| refusal("t.csv", content, json!({}));
    assert_eq!(csv(""), "/path: /lookup/t.csv has no first line with the names of the columns");
    assert_eq!(csv("a,b\n"), "/path: /lookup/t.csv line 1: there is no column `id`, only `a`, `b`");
    assert_eq!(csv("id,b,b\n"), "/path: /lookup/t.csv line 1: two columns are called `b`");
    assert_eq!(csv("id,\n"), "/path: /lookup/t.csv line 1: a column has no name");
    assert_eq!(csv("id,b\n1,x\n\n1,y\n"), "/path: /lookup/t.csv line 4: `1` has a row already");
    let keyless = "/path: /lookup/t.csv line 2: `id` is empty, so that nothing can lead to this row";
    assert_eq!(csv("id,b\n,y\n"), keyless);
    let not_utf8 = refusal("t.csv", b"id,b\n1,\xff\n", json!({}));
    assert_eq!(not_utf8, "/path: /lookup/t.csv line 2: is not UTF-8: save the file as UTF-8");
    let unknown = refusal("t.csv", "id,b\n1,x\n", json!({ "attributes": [{ "key": "team" }] }));
    assert_eq!(unknown, "/path: /lookup/t.csv line 1: there is no column `team`, only `id`, `b`");

    let json = |content: &str| refusal("t.json", content, json!({}));
    assert_eq!(json("[\n{\"id\": 1,}\n]"), "/path: /lookup/t.json line 2: trailing comma");
    assert_eq!(
        json("[\n{\"team\": 1}\n]"),
        "/path: /lookup/t.json line 2: this object has no `id`, the field with its key"
    );
    let list = json("{\n\"1\": {\n\"team\": []}}");
    assert_eq!(
        list,
        "/path: /lookup/t.json line 3: invalid type: sequence, expected a text, a number, a boolean or null for `team`"
    );
    assert!(json("[{\"id\": 1.5}]").ends_with("`id` is a number with a fraction, which no key can be"));
    assert!(json("[{\"id\": 1}, {\"id\": \"1\"}]").ends_with("line 1: `1` has a row already"));
    assert!(json("3").ends_with("expected a list of objects or an object of objects"));
    assert!(json("[] x").ends_with("line 1: trailing characters"));
    let unknown = refusal("t.json", r#"{"1": {"b": "x"}}"#, json!({ "attributes": [{ "key": "team" }] }));
    assert!(unknown.ends_with("no row has a `team`, which an attribute is to be set to"), "{unknown}");
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_what_to_do() {
    let (host, _directory) = world();
    let config = json!({ "path": "/lookup/t.csv", "from_attribute": "id" });
    let error = host.configure_processor::<Lookup>(config).map(|_| ()).unwrap_err();
    assert_eq!((error.field.as_str(), error.message.as_str()), ("/path", "/lookup/t.csv is not there"));
}

#[test]
fn every_bound_is_an_error_that_names_it() {
    let csv = |content: String| refusal("t.csv", content, json!({}));
    let rows = |count: usize| (0..count).fold("id,b\n".to_owned(), |text, row| text + &format!("{row},x\n"));
    assert!(csv(rows(100_001)).ends_with("line 100002: more than 100000 rows"));
    let wide =
        |count: usize| format!("id,{}\n", (1..count).map(|column| format!("c{column}")).collect::<Vec<_>>().join(","));
    assert!(csv(wide(66)).contains("line 1: more than 65 columns"));
    let long = csv(format!("id,b\n1,{}\n", "y".repeat(4097)));
    let head = "y".repeat(40);
    assert!(long.ends_with(&format!("line 2: the value of `b` has 4097 bytes, more than 4096: `{head}…`")), "{long}");
    assert!(csv(format!("id,{}\n", "n".repeat(1025))).contains("line 1: a column's name is longer than 1024 bytes"));
    assert!(csv("x".repeat((8 << 20) + 1)).ends_with("/lookup/t.csv is larger than 8388608 bytes"));

    let (host, directory) = world();
    write(&directory, "rows.csv", rows(100_000));
    write(&directory, "wide.csv", wide(65) + "1" + &",x".repeat(64) + "\n");
    write(&directory, "long.csv", format!("id,b\n1,{}\n", "y".repeat(4096)));
    for name in ["rows.csv", "wide.csv", "long.csv"] {
        let config = json!({ "path": format!("/lookup/{name}"), "from_attribute": "id" });
        host.configure_processor::<Lookup>(config).map(|_| ()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
}

#[test]
fn an_attribute_is_set_from_one_column_only() {
    let attributes = json!({ "attributes": [{ "key": "a" }, { "key": "a", "column": "b" }] });
    assert_eq!(refusal("t.csv", "id,a,b\n", attributes), "/attributes/1/key: `a` is there already");
    let attributes = json!({ "attributes": [{ "key": "a", "default": u64::MAX }] });
    assert!(refusal("t.csv", "id,a\n", attributes).starts_with("/attributes/0/default: is too large"));
}

/// Scenario: the table is a key of a ConfigMap, as Kubernetes mounts it and replaces it.
/// Guarantees: it is found through the links, and the new one is read.
#[cfg(unix)]
#[test]
fn a_mounted_config_map_is_followed() {
    use std::os::unix::fs::symlink;
    let (host, directory) = world();
    let version = |name: &str, team: &str| {
        let version = directory.path().join(name);
        fs::create_dir(&version).unwrap();
        fs::write(version.join("t.csv"), format!("job_id,team\n1,{team}\n")).unwrap();
        let link = directory.path().join("..new");
        symlink(name, &link).unwrap();
        fs::rename(link, directory.path().join("..data")).unwrap();
    };
    version("..2026_01", "orders");
    symlink(Path::new("..data/t.csv"), directory.path().join("t.csv")).unwrap();
    let mut lookup = teams(&host, "t.csv");
    assert_eq!(lookup.process(&job("1")).unwrap(), [Edit::set_resource_attribute(0, "team", "orders")]);
    version("..2026_02", "search");
    host.advance(Duration::from_secs(10));
    assert_eq!(lookup.process(&job("1")).unwrap(), [Edit::set_resource_attribute(0, "team", "search")]);
}

proptest! {
    /// Whatever is in the file, it is a table or is refused with a sentence: nothing panics.
    #[test]
    fn any_file_is_a_table_or_refused(content in prop::collection::vec(any::<u8>(), 0..200), json in any::<bool>()) {
        let (host, directory) = world();
        let name = if json { "t.json" } else { "t.csv" };
        write(&directory, name, content);
        let config = json!({ "path": format!("/lookup/{name}"), "from_attribute": "id" });
        if let Err(error) = host.configure_processor::<Lookup>(config).map(|_| ()) {
            prop_assert!(error.message.starts_with("/lookup/t."), "{}", error.message);
        }
    }

    /// A table of any texts says the same as CSV and as JSON.
    #[test]
    fn both_formats_say_the_same(rows in prop::collection::btree_map("\\PC{1,8}|[\"',\n\r]{1,4}", "[^\\x00]{0,8}", 1..6)) {
        let (host, directory) = world();
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let csv = rows.iter().map(|(key, team)| format!("{},{}\r\n", quoted(key), quoted(team))).collect::<String>();
        write(&directory, "t.csv", format!("job_id,team\r\n{csv}"));
        let objects: Vec<Value> = rows.iter().map(|(key, team)| json!({ "job_id": key, "team": team })).collect();
        write(&directory, "t.json", json!(objects).to_string());
        let (mut csv, mut json) = (teams(&host, "t.csv"), teams(&host, "t.json"));
        for (key, team) in &rows {
            let from_json = json.process(&job(key)).unwrap();
            prop_assert_eq!(&from_json, &[Edit::set_resource_attribute(0, "team", team.as_str())]);
            let expected = if team.is_empty() { Vec::new() } else { from_json };
            prop_assert_eq!(csv.process(&job(key)).unwrap(), expected);
        }
    }
}
