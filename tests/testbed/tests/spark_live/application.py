"""A Spark application that does everything Kiln has a metric for, one phase after another, as it is told.

usage: application.py MASTER UI_PORT SCRATCH hive|in-memory

Reads commands from stdin, one a line, and answers each with a line on stdout when it is done:

  work   jobs of every kind, with the streams going on; at the end two batches of each stream are over
  quiet  ends the streams and waits until nothing runs: from then on no number of Spark changes but the JVM's own
  end    stops the session, and with it the UI, as an application does that is done

The first line, `listening on URL`, comes when the session is there.
"""

import os
import sys
import threading
import time

from pyspark import SparkContext, StorageLevel, TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.streaming import StreamingQuery
from pyspark.streaming import StreamingContext

from session import start_session

# Spark writes it into labels as it is: a quote in it breaks every parser that does not expect that.
NAME = 'nightly "ETL" {live}'

JOB_GROUP = "1122334455_8877665544_job-611-run-733-action-5"

SETTINGS = {
    # So little memory to compute in that a few MB spill.
    "spark.memory.fraction": "0.02",
    "spark.sql.streaming.metricsEnabled": "true",
    "spark.executor.processTreeMetrics.enabled": "true",
    "spark.executor.heartbeatInterval": "2s",
    "spark.storage.blockManagerHeartbeatTimeoutMs": "120s",
    # As a job's cluster of Databricks has them.
    "spark.databricks.clusterUsageTags.clusterOwnerOrgId": "1234567890123456",
    "spark.databricks.clusterUsageTags.clusterId": "1122-101010-abcdefgh",
    "spark.databricks.clusterUsageTags.clusterName": "job-611-run-722-main",
    "spark.databricks.clusterUsageTags.clusterAllTags": '[{"key":"secret","value":"must not leave"}]',
}

# Only executors in processes of their own come and go.
ALLOCATION = {
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.initialExecutors": "2",
    "spark.dynamicAllocation.minExecutors": "2",
    "spark.dynamicAllocation.maxExecutors": "2",
}


def start_streams(spark: SparkSession, scratch: str) -> list[StreamingQuery]:
    """One with a name, a watermark and state, one with neither."""
    events = spark.readStream.format("rate").option("rowsPerSecond", 100).load()
    windows = (
        events.withWatermark("timestamp", "5 seconds")
        .groupBy(f.window("timestamp", "2 seconds"), (f.col("value") % 5).alias("shop"))
        .agg(f.count("*").alias("events"))
    )
    named = windows.writeStream.queryName("orders-per-window.v1").outputMode("update")
    unnamed = events.writeStream
    return [
        writer.format("noop")
        .option("checkpointLocation", f"{scratch}/checkpoint-{index}")
        .trigger(processingTime="2 seconds")
        .start()
        for index, writer in enumerate([named, unnamed])
    ]


def start_dstream(context: SparkContext) -> StreamingContext:
    """A stream of the old kind, which has its own pages."""
    streaming = StreamingContext(context, 2)
    batches = streaming.queueStream([context.parallelize(range(100), 2) for _ in range(3)], default=None)
    batches.foreachRDD(lambda batch: batch.count())
    streaming.start()
    return streaming


def spill(spark: SparkSession) -> None:
    rows = spark.range(0, 500_000, numPartitions=4).select((f.col("id") * 7919 % 500_009).alias("key"), f.rand(7).alias("x"))
    rows.repartition(2).sortWithinPartitions("key").agg(f.sum("x")).collect()


def join(spark: SparkSession) -> DataFrame:
    orders = spark.range(100_000).select((f.col("id") % 1_000).alias("customer"), f.rand(7).alias("amount"))
    customers = spark.range(1_000).select(f.col("id").alias("customer"), (f.col("id") % 50).alias("region"))
    return orders.join(customers.hint("merge"), "customer").groupBy("region").agg(f.sum("amount"), f.count("*"))


def skip_stages(context: SparkContext) -> None:
    """The second job finds the first one's shuffle."""
    totals = context.parallelize(range(2_000), 4).map(lambda n: (n % 10, n)).reduceByKey(lambda a, b: a + b)
    totals.count()
    totals.collect()


def cache(context: SparkContext) -> None:
    rows = context.parallelize(range(20_000), 4).setName("kept rows").persist(StorageLevel.MEMORY_AND_DISK)
    rows.count()
    rows.sum()
    on_disk = context.parallelize(range(5_000), 2).setName("rows on disk").persist(StorageLevel.DISK_ONLY)
    on_disk.count()
    on_disk.sum()


def fail(context: SparkContext) -> None:
    """Every attempt of a task fails, and with it its stage and job."""

    def divide(n: int) -> float:
        return 1 / (n - n)

    try:
        context.parallelize(range(4), 2).map(divide).collect()
    except Exception:
        return
    raise RuntimeError("a job that divides by zero has succeeded")


def retry(context: SparkContext) -> None:
    """The first attempt of a task fails, the next does not."""

    def stumble(n: int) -> int:
        if n == 0 and TaskContext.get().attemptNumber() == 0:
            raise RuntimeError("stumbled")
        return n

    context.parallelize(range(4), 4).map(stumble).collect()


def cancel(context: SparkContext) -> None:
    """A job is cancelled while its tasks run: they are killed."""

    def sleep() -> None:
        context.setJobGroup("cancelled", "will be cancelled", interruptOnCancel=True)
        try:
            context.parallelize(range(2), 2).foreach(lambda _: time.sleep(120))
        except Exception:
            pass

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    status = context.statusTracker()
    while not any(status.getStageInfo(stage).numActiveTasks for stage in status.getActiveStageIds() if is_cancelled(status, stage)):
        time.sleep(0.05)
    context.cancelJobGroup("cancelled")
    sleeper.join()


def is_cancelled(status, stage: int) -> bool:
    jobs = [status.getJobInfo(job) for job in status.getJobIdsForGroup("cancelled")]
    return status.getStageInfo(stage) is not None and any(stage in job.stageIds for job in jobs if job)


def query_table(spark: SparkSession) -> None:
    spark.sql("CREATE TABLE IF NOT EXISTS sales (id BIGINT, day INT) USING parquet PARTITIONED BY (day)")
    spark.sql("INSERT INTO sales SELECT id, CAST(id % 3 AS INT) FROM range(300)")
    spark.sql("SELECT count(*) FROM sales WHERE day = 1").collect()
    spark.sql("SELECT count(*) FROM sales WHERE day = 1").collect()


def lose_executor(spark: SparkSession) -> None:
    """One of two executors is killed, and another takes its place."""
    spark.sparkContext._jsc.sc().killAndReplaceExecutor("0")
    while len(alive := executors(spark)) < 2 or "0" in alive:
        time.sleep(0.1)


def executors(spark: SparkSession) -> list[str]:
    """The ids of those that are alive, but for the driver."""
    known = spark.sparkContext._jsc.sc().statusStore().executorList(True)
    ids = [known.apply(index).id() for index in range(known.length())]
    return [executor for executor in ids if executor != "driver"]


def await_batches(streams: list[StreamingQuery]) -> None:
    """Until each has had two batches with rows."""
    for stream in streams:
        while sum(progress["numInputRows"] > 0 for progress in stream.recentProgress) < 2:
            if stream.exception():
                raise stream.exception()
            time.sleep(0.1)


def work(spark: SparkSession, in_cluster: bool, streams: list[StreamingQuery], is_first: bool) -> None:
    context = spark.sparkContext
    context.setJobGroup(JOB_GROUP, "the work of a notebook")
    spill(spark)
    join(spark).collect()
    skip_stages(context)
    fail(context)
    cancel(context)
    if in_cluster:
        retry(context)
    if is_first:
        cache(context)
        query_table(spark)
        if in_cluster:
            lose_executor(spark)
    await_batches(streams)


def await_quiet(context: SparkContext) -> None:
    status = context.statusTracker()
    while status.getActiveJobsIds() or status.getActiveStageIds():
        time.sleep(0.05)
    context._jsc.sc().listenerBus().waitUntilEmpty()
    # The last heartbeats bring the last figures of the executors.
    time.sleep(5)


def main() -> None:
    master, port, scratch, catalogue = sys.argv[1:]
    os.chdir(scratch)
    in_cluster = master.startswith("local-cluster")
    # A Hive metastore of its own takes a quarter of a minute to start.
    settings = SETTINGS | (ALLOCATION if in_cluster else {}) | {"spark.sql.catalogImplementation": catalogue}
    spark = start_session(NAME, master, port, scratch, settings)
    streams = start_streams(spark, scratch)
    dstream = start_dstream(spark.sparkContext)
    print(f"listening on http://127.0.0.1:{port}", flush=True)
    rounds = 0
    for line in sys.stdin:
        match line.strip():
            case "work":
                work(spark, in_cluster, streams, rounds == 0)
                rounds += 1
            case "quiet":
                dstream.stop(stopSparkContext=False)
                for stream in streams:
                    stream.stop()
                await_quiet(spark.sparkContext)
            case "end":
                spark.stop()
            case other:
                raise SystemExit(f"no such command: {other}")
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main()
