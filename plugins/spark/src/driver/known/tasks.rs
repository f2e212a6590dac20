//! `executor`: what tasks counted, which the driver's page has only in local mode. Names follow those of stages.

use super::Figure;
use crate::telemetry as t;

pub(super) fn add(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    figure.is_plain()
        && (times(figure, metrics)
            || sizes(figure, metrics)
            || shuffle(figure, metrics)
            || push(figure, metrics)
            || filesystem(figure, metrics)
            || threadpool(figure, metrics))
}

fn times(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (start, millis, nanos) = (figure.start, figure.millis(), figure.nanos());
    match figure.name {
        "cpuTime" => metrics.spark_driver_executor_cpu_time(start, nanos),
        "deserializeCpuTime" => metrics.spark_driver_executor_deserialize_cpu_time(start, nanos),
        "runTime" => metrics.spark_driver_executor_run_time(start, millis),
        "deserializeTime" => metrics.spark_driver_executor_deserialize_time(start, millis),
        "resultSerializationTime" => metrics.spark_driver_executor_result_serialization_time(start, millis),
        "jvmGCTime" => metrics.spark_driver_executor_jvm_gc_time(start, millis),
        "shuffleFetchWaitTime" => metrics.spark_driver_executor_shuffle_fetch_wait_time(start, millis),
        "shuffleWriteTime" => metrics.spark_driver_executor_shuffle_write_time(start, nanos),
        "shuffleRemoteReqsDuration" => {
            metrics.spark_driver_executor_shuffle_remote_requests_duration(start, millis);
        }
        "shuffleMergedRemoteReqsDuration" => {
            metrics.spark_driver_executor_shuffle_push_remote_requests_duration(start, millis);
        }
        _ => return false,
    }
    true
}

fn sizes(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (start, count) = (figure.start, figure.count);
    let bytes = |direction| t::SparkDriverExecutorIoSize { direction };
    let records = |direction| t::SparkDriverExecutorIoRecords { direction };
    match figure.name {
        "bytesRead" => metrics.spark_driver_executor_io_size(start, &bytes("in"), count),
        "bytesWritten" => metrics.spark_driver_executor_io_size(start, &bytes("out"), count),
        "recordsRead" => metrics.spark_driver_executor_io_records(start, &records("in"), count),
        "recordsWritten" => metrics.spark_driver_executor_io_records(start, &records("out"), count),
        "diskBytesSpilled" => metrics.spark_driver_executor_disk_spilled(start, count),
        "memoryBytesSpilled" => metrics.spark_driver_executor_memory_spilled(start, count),
        "succeededTasks" => metrics.spark_driver_executor_task_succeeded(start, count),
        "resultSize" => metrics.spark_driver_executor_task_result_size(start, count),
        _ => return false,
    }
    true
}

fn shuffle(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (start, count) = (figure.start, figure.count);
    let blocks = |source| t::SparkDriverExecutorShuffleBlocksFetched { source };
    let read = |source| t::SparkDriverExecutorShuffleIoReadSize { source };
    let records = |direction| t::SparkDriverExecutorShuffleIoRecords { direction };
    match figure.name {
        "shuffleLocalBlocksFetched" => {
            metrics.spark_driver_executor_shuffle_blocks_fetched(start, &blocks("local"), count);
        }
        "shuffleRemoteBlocksFetched" => {
            metrics.spark_driver_executor_shuffle_blocks_fetched(start, &blocks("remote"), count);
        }
        "shuffleLocalBytesRead" => metrics.spark_driver_executor_shuffle_io_read_size(start, &read("local"), count),
        "shuffleRemoteBytesRead" => metrics.spark_driver_executor_shuffle_io_read_size(start, &read("remote"), count),
        "shuffleRemoteBytesReadToDisk" => metrics.spark_driver_executor_shuffle_io_disk(start, count),
        "shuffleBytesWritten" => metrics.spark_driver_executor_shuffle_io_write_size(start, count),
        "shuffleRecordsRead" => metrics.spark_driver_executor_shuffle_io_records(start, &records("in"), count),
        "shuffleRecordsWritten" => metrics.spark_driver_executor_shuffle_io_records(start, &records("out"), count),
        // Local and remote together.
        "shuffleTotalBytesRead" => {}
        _ => return false,
    }
    true
}

/// Shuffles whose blocks are merged where they are stored.
fn push(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (start, count) = (figure.start, figure.count);
    let blocks = |source| t::SparkDriverExecutorShufflePushBlocksFetched { source };
    let chunks = |source| t::SparkDriverExecutorShufflePushChunksFetched { source };
    let read = |source| t::SparkDriverExecutorShufflePushReadSize { source };
    match figure.name {
        "shuffleMergedLocalBlocksFetched" => {
            metrics.spark_driver_executor_shuffle_push_blocks_fetched(start, &blocks("local"), count);
        }
        "shuffleMergedRemoteBlocksFetched" => {
            metrics.spark_driver_executor_shuffle_push_blocks_fetched(start, &blocks("remote"), count);
        }
        "shuffleMergedLocalChunksFetched" => {
            metrics.spark_driver_executor_shuffle_push_chunks_fetched(start, &chunks("local"), count);
        }
        "shuffleMergedRemoteChunksFetched" => {
            metrics.spark_driver_executor_shuffle_push_chunks_fetched(start, &chunks("remote"), count);
        }
        "shuffleMergedLocalBytesRead" => {
            metrics.spark_driver_executor_shuffle_push_read_size(start, &read("local"), count);
        }
        "shuffleMergedRemoteBytesRead" => {
            metrics.spark_driver_executor_shuffle_push_read_size(start, &read("remote"), count);
        }
        "shuffleCorruptMergedBlockChunks" => metrics.spark_driver_executor_shuffle_push_corrupt_chunks(start, count),
        "shuffleMergedFetchFallbackCount" => metrics.spark_driver_executor_shuffle_push_fallbacks(start, count),
        _ => return false,
    }
    true
}

fn filesystem(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (start, count) = (figure.start, figure.count);
    let of = |number| figure.between("filesystem_", number).map(|scheme| scheme.as_written());
    let moved = [("_read_bytes", "in"), ("_write_bytes", "out")];
    let done = [("_read_ops", "read"), ("_largeRead_ops", "large_read"), ("_write_ops", "write")];
    if let Some((scheme, direction)) = moved.into_iter().find_map(|(number, way)| Some((of(number)?, way))) {
        let attributes = t::SparkDriverExecutorFilesystemIoSize { scheme, direction };
        metrics.spark_driver_executor_filesystem_io_size(start, &attributes, count);
    } else if let Some((scheme, operation)) = done.into_iter().find_map(|(number, what)| Some((of(number)?, what))) {
        let attributes = t::SparkDriverExecutorFilesystemOperations { scheme, operation };
        metrics.spark_driver_executor_filesystem_operations(start, &attributes, count);
    } else {
        return false;
    }
    true
}

fn threadpool(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (start, count) = (figure.start, figure.count);
    match figure.name {
        "threadpool_activeTasks" => metrics.spark_driver_executor_threadpool_tasks_active(count),
        "threadpool_startedTasks" => metrics.spark_driver_executor_threadpool_tasks_started(start, count),
        "threadpool_completeTasks" => metrics.spark_driver_executor_threadpool_tasks_completed(start, count),
        "threadpool_currentPool_size" => metrics.spark_driver_executor_threadpool_size(count),
        "threadpool_maxPool_size" => metrics.spark_driver_executor_threadpool_limit(count),
        _ => return false,
    }
    true
}
