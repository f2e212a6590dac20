//! From the names Spark gives its metrics to names that stay the same from one run to the next.
//!
//! Spark puts the id of the application into the name of every metric of the driver and replaces every character that
//! is not a letter or a digit by `_`, so that the id cannot be cut off without knowing it, or knowing what follows it.

/// Sources every driver has. Where one of them stands behind `_driver_`, the namespace ends.
const ANCHORS: [&str; 4] =
    ["_driver_DAGScheduler_", "_driver_BlockManager_", "_driver_LiveListenerBus_", "_driver_jvm_"];

const DRIVER: &str = "_driver_";

/// Shorter ids are not looked for inside names: they could be anything.
const MIN_ID_BYTES: usize = 8;

/// OpenTelemetry allows no longer names of instruments.
const MAX_NAME_BYTES: usize = 255;

/// What the names of one driver have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    prefix: String,
    application: Option<String>,
}

impl Namespace {
    /// Finds it on a page: `spark.metrics.namespace` is the application's id unless it is set.
    pub(crate) fn find<'a>(
        mut names: impl Iterator<Item = &'a str> + Clone,
        application_id: Option<&str>,
    ) -> Option<Self> {
        let application = application_id.map(mangle);
        let of_application = application.as_ref().map(|id| format!("metrics_{id}{DRIVER}"));
        let known = of_application.filter(|prefix| names.clone().any(|name| name.starts_with(prefix)));
        let prefix = known.or_else(|| {
            let anchored = names
                .clone()
                .find_map(|name| ANCHORS.iter().find_map(|anchor| name.rfind(anchor).map(|at| (name, at))));
            let (name, at) = anchored.or_else(|| names.find_map(|name| name.find(DRIVER).map(|at| (name, at))))?;
            name.get(..at + DRIVER.len()).map(str::to_owned)
        })?;
        Some(Self { prefix, application: application.filter(|id| id.len() >= MIN_ID_BYTES) })
    }

    /// The name of a metric without the namespace, unless it belongs to another one.
    pub(crate) fn strip<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(self.prefix.as_str()).filter(|rest| !rest.is_empty())
    }

    /// What the names start with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the names hold the id of an application other than this one: the page is from before or after the one
    /// that said the id.
    pub(crate) fn is_of_another(&self) -> bool {
        let namespace = self.prefix.strip_prefix("metrics_").and_then(|rest| rest.strip_suffix(DRIVER));
        match (namespace, &self.application) {
            (Some(namespace), Some(application)) => namespace != application && is_id(namespace),
            _ => false,
        }
    }

    /// `spark.driver.` and the name in dotted lower snake case, without the application's id wherever it stands.
    pub(crate) fn dotted(&self, name: &str) -> Option<String> {
        match &self.application {
            Some(id) => dotted("spark.driver.", &name.replace(id.as_str(), "")),
            None => dotted("spark.driver.", name),
        }
    }
}

/// Whether it is what becomes of an id a master makes: `local-1795351361220`, `app-20261122124740-0000`,
/// `application_1795351361220_0001`, `spark-` and a UUID without hyphens.
fn is_id(namespace: &str) -> bool {
    let Some((master, rest)) = namespace.split_once('_') else { return false };
    match master {
        "local" | "app" | "application" => {
            rest.len() >= MIN_ID_BYTES && rest.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        }
        "spark" => rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()),
        _ => false,
    }
}

/// What Spark makes of a text that becomes part of a name on the Prometheus page.
pub(crate) fn mangle(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// `BlockManager_memory_maxMem` becomes `block_manager.memory.max_mem` behind the prefix. Nothing is left of names
/// without letters and digits, and of names that are too long.
pub(crate) fn dotted(prefix: &str, name: &str) -> Option<String> {
    let mut dotted = prefix.to_owned();
    for segment in name.split(['_', ':']).filter(|segment| !segment.is_empty()) {
        if dotted.len() > prefix.len() {
            dotted.push('.');
        }
        push_snake(&mut dotted, segment);
    }
    (prefix.len() + 1..=MAX_NAME_BYTES).contains(&dotted.len()).then_some(dotted)
}

/// A new word starts at a capital that follows a small letter or a digit, and at the last of several capitals if a
/// small letter follows: `JVMHeapMemory` is `jvm_heap_memory`.
fn push_snake(out: &mut String, camel: &str) {
    let mut before: Option<char> = None;
    let mut letters = camel.chars().peekable();
    while let Some(letter) = letters.next() {
        let starts_word = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                !before.is_ascii_uppercase() || letters.peek().is_some_and(char::is_ascii_lowercase)
            });
        if starts_word {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
        before = Some(letter);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    fn find(names: &[&str], id: Option<&str>) -> Option<Namespace> {
        Namespace::find(names.iter().copied(), id)
    }

    #[test]
    fn words_of_camel_case_become_words_of_snake_case() {
        let named = |name| dotted("spark.", name).unwrap();
        assert_eq!(named("ExecutorMetrics_JVMHeapMemory"), "spark.executor_metrics.jvm_heap_memory");
        assert_eq!(named("DAGScheduler_job_allJobs"), "spark.dag_scheduler.job.all_jobs");
        assert_eq!(named("jvm_pools_CodeHeap__non_nmethods__used"), "spark.jvm.pools.code_heap.non.nmethods.used");
        assert_eq!(named("jvm_G1_Old_Generation_count"), "spark.jvm.g1.old.generation.count");
        assert_eq!(named("TotalGCTime"), "spark.total_gc_time");
    }

    #[test]
    fn a_name_of_nothing_or_of_too_much_is_no_name() {
        assert_eq!(dotted("spark.", "_:_"), None);
        assert_eq!(dotted("spark.", &"a".repeat(250)), None);
        assert_eq!(dotted("spark.", &"a".repeat(249)).map(|name| name.len()), Some(255));
    }

    #[test]
    fn the_namespace_is_the_known_application_s() {
        let space = find(&["metrics_app_2026_0000_driver_x_driver_DAGScheduler_a"], Some("app-2026-0000")).unwrap();
        assert_eq!(
            space.strip("metrics_app_2026_0000_driver_x_driver_DAGScheduler_a"),
            Some("x_driver_DAGScheduler_a")
        );
    }

    #[test]
    fn a_configured_namespace_is_found_by_what_follows_it() {
        for (name, id) in [
            ("metrics_my_driver_app_driver_DAGScheduler_job_activeJobs_Value", Some("app-1")),
            ("metrics_driver_DAGScheduler_job_activeJobs_Value", None),
            ("metrics_spark_driver_DAGScheduler_job_activeJobs_Value", None),
        ] {
            let space = find(&["metrics_my_driver_app_driver_Other_x", name], id).unwrap();
            assert_eq!(space.strip(name), Some("DAGScheduler_job_activeJobs_Value"), "{name}");
        }
        assert_eq!(
            find(&["metrics_x_driver_Other_y"], None).unwrap().strip("metrics_x_driver_Other_y"),
            Some("Other_y")
        );
    }

    #[test]
    fn what_is_not_the_driver_s_has_no_namespace() {
        assert_eq!(find(&["metrics_master_aliveWorkers_Value"], Some("app-1")), None);
        let space = find(&["metrics_x_driver_DAGScheduler_y"], None).unwrap();
        assert_eq!(space.strip("metrics_master_aliveWorkers_Value"), None);
    }

    #[test]
    fn a_page_of_another_application_is_known_by_its_id() {
        let another = |name: &str, id| find(&[name], Some(id)).unwrap().is_of_another();
        assert!(another("metrics_app_20261122131319_0000_driver_jvm_x", "app-20261122140000-0001"));
        assert!(another("metrics_local_1795351361220_driver_jvm_x", "local-1795351369999"));
        assert!(another("metrics_application_1795351361220_0001_driver_jvm_x", "application_1795351361220_0002"));
        assert!(!another("metrics_app_20261122131319_0000_driver_jvm_x", "app-20261122131319-0000"));
        for configured in ["metrics_driver_jvm_x", "metrics_app_driver_jvm_x", "metrics_local_etl_2026_driver_jvm_x"] {
            assert!(!another(configured, "app-20261122140000-0001"), "{configured}");
        }
    }

    #[test]
    fn the_application_s_id_is_cut_out_of_what_follows_too() {
        let space = find(&["metrics_ns_driver_DAGScheduler_y"], Some("app-20261122-0000")).unwrap();
        assert_eq!(space.dotted("plugin_app_20261122_0000_rows").as_deref(), Some("spark.driver.plugin.rows"));
        let short = find(&["metrics_ns_driver_DAGScheduler_y"], Some("rows")).unwrap();
        assert_eq!(short.dotted("plugin_rows").as_deref(), Some("spark.driver.plugin.rows"));
    }
}
