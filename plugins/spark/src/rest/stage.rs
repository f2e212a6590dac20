//! An attempt at a stage as `/stages` tells it.

use kiln_plugin::{lenient, moment};
use serde::Deserialize;

use super::distribution::Distributions;
use super::job::count;

/// An attempt at a stage. Spark starts a stage again when output it needs was lost.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Stage {
    #[serde(deserialize_with = "lenient::number")]
    stage_id: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    attempt_id: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub(crate) failure_reason: Option<String>,
    #[serde(deserialize_with = "moment::deserialize")]
    pub(crate) submission_time: Option<u64>,
    #[serde(deserialize_with = "moment::deserialize")]
    first_task_launched_time: Option<u64>,
    #[serde(deserialize_with = "moment::deserialize")]
    completion_time: Option<u64>,
    #[serde(deserialize_with = "lenient::number")]
    num_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_active_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_complete_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_failed_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    num_killed_tasks: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    executor_run_time: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    executor_cpu_time: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    jvm_gc_time: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    result_size: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    memory_bytes_spilled: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    disk_bytes_spilled: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    peak_execution_memory: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    input_bytes: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    input_records: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    output_bytes: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    output_records: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_remote_blocks_fetched: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_local_blocks_fetched: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_fetch_wait_time: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_remote_bytes_read: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_remote_bytes_read_to_disk: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_local_bytes_read: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_read_bytes: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_read_records: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_write_bytes: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_write_time: Option<i64>,
    #[serde(deserialize_with = "lenient::number")]
    shuffle_write_records: Option<i64>,
    #[serde(deserialize_with = "lenient::object")]
    pub(crate) task_metrics_distributions: Option<Distributions>,
}

/// How an attempt at a stage stands or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StageStatus {
    Pending,
    Active,
    Complete,
    Failed,
    /// What it would have computed was there already.
    Skipped,
    Other,
}

impl StageStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Other => "other",
        }
    }
}

/// What the tasks of a stage did, in the units of the metrics: seconds, bytes, counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Work {
    pub(crate) run_time: Millis,
    pub(crate) cpu_time: Nanos,
    pub(crate) gc_time: Millis,
    pub(crate) fetch_wait_time: Millis,
    pub(crate) write_time: Nanos,
    pub(crate) input_bytes: i64,
    pub(crate) output_bytes: i64,
    pub(crate) input_records: i64,
    pub(crate) output_records: i64,
    pub(crate) shuffle_read_bytes: i64,
    pub(crate) shuffle_write_bytes: i64,
    pub(crate) shuffle_read_records: i64,
    pub(crate) shuffle_write_records: i64,
    pub(crate) memory_spilled: i64,
    pub(crate) disk_spilled: i64,
}

/// A length of time as Spark counts most of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
pub(crate) struct Millis(pub(crate) i64);

/// A length of time as Spark counts those that are short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
pub(crate) struct Nanos(pub(crate) i64);

impl Millis {
    pub(crate) const fn seconds(self) -> f64 {
        self.0 as f64 / 1e3
    }
}

impl Nanos {
    pub(crate) const fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Stage {
    /// Its id and the number of the attempt.
    pub(crate) fn key(&self) -> Option<(u64, u64)> {
        let number = |number: Option<i64>| u64::try_from(number?).ok();
        Some((number(self.stage_id)?, number(self.attempt_id).unwrap_or_default()))
    }

    pub(crate) fn status(&self) -> StageStatus {
        match self.status.as_deref() {
            Some("PENDING") => StageStatus::Pending,
            Some("ACTIVE") => StageStatus::Active,
            Some("COMPLETE") => StageStatus::Complete,
            Some("FAILED") => StageStatus::Failed,
            Some("SKIPPED") => StageStatus::Skipped,
            _ => StageStatus::Other,
        }
    }

    /// Whether it will not change any more.
    pub(crate) fn is_finished(&self) -> bool {
        match self.status() {
            StageStatus::Pending | StageStatus::Active => false,
            StageStatus::Complete | StageStatus::Failed | StageStatus::Skipped => true,
            StageStatus::Other => self.completion_time.is_some(),
        }
    }

    /// Whether tasks run. They may when the stage has ended: a task takes its time to notice that it was killed.
    pub(crate) fn has_active_tasks(&self) -> bool {
        self.num_active_tasks.is_some_and(|tasks| tasks > 0)
    }

    /// When it began, in milliseconds.
    pub(crate) fn start(&self) -> Option<u64> {
        self.submission_time.or(self.first_task_launched_time)
    }

    /// When it ended, in milliseconds, and not before it began.
    pub(crate) fn end(&self) -> Option<u64> {
        Some(self.completion_time?.max(self.start()?))
    }

    /// In milliseconds, by Spark's own clock.
    pub(crate) fn duration(&self) -> Option<u64> {
        Some(self.end()?.saturating_sub(self.start()?))
    }

    pub(crate) fn all_tasks(&self) -> i64 {
        count(self.num_tasks)
    }

    pub(crate) fn active_tasks(&self) -> i64 {
        count(self.num_active_tasks)
    }

    /// Tasks that ended, by result.
    pub(crate) fn tasks(&self) -> [(&'static str, i64); 3] {
        [
            ("completed", count(self.num_complete_tasks)),
            ("failed", count(self.num_failed_tasks)),
            ("killed", count(self.num_killed_tasks)),
        ]
    }

    pub(crate) fn result_size(&self) -> i64 {
        count(self.result_size)
    }

    pub(crate) fn peak_memory(&self) -> i64 {
        count(self.peak_execution_memory)
    }

    /// Blocks fetched in shuffles, from where.
    pub(crate) fn blocks_fetched(&self) -> [(&'static str, i64); 2] {
        [("local", count(self.shuffle_local_blocks_fetched)), ("remote", count(self.shuffle_remote_blocks_fetched))]
    }

    /// Bytes read in shuffles, from where.
    pub(crate) fn shuffle_read(&self) -> [(&'static str, i64); 2] {
        [("local", count(self.shuffle_local_bytes_read)), ("remote", count(self.shuffle_remote_bytes_read))]
    }

    pub(crate) fn shuffle_read_to_disk(&self) -> i64 {
        count(self.shuffle_remote_bytes_read_to_disk)
    }

    pub(crate) fn work(&self) -> Work {
        Work {
            run_time: Millis(count(self.executor_run_time)),
            cpu_time: Nanos(count(self.executor_cpu_time)),
            gc_time: Millis(count(self.jvm_gc_time)),
            fetch_wait_time: Millis(count(self.shuffle_fetch_wait_time)),
            write_time: Nanos(count(self.shuffle_write_time)),
            input_bytes: count(self.input_bytes),
            output_bytes: count(self.output_bytes),
            input_records: count(self.input_records),
            output_records: count(self.output_records),
            shuffle_read_bytes: count(self.shuffle_read_bytes),
            shuffle_write_bytes: count(self.shuffle_write_bytes),
            shuffle_read_records: count(self.shuffle_read_records),
            shuffle_write_records: count(self.shuffle_write_records),
            memory_spilled: count(self.memory_bytes_spilled),
            disk_spilled: count(self.disk_bytes_spilled),
        }
    }
}
