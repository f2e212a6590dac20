//! The cumulative series of finished runs: counts, durations and costs by job, durations by task.
//!
//! Growth is bounded by `max_jobs` and [`MAX_TASK_SERIES`]. A job beyond the bound takes the place of one that has not
//! run for [`IDLE`], or else is counted under `other`: sums over all jobs stay right.

use kiln_plugin::UnixNanos;
use serde::{Deserialize, Serialize};

use super::run::{Run, Task};
use crate::api::seconds;
use crate::telemetry::{
    self, DatabricksJobDurationCleanupHistogram, DatabricksJobDurationExecutionHistogram,
    DatabricksJobDurationQueueHistogram, DatabricksJobDurationRunHistogram, DatabricksJobDurationSetupHistogram,
    DatabricksTasksDurationHistogram, DatabricksTasksSetupDurationHistogram,
};

/// Task series of all jobs together; further tasks are counted under the key `other`.
const MAX_TASK_SERIES: usize = 20_000;
/// A job that has not run for this long makes room for another, in milliseconds.
const IDLE: u64 = 7 * 24 * 60 * 60 * 1_000;
/// Stands for what exceeds a bound.
const OTHER: &str = "other";

/// What runs of one job have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct JobKey {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
}

impl JobKey {
    /// Stands for what exceeds a bound.
    pub(crate) fn other() -> Self {
        Self { id: None, name: Some(OTHER.to_owned()) }
    }
}

/// All series. Times are milliseconds of the workspace's clock.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Book {
    /// Start time of series that appear from now on.
    start: u64,
    /// Sorted by their keys.
    jobs: Vec<JobSeries>,
}

/// The names are short because state holds thousands of these.
#[derive(Debug, Serialize, Deserialize)]
struct JobSeries {
    #[serde(rename = "k")]
    key: JobKey,
    #[serde(rename = "t")]
    start: u64,
    #[serde(rename = "l")]
    last_counted: u64,
    #[serde(rename = "r")]
    runs: Vec<RunSeries>,
    #[serde(rename = "w", default)]
    tasks: Vec<TaskSeries>,
    /// Bits, so that a sum is read back as it was written.
    #[serde(rename = "c", default)]
    cost: Option<u64>,
}

/// The finished runs of one job with one type and result.
#[derive(Debug, Serialize, Deserialize)]
struct RunSeries {
    #[serde(rename = "y")]
    run_type: Option<String>,
    #[serde(rename = "z")]
    result_state: String,
    #[serde(rename = "n")]
    count: i64,
    #[serde(rename = "d", default)]
    duration: DatabricksJobDurationRunHistogram,
    #[serde(rename = "q", default)]
    queue: DatabricksJobDurationQueueHistogram,
    #[serde(rename = "s", default)]
    setup: DatabricksJobDurationSetupHistogram,
    #[serde(rename = "e", default)]
    execution: DatabricksJobDurationExecutionHistogram,
    #[serde(rename = "u", default)]
    cleanup: DatabricksJobDurationCleanupHistogram,
}

#[derive(Debug, Serialize, Deserialize)]
struct TaskSeries {
    #[serde(rename = "k")]
    task_key: String,
    #[serde(rename = "z")]
    result_state: String,
    #[serde(rename = "d", default)]
    duration: DatabricksTasksDurationHistogram,
    #[serde(rename = "s", default)]
    setup: DatabricksTasksSetupDurationHistogram,
}

/// A run that is to be counted.
pub(crate) struct Finished<'a> {
    pub(crate) job: &'a JobKey,
    pub(crate) run: &'a Run,
    /// In USD, if it can be told.
    pub(crate) cost: Option<f64>,
    pub(crate) with_tasks: bool,
}

impl Book {
    pub(crate) const fn new(start: u64) -> Self {
        Self { start, jobs: Vec::new() }
    }

    /// Counts a run.
    pub(crate) fn count(&mut self, now: u64, max_jobs: usize, finished: &Finished<'_>) {
        let room_for_tasks = self.task_series() < MAX_TASK_SERIES;
        let Some(series) = self.series(now, max_jobs, finished.job) else { return };
        series.last_counted = now;
        series.count_run(finished.run);
        if finished.with_tasks {
            for task in &finished.run.tasks.items {
                series.count_task(task, room_for_tasks);
            }
        }
        if let Some(cost) = finished.cost {
            let sum = series.cost.map_or(0.0, f64::from_bits) + cost;
            series.cost = Some(sum.to_bits()).filter(|_| sum.is_finite()).or(series.cost);
        }
    }

    fn task_series(&self) -> usize {
        self.jobs.iter().map(|job| job.tasks.len()).sum()
    }

    fn series(&mut self, now: u64, max_jobs: usize, key: &JobKey) -> Option<&mut JobSeries> {
        let index = match self.find(key) {
            Ok(index) => index,
            Err(index) if self.jobs.len() < max_jobs => self.insert(index, now, key.clone()),
            Err(_) if self.make_room(now) => {
                let index = self.find(key).unwrap_or_else(|index| index);
                self.insert(index, now, key.clone())
            }
            Err(_) => {
                let other = self.find(&JobKey::other());
                other.unwrap_or_else(|index| self.insert(index, now, JobKey::other()))
            }
        };
        self.jobs.get_mut(index)
    }

    fn find(&self, key: &JobKey) -> Result<usize, usize> {
        self.jobs.binary_search_by(|series| series.key.cmp(key))
    }

    fn insert(&mut self, index: usize, now: u64, key: JobKey) -> usize {
        let (runs, tasks) = (Vec::new(), Vec::new());
        self.jobs.insert(index, JobSeries { key, start: self.start, last_counted: now, runs, tasks, cost: None });
        index
    }

    /// Drops the job that has been idle for longest, if any has been idle for long. A series that is dropped may come
    /// back, and then it must not seem to have counted all along: from here on series start now.
    fn make_room(&mut self, now: u64) -> bool {
        let idle = self.jobs.iter().enumerate().min_by_key(|(_, series)| series.last_counted);
        let idle = idle.filter(|(_, series)| series.last_counted.saturating_add(IDLE) < now).map(|(index, _)| index);
        let Some(index) = idle else { return false };
        self.jobs.remove(index);
        self.start = now;
        true
    }

    /// Adds every series. `cost_source` is left out where cost is not estimated.
    pub(crate) fn add_to(&self, metrics: &mut telemetry::Metrics, cost_source: Option<&str>) {
        for job in &self.jobs {
            job.add_to(metrics, cost_source);
        }
    }
}

impl JobSeries {
    fn count_run(&mut self, run: &Run) {
        let (run_type, result_state) = (run.run_type.as_deref(), run.course().result_state());
        let alike = |series: &RunSeries| series.run_type.as_deref() == run_type && series.result_state == result_state;
        let index = self.runs.iter().position(alike).unwrap_or_else(|| {
            self.runs.push(RunSeries::new(run_type, result_state));
            self.runs.len().saturating_sub(1)
        });
        if let Some(series) = self.runs.get_mut(index) {
            series.count(run);
        }
    }

    fn count_task(&mut self, task: &Task, room: bool) {
        let course = task.course();
        // A task that never ran has nothing to measure.
        let (Some(duration), Some(task_key)) = (task.duration(), task.task_key.as_deref()) else { return };
        let result_state = course.result_state();
        let find = |tasks: &[TaskSeries], key: &str| {
            tasks.iter().position(|series| series.task_key == key && series.result_state == result_state)
        };
        let known = find(&self.tasks, task_key);
        let task_key = if known.is_some() || room { task_key } else { OTHER };
        let index = known.or_else(|| find(&self.tasks, task_key)).unwrap_or_else(|| {
            self.tasks.push(TaskSeries {
                task_key: task_key.to_owned(),
                result_state: result_state.to_owned(),
                duration: DatabricksTasksDurationHistogram::new(),
                setup: DatabricksTasksSetupDurationHistogram::new(),
            });
            self.tasks.len().saturating_sub(1)
        });
        if let Some(series) = self.tasks.get_mut(index) {
            series.duration.record(seconds(duration));
            if let Some(setup) = course.setup {
                series.setup.record(seconds(setup));
            }
        }
    }

    fn add_to(&self, metrics: &mut telemetry::Metrics, cost_source: Option<&str>) {
        let start = UnixNanos::from_millis(self.start);
        let (job_name, databricks_job_id) = (self.key.name.as_deref(), self.key.id.as_deref());
        for series in &self.runs {
            series.add_to(metrics, start, job_name, databricks_job_id);
        }
        for TaskSeries { task_key, result_state, duration, setup } in &self.tasks {
            let attributes = telemetry::DatabricksTasksDuration { job_name, databricks_job_id, task_key, result_state };
            metrics.databricks_tasks_duration(start, &attributes, duration);
            let attributes =
                telemetry::DatabricksTasksSetupDuration { job_name, databricks_job_id, task_key, result_state };
            metrics.databricks_tasks_setup_duration(start, &attributes, setup);
        }
        if let (Some(cost), Some(databricks_cost_source)) = (self.cost, cost_source) {
            let attributes = telemetry::DatabricksJobCost { job_name, databricks_job_id, databricks_cost_source };
            metrics.databricks_job_cost(start, &attributes, f64::from_bits(cost));
        }
    }
}

impl RunSeries {
    fn new(run_type: Option<&str>, result_state: &str) -> Self {
        Self {
            run_type: run_type.map(str::to_owned),
            result_state: result_state.to_owned(),
            count: 0,
            duration: DatabricksJobDurationRunHistogram::new(),
            queue: DatabricksJobDurationQueueHistogram::new(),
            setup: DatabricksJobDurationSetupHistogram::new(),
            execution: DatabricksJobDurationExecutionHistogram::new(),
            cleanup: DatabricksJobDurationCleanupHistogram::new(),
        }
    }

    fn count(&mut self, run: &Run) {
        self.count = self.count.saturating_add(1);
        let duration = run.duration();
        // A run may be cancelled while it waits; one that never even waited has nothing to measure.
        if let Some(queue) = run.course().queue.filter(|queue| *queue > 0 || duration.is_some()) {
            self.queue.record(seconds(queue));
        }
        // A run that never began has no duration and no phases.
        let Some(duration) = duration else { return };
        self.duration.record(seconds(duration));
        let [setup, execution, cleanup] = run.phases();
        if let Some(setup) = setup {
            self.setup.record(seconds(setup));
        }
        if let Some(execution) = execution {
            self.execution.record(seconds(execution));
        }
        if let Some(cleanup) = cleanup {
            self.cleanup.record(seconds(cleanup));
        }
    }

    fn add_to(
        &self,
        metrics: &mut telemetry::Metrics,
        start: UnixNanos,
        job_name: Option<&str>,
        databricks_job_id: Option<&str>,
    ) {
        let (run_type, result_state) = (self.run_type.as_deref(), self.result_state.as_str());
        macro_rules! add {
            ($method:ident, $attributes:ident, $value:expr) => {
                let attributes = telemetry::$attributes { job_name, databricks_job_id, run_type, result_state };
                metrics.$method(start, &attributes, $value);
            };
        }
        add!(databricks_job_runs_count, DatabricksJobRunsCount, self.count);
        // What no run of this result has is no series.
        macro_rules! add_histogram {
            ($method:ident, $attributes:ident, $histogram:expr) => {
                if $histogram.count() > 0 {
                    add!($method, $attributes, $histogram);
                }
            };
        }
        add_histogram!(databricks_job_duration_run, DatabricksJobDurationRun, &self.duration);
        add_histogram!(databricks_job_duration_queue, DatabricksJobDurationQueue, &self.queue);
        add_histogram!(databricks_job_duration_setup, DatabricksJobDurationSetup, &self.setup);
        add_histogram!(databricks_job_duration_execution, DatabricksJobDurationExecution, &self.execution);
        add_histogram!(databricks_job_duration_cleanup, DatabricksJobDurationCleanup, &self.cleanup);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(result: &str, tasks: &[&str]) -> Run {
        let tasks: Vec<_> = tasks.iter().map(|key| json!({ "task_key": key, "execution_duration": 10 })).collect();
        let state = json!({ "life_cycle_state": "TERMINATED", "result_state": result });
        serde_json::from_value(json!({ "run_duration": 1_500, "state": state, "tasks": tasks })).unwrap()
    }

    fn key(name: &str) -> JobKey {
        JobKey { id: Some(name.to_owned()), name: Some(name.to_owned()) }
    }

    fn count(book: &mut Book, now: u64, name: &str, run: &Run) {
        book.count(now, 2, &Finished { job: &key(name), run, cost: Some(0.1), with_tasks: true });
    }

    fn counts(book: &Book) -> Vec<(&str, i64)> {
        let total = |job: &JobSeries| job.runs.iter().map(|series| series.count).sum();
        book.jobs.iter().map(|job| (job.key.name.as_deref().unwrap(), total(job))).collect()
    }

    #[test]
    fn jobs_beyond_the_bound_are_counted_together() {
        let mut book = Book::new(5);
        for name in ["a", "b", "c", "a", "d"] {
            count(&mut book, 100, name, &run("SUCCESS", &[]));
        }
        assert_eq!(counts(&book), [("other", 2), ("a", 2), ("b", 1)]);
        assert!(book.jobs.iter().all(|job| job.start == 5));
    }

    #[test]
    fn a_job_that_is_long_idle_makes_room_and_what_comes_then_starts_then() {
        let mut book = Book::new(5);
        count(&mut book, 100, "a", &run("SUCCESS", &[]));
        count(&mut book, 200, "b", &run("SUCCESS", &[]));
        let later = 150 + IDLE;
        count(&mut book, later, "c", &run("SUCCESS", &[]));
        assert_eq!(counts(&book), [("b", 1), ("c", 1)]);
        assert_eq!(book.jobs.iter().map(|job| job.start).collect::<Vec<_>>(), [5, later]);
    }

    #[test]
    fn results_and_tasks_are_kept_apart() {
        let mut book = Book::new(5);
        count(&mut book, 100, "a", &run("SUCCESS", &["x", "y"]));
        count(&mut book, 100, "a", &run("FAILED", &["x"]));
        let job = &book.jobs[0];
        assert_eq!(
            job.runs.iter().map(|series| series.result_state.as_str()).collect::<Vec<_>>(),
            ["SUCCESS", "FAILED"]
        );
        assert_eq!(job.tasks.iter().map(|series| series.task_key.as_str()).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(job.tasks[0].duration.count(), 2);
    }

    #[test]
    fn storing_changes_nothing() {
        let mut book = Book::new(5);
        for result in ["SUCCESS", "FAILED", "SUCCESS"] {
            count(&mut book, 100, "a", &run(result, &["x"]));
        }
        let stored = serde_json::to_string(&book).unwrap();
        let restored: Book = serde_json::from_str(&stored).unwrap();
        assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
        assert_eq!(f64::from_bits(restored.jobs[0].cost.unwrap()), 0.1 + 0.1 + 0.1);
    }
}
