//! What all finished jobs and stages came to: series whose number does not grow with the application.
//!
//! They are counted since the application started, also what had finished before Kiln came, as far as Spark still knows
//! it.

use std::collections::BTreeMap;

use kiln_plugin::UnixNanos;
use serde::{Deserialize, Serialize};

use super::job::Job;
use super::stage::{Millis, Nanos, Stage};
use crate::telemetry as t;

/// Sums over everything that has finished, by how it ended.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Totals {
    jobs: BTreeMap<String, Ended<t::SparkJobsDurationBounds>>,
    jobs_lost: i64,
    stages: BTreeMap<String, Ended<t::SparkStagesDurationBounds>>,
    stages_lost: i64,
    tasks: BTreeMap<String, i64>,
    run_time: Millis,
    cpu_time: Nanos,
    gc_time: Millis,
    fetch_wait_time: Millis,
    write_time: Nanos,
    /// Bytes and records: in and out, without and with a shuffle.
    io_size: [i64; 2],
    io_records: [i64; 2],
    shuffle_size: [i64; 2],
    shuffle_records: [i64; 2],
    memory_spilled: i64,
    disk_spilled: i64,
}

/// Those that ended in one way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "B: kiln_plugin::Bounds")]
pub(crate) struct Ended<B> {
    pub(crate) count: i64,
    pub(crate) duration: kiln_plugin::Histogram<B>,
}

impl<B: kiln_plugin::Bounds> Default for Ended<B> {
    fn default() -> Self {
        Self { count: 0, duration: kiln_plugin::Histogram::new() }
    }
}

impl<B: kiln_plugin::Bounds> Ended<B> {
    /// Counts one that took so many milliseconds, if that is known.
    pub(crate) fn add(&mut self, millis: Option<u64>) {
        add(&mut self.count, 1);
        if let Some(millis) = millis {
            self.duration.record(seconds(millis));
        }
    }
}

impl Totals {
    pub(crate) fn add_job(&mut self, job: &Job) {
        self.jobs.entry(job.status().name().to_owned()).or_default().add(job.duration());
    }

    pub(crate) fn add_stage(&mut self, stage: &Stage) {
        self.stages.entry(stage.status().name().to_owned()).or_default().add(stage.duration());
        for (result, count) in stage.tasks() {
            add(self.tasks.entry(result.to_owned()).or_default(), count);
        }
        let work = stage.work();
        add(&mut self.run_time.0, work.run_time.0);
        add(&mut self.cpu_time.0, work.cpu_time.0);
        add(&mut self.gc_time.0, work.gc_time.0);
        add(&mut self.fetch_wait_time.0, work.fetch_wait_time.0);
        add(&mut self.write_time.0, work.write_time.0);
        add_both(&mut self.io_size, [work.input_bytes, work.output_bytes]);
        add_both(&mut self.io_records, [work.input_records, work.output_records]);
        add_both(&mut self.shuffle_size, [work.shuffle_read_bytes, work.shuffle_write_bytes]);
        add_both(&mut self.shuffle_records, [work.shuffle_read_records, work.shuffle_write_records]);
        add(&mut self.memory_spilled, work.memory_spilled);
        add(&mut self.disk_spilled, work.disk_spilled);
    }

    pub(crate) fn lose_jobs(&mut self, jobs: u64) {
        add(&mut self.jobs_lost, i64::try_from(jobs).unwrap_or(i64::MAX));
    }

    pub(crate) fn lose_stages(&mut self, stages: u64) {
        add(&mut self.stages_lost, i64::try_from(stages).unwrap_or(i64::MAX));
    }

    pub(crate) fn add_jobs_to(&self, start: UnixNanos, metrics: &mut t::Metrics) {
        for (status, jobs) in &self.jobs {
            metrics.spark_jobs_finished(start, &t::SparkJobsFinished { status }, jobs.count);
            if jobs.duration.count() > 0 {
                metrics.spark_jobs_duration(start, &t::SparkJobsDuration { status }, &jobs.duration);
            }
        }
        metrics.spark_jobs_lost(start, self.jobs_lost);
    }

    pub(crate) fn add_stages_to(&self, start: UnixNanos, metrics: &mut t::Metrics) {
        for (status, stages) in &self.stages {
            metrics.spark_stages_finished(start, &t::SparkStagesFinished { status }, stages.count);
            if stages.duration.count() > 0 {
                metrics.spark_stages_duration(start, &t::SparkStagesDuration { status }, &stages.duration);
            }
        }
        metrics.spark_stages_lost(start, self.stages_lost);
        for (result, tasks) in &self.tasks {
            metrics.spark_stages_task_result(start, &t::SparkStagesTaskResult { result }, *tasks);
        }
        metrics.spark_stages_executor_run_time(start, self.run_time.seconds());
        metrics.spark_stages_executor_cpu_time(start, self.cpu_time.seconds());
        metrics.spark_stages_jvm_gc_time(start, self.gc_time.seconds());
        metrics.spark_stages_shuffle_fetch_wait_time(start, self.fetch_wait_time.seconds());
        metrics.spark_stages_shuffle_write_time(start, self.write_time.seconds());
        metrics.spark_stages_memory_spilled(start, self.memory_spilled);
        metrics.spark_stages_disk_spilled(start, self.disk_spilled);
        macro_rules! both {
            ($field:ident, $method:ident, $attributes:ident) => {
                for (direction, value) in ["in", "out"].into_iter().zip(self.$field) {
                    metrics.$method(start, &t::$attributes { direction }, value);
                }
            };
        }
        both!(io_size, spark_stages_io_size, SparkStagesIoSize);
        both!(io_records, spark_stages_io_records, SparkStagesIoRecords);
        both!(shuffle_size, spark_stages_shuffle_io_size, SparkStagesShuffleIoSize);
        both!(shuffle_records, spark_stages_shuffle_io_records, SparkStagesShuffleIoRecords);
    }
}

/// Sums stay what they are rather than turn round.
pub(crate) const fn add(sum: &mut i64, value: i64) {
    *sum = sum.saturating_add(value);
}

fn add_both(sums: &mut [i64; 2], values: [i64; 2]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| add(sum, value));
}

/// Seconds, precise to the millisecond up to 285,000 years.
pub(crate) const fn seconds(millis: u64) -> f64 {
    millis as f64 / 1e3
}
