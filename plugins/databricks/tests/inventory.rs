//! What the receiver promises about the objects of the workspace and the files in DBFS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod alone;

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use alone::{configure, errors, host, next, only, parameters};
use kiln_plugin::http::HttpError;
use kiln_plugin::testing::{Collected, Instance, Reply, TestHost};
use kiln_plugin_databricks::Databricks;
use proptest::prelude::*;
use serde_json::{Value, json};

const WORKSPACE: &str = "/api/2.0/workspace/list";
const DBFS: &str = "/api/2.0/dbfs/list";
const OBJECTS: &str = "databricks.workspace.objects";
const MINUTE: Duration = Duration::from_secs(60);

/// A file system of which each directory holds directories and files of these sizes.
#[derive(Clone, Debug, Default)]
struct Files {
    directories: BTreeMap<String, Vec<i64>>,
    /// How a directory answers for the next so many times.
    failing: BTreeMap<String, (Reply, usize)>,
    asked: Vec<String>,
}

impl Files {
    /// Directory `n` lies in directory `parents[n]`, which comes before it.
    fn new(parents: &[usize], files: &[Vec<i64>]) -> Self {
        let mut paths = vec![String::new()];
        for (n, parent) in parents.iter().enumerate() {
            paths.push(format!("{}/d{n} é&=%", paths[parent % paths.len()]));
        }
        let directories = paths.into_iter().enumerate().map(|(n, path)| {
            let path = if path.is_empty() { "/".to_owned() } else { path };
            (path, files.get(n).cloned().unwrap_or_default())
        });
        Self { directories: directories.collect(), ..Self::default() }
    }

    /// A directory with so many directories of one file each.
    fn wide(width: usize) -> Self {
        Self::new(&vec![0; width], &vec![vec![1]; width + 1])
    }

    fn fail(&mut self, path: &str, reply: Reply, times: usize) {
        self.failing.insert(path.to_owned(), (reply, times));
    }

    fn parent(path: &str) -> &str {
        match path.rsplit_once('/') {
            Some(("", _)) => "/",
            Some((parent, _)) => parent,
            None => "",
        }
    }

    fn list(&mut self, path: &str, entry: impl Fn(String, bool, i64) -> Value) -> Result<Vec<Value>, Reply> {
        self.asked.push(path.to_owned());
        if let Some((reply, times)) = self.failing.get_mut(path).filter(|(_, times)| *times > 0) {
            *times -= 1;
            return Err(reply.clone());
        }
        let Some(files) = self.directories.get(path) else {
            return Err(Reply::status(404, "RESOURCE_DOES_NOT_EXIST"));
        };
        let inside = self.directories.keys().filter(|child| *child != "/" && Self::parent(child) == path);
        let base = path.trim_end_matches('/');
        let directories = inside.map(|child| entry(child.clone(), true, 0));
        let files = files.iter().enumerate().map(|(n, size)| entry(format!("{base}/f{n}"), false, *size));
        Ok(directories.chain(files).collect())
    }

    /// Files, bytes and directories, but for what is below these.
    fn total(&self, without: &[String]) -> (f64, f64, f64) {
        let is_out = |path: &str| without.iter().any(|out| path == out || path.starts_with(&format!("{out}/")));
        let is_below = |path: &str| without.iter().any(|out| path.starts_with(&format!("{out}/")));
        let files = self.directories.iter().filter(|(path, _)| !is_out(path)).flat_map(|(_, files)| files);
        let (count, bytes) = files.fold((0.0, 0.0), |(count, bytes), size| (count + 1.0, bytes + *size as f64));
        let directories = self.directories.keys().filter(|path| *path != "/" && !is_below(path)).count();
        (count, bytes, directories as f64)
    }
}

fn serve(host: &TestHost, files: Files) -> Rc<RefCell<Files>> {
    let files = Rc::new(RefCell::new(files));
    let shown = Rc::clone(&files);
    host.on_path(WORKSPACE, move |request| {
        let entry = |path: String, is_directory: bool, _| {
            json!({ "path": path, "object_type": if is_directory { "DIRECTORY" } else { "NOTEBOOK" } })
        };
        let listed = shown.borrow_mut().list(&parameters(request)["path"], entry);
        listed.map_or_else(|reply| reply, |objects| Reply::json(&json!({ "objects": objects })))
    });
    let shown = Rc::clone(&files);
    host.on_path(DBFS, move |request| {
        let entry = |path, is_dir, size| json!({ "path": path, "is_dir": is_dir, "file_size": size });
        let listed = shown.borrow_mut().list(&parameters(request)["path"], entry);
        listed.map_or_else(|reply| reply, |files| Reply::json(&json!({ "files": files })))
    });
    files
}

fn config(budget: usize, options: Value) -> Value {
    let mut config = only("inventory", options);
    config["requests_per_cycle"] = json!(budget);
    config
}

fn workspace_only(budget: usize) -> Value {
    config(budget, json!({ "dbfs": false }))
}

fn dbfs_only(budget: usize) -> Value {
    config(budget, json!({ "workspace": false }))
}

fn dbfs(collected: &Collected) -> Option<(f64, f64)> {
    let value = |name| collected.metrics.points(name).first().map(|point| point.value);
    Some((value("databricks.dbfs.file_count")?, value("databricks.dbfs.storage_bytes")?))
}

fn objects(collected: &Collected, object_type: &str) -> f64 {
    collected.metrics.value(OBJECTS, &[("object_type", object_type)])
}

/// Collects until there is a result.
fn finish(host: &TestHost, instance: &mut Instance<Databricks>, name: &str) -> Collected {
    for _ in 0..500 {
        let collected = next(host, instance);
        if !collected.metrics.points(name).is_empty() {
            return collected;
        }
    }
    panic!("the walk does not end")
}

#[test]
fn whole_trees_are_counted() {
    let host = host();
    serve(&host, Files::new(&[0, 1, 1, 3], &[vec![5], vec![], vec![7, 8], vec![0], vec![-3]]));
    let collected = next(&host, &mut configure(&host, config(60, json!({ "exclude": [] }))));
    assert_eq!(dbfs(&collected), Some((5.0, 20.0)));
    let counts = ["NOTEBOOK", "DIRECTORY", "LIBRARY", "FILE", "REPO", "DASHBOARD"].map(|t| objects(&collected, t));
    assert_eq!(counts, [5.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(collected.failed_sources(), Vec::<&str>::new());
}

#[test]
fn repositories_are_counted_and_not_entered() {
    let host = host();
    let root =
        json!({ "objects": [{ "path": "/r", "object_type": "REPO" }, { "path": "/n", "object_type": "QUERY" }] });
    host.on_get(&format!("{WORKSPACE}?path=%2F"), Reply::json(&root));
    let collected = next(&host, &mut configure(&host, workspace_only(60)));
    assert_eq!((objects(&collected, "REPO"), objects(&collected, "QUERY")), (1.0, 1.0));
    assert_eq!(host.take_requests().len(), 1);
}

#[test]
fn what_is_excluded_is_not_entered_and_what_is_called_alike_is() {
    let host = host();
    let mut files = Files::default();
    for path in ["/", "/mnt", "/mnt/deep", "/mnt2", "/Users", "/Users/ada", "/Users/bob"] {
        files.directories.insert(path.to_owned(), vec![1]);
    }
    let files = serve(&host, files);
    let options = json!({ "exclude": ["dbfs:/mnt", "/Users/ada/"] });
    let collected = next(&host, &mut configure(&host, config(60, options)));
    assert_eq!(dbfs(&collected).unwrap().0, 5.0);
    assert_eq!((objects(&collected, "NOTEBOOK"), objects(&collected, "DIRECTORY")), (6.0, 6.0));
    let asked = |path: &str| files.borrow().asked.iter().filter(|asked| *asked == path).count();
    assert_eq!(["/mnt", "/mnt2", "/mnt/deep", "/Users/ada", "/Users/bob"].map(asked), [1, 2, 1, 1, 2]);
}

#[test]
fn a_walk_spans_cycles_and_is_reported_only_when_it_is_complete() {
    let host = host();
    let files = serve(&host, Files::wide(100));
    let mut instance = configure(&host, workspace_only(10));
    for _ in 0..10 {
        assert_eq!(next(&host, &mut instance).metrics.points(OBJECTS), []);
        assert!(host.take_requests().len() <= 10);
    }
    let collected = next(&host, &mut instance);
    assert_eq!((objects(&collected, "DIRECTORY"), objects(&collected, "NOTEBOOK")), (100.0, 101.0));
    assert_eq!(files.borrow().asked.len(), 101);
    // Reported until the next one is complete, and read no more until it begins.
    let collected = next(&host, &mut instance);
    assert_eq!(objects(&collected, "DIRECTORY"), 100.0);
    assert_eq!(files.borrow().asked.len(), 101);
}

#[test]
fn a_restart_loses_neither_the_walk_nor_the_last_result() {
    let host = host();
    let files = serve(&host, Files::wide(50));
    for _ in 0..6 {
        let _ = next(&host, &mut configure(&host, workspace_only(10)));
    }
    assert_eq!(files.borrow().asked.len(), 51);
    let collected = next(&host, &mut configure(&host, workspace_only(10)));
    assert_eq!(objects(&collected, "DIRECTORY"), 50.0);
    assert_eq!(files.borrow().asked.len(), 51);
}

#[test]
fn later_walks_are_spread_evenly_and_are_complete_when_the_next_is_due() {
    let host = host();
    let files = serve(&host, Files::wide(359));
    let mut instance = configure(&host, workspace_only(1_000));
    assert_eq!(objects(&next(&host, &mut instance), "DIRECTORY"), 359.0);
    host.advance(Duration::from_secs(6 * 3_600) - MINUTE);
    files.borrow_mut().directories.insert("/new".to_owned(), vec![]);
    files.borrow_mut().asked.clear();
    let mut result = 0.0;
    for minute in 0..360 {
        let before = files.borrow().asked.len();
        result = objects(&next(&host, &mut instance), "DIRECTORY");
        let spent = files.borrow().asked.len() - before;
        assert!(spent <= 3, "{spent} in minute {minute}");
    }
    assert_eq!(result, 360.0);
    assert_eq!(files.borrow().asked.len(), 361);
}

#[test]
fn a_tree_that_may_not_be_read_costs_only_itself() {
    for (path, works, fails) in
        [(DBFS, OBJECTS, "databricks.dbfs.file_count"), (WORKSPACE, "databricks.dbfs.file_count", OBJECTS)]
    {
        let host = host();
        serve(&host, Files::wide(3));
        host.on_get(&format!("{path}?path=%2F"), Reply::status(403, "no"));
        let mut instance = configure(&host, config(60, json!({})));
        let collected = next(&host, &mut instance);
        assert_eq!(collected.metrics.points(fails), []);
        assert_ne!(collected.metrics.points(works), []);
        let message = &collected.outcome.failures[0].message;
        assert!(message.starts_with(path) && message.contains("in an hour"), "{message}");
        assert_eq!(errors(&collected, "inventory"), 1.0);
        let collected = next(&host, &mut instance);
        assert_eq!((collected.outcome.failures.len(), errors(&collected, "inventory")), (0, 1.0));
        // Once it may be read it is, and a permission that is taken away is told again.
        for (reply, failures) in [(Reply::json(&json!({})), 0), (Reply::status(403, "no"), 1)] {
            host.on_get(&format!("{path}?path=%2F"), reply);
            host.advance(Duration::from_secs(6 * 3_600));
            let collected = next(&host, &mut instance);
            assert_eq!(collected.metrics.points(fails).is_empty(), failures == 1);
            assert_eq!(collected.outcome.failures.len(), failures);
        }
    }
}

#[test]
fn directories_that_may_not_be_read_count_as_empty_and_are_reported_once() {
    let host = host();
    let files = serve(&host, Files::new(&[0, 0, 0, 1], &[vec![1], vec![1], vec![1], vec![1], vec![1]]));
    for path in ["/d0 é&=%", "/d1 é&=%"] {
        files.borrow_mut().fail(path, Reply::status(403, "no"), 9);
    }
    let collected = next(&host, &mut configure(&host, workspace_only(60)));
    assert_eq!((objects(&collected, "NOTEBOOK"), objects(&collected, "DIRECTORY")), (2.0, 3.0));
    assert_eq!(errors(&collected, "inventory"), 1.0);
    let message = &collected.outcome.failures[0].message;
    assert!(message.contains("2 directories may not be read"), "{message}");
}

#[test]
fn a_directory_that_is_gone_when_it_is_asked_for_counts_as_empty() {
    let host = host();
    let files = serve(&host, Files::wide(3));
    files.borrow_mut().fail("/d1 é&=%", Reply::status(404, "RESOURCE_DOES_NOT_EXIST"), 9);
    let collected = next(&host, &mut configure(&host, workspace_only(60)));
    assert_eq!((objects(&collected, "NOTEBOOK"), objects(&collected, "DIRECTORY")), (3.0, 3.0));
    assert_eq!(collected.failed_sources(), Vec::<&str>::new());
}

#[test]
fn a_directory_that_fails_is_tried_three_times_and_then_left_out() {
    for (times, expected) in [(2, 4.0), (3, 3.0)] {
        let host = host();
        let files = serve(&host, Files::wide(3));
        files.borrow_mut().fail("/d1 é&=%", Reply::error(HttpError::Timeout), times);
        let mut instance = configure(&host, dbfs_only(60));
        let collected = finish(&host, &mut instance, "databricks.dbfs.file_count");
        assert_eq!(dbfs(&collected).unwrap().0, expected);
        let asked = files.borrow().asked.iter().filter(|path| *path == "/d1 é&=%").count();
        assert_eq!(asked, 3);
        let is_reported = collected.outcome.failures.iter().any(|failure| failure.message.contains("1 directories"));
        assert_eq!(is_reported, times == 3);
    }
}

#[test]
fn an_outage_in_the_middle_costs_time_and_no_directory() {
    let host = host();
    let files = serve(&host, Files::wide(100));
    let mut instance = configure(&host, workspace_only(10));
    let _ = next(&host, &mut instance);
    let healthy = files.borrow().clone();
    for path in healthy.directories.keys() {
        files.borrow_mut().fail(path, Reply::status(503, "down"), usize::MAX);
    }
    for _ in 0..15 {
        assert_eq!(next(&host, &mut instance).failed_sources(), ["inventory"]);
    }
    files.borrow_mut().failing.clear();
    let collected = finish(&host, &mut instance, OBJECTS);
    assert_eq!((objects(&collected, "DIRECTORY"), objects(&collected, "NOTEBOOK")), (100.0, 101.0));
}

#[test]
fn a_tree_without_end_is_given_up_with_one_error_and_tried_again_at_the_next_interval() {
    let host = host();
    host.on_path(WORKSPACE, |request| {
        let path = parameters(request)["path"].trim_end_matches('/').to_owned();
        let children: Vec<Value> =
            (0..9).map(|n| json!({ "path": format!("{path}/{n}"), "object_type": "DIRECTORY" })).collect();
        Reply::json(&json!({ "objects": children }))
    });
    let mut instance = configure(&host, workspace_only(60));
    let failures: Vec<_> = (0..20).flat_map(|_| next(&host, &mut instance).outcome.failures).collect();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].message.contains("deeper than 64 levels"), "{}", failures[0].message);
    let _ = host.take_requests();
    assert_eq!(next(&host, &mut instance).metrics.points(OBJECTS), []);
    assert_eq!(host.take_requests(), Vec::<String>::new());
    host.advance(Duration::from_secs(6 * 3_600));
    let _ = next(&host, &mut instance);
    assert_ne!(host.take_requests(), Vec::<String>::new());
}

#[test]
fn nonsense_in_a_directory_costs_only_itself() {
    let host = host();
    let root = json!({ "files": [
        null, 1, {}, { "path": 7 }, { "path": "/", "is_dir": true }, { "path": "/a/b", "is_dir": true },
        { "path": "dbfs:/f", "file_size": "12" }, { "path": "/f", "file_size": 5 }, { "path": "/g", "file_size": null },
    ] });
    host.on_get(&format!("{DBFS}?path=%2F"), Reply::json(&root));
    let collected = next(&host, &mut configure(&host, dbfs_only(60)));
    assert_eq!(dbfs(&collected), Some((2.0, 12.0)));
    assert_eq!(errors(&collected, "inventory"), 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_on_the_way_the_result_is_the_truth(
        parents in prop::collection::vec(0_usize..80, 0..80),
        sizes in prop::collection::vec(prop::collection::vec(0_i64..1_000, 0..5), 81),
        budget in 10_usize..80,
        failing in prop::collection::vec((0_usize..81, 1_usize..3, prop::bool::ANY), 0..10),
        forbidden in prop::collection::vec(0_usize..81, 0..4),
        restarts in prop::collection::vec(prop::bool::ANY, 40),
    ) {
        let host = host();
        let mut tree = Files::new(&parents, &sizes);
        let paths: Vec<String> = tree.directories.keys().cloned().collect();
        for (index, times, is_timeout) in failing {
            let reply = if is_timeout { Reply::error(HttpError::Timeout) } else { Reply::status(500, "") };
            tree.fail(&paths[index % paths.len()], reply, times);
        }
        let forbidden: Vec<String> =
            forbidden.into_iter().map(|index| paths[index % paths.len()].clone()).filter(|path| path != "/").collect();
        for path in &forbidden {
            tree.fail(path, Reply::status(403, ""), usize::MAX);
        }
        let (files, bytes, _) = tree.total(&forbidden);
        serve(&host, tree);
        let mut instance = configure(&host, dbfs_only(budget));
        let mut result = None;
        for restart in restarts.into_iter().cycle().take(400) {
            host.advance(MINUTE);
            if restart {
                instance = configure(&host, dbfs_only(budget));
            }
            // A collection in which nothing was answered fails as a whole and leaves no state behind.
            result = instance.collect().ok().as_ref().and_then(dbfs);
            if result.is_some() {
                break;
            }
        }
        prop_assert_eq!(result, Some((files, bytes)));
    }
}
