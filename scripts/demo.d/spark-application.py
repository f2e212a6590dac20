"""A small Spark application that is never idle, with every metrics page that Kiln reads switched on.

Prints `listening on URL` (its web UI) once the metrics can be read, and runs until it is terminated.
"""

import signal
import sys
import tempfile

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.streaming import StreamingQuery

SETTINGS = {
    "spark.driver.memory": "1g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.port": "0",
    "spark.ui.showConsoleProgress": "false",
    # Few partitions: the tasks of a demo are small, and two cores are all it takes.
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.prometheus.enabled": "true",
    "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
    "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
    "spark.metrics.appStatusSource.enabled": "true",
    "spark.sql.streaming.metricsEnabled": "true",
}


def start_session(scratch: str) -> SparkSession:
    builder = SparkSession.builder.master("local[2]").appName("kiln-demo")
    for key, value in {**SETTINGS, "spark.local.dir": scratch, "spark.sql.warehouse.dir": scratch}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def start_stream(spark: SparkSession, scratch: str) -> StreamingQuery:
    """Events per shop and minute: state, a watermark and a shuffle in every micro-batch."""
    events = spark.readStream.format("rate").option("rowsPerSecond", 200).load()
    return (
        events.withWatermark("timestamp", "30 seconds")
        .groupBy(f.window("timestamp", "1 minute"), (f.col("value") % 20).alias("shop"))
        .agg(f.count("*").alias("events"))
        .writeStream.queryName("orders-per-minute")
        .outputMode("update")
        .format("noop")
        .option("checkpointLocation", f"{scratch}/checkpoint")
        .trigger(processingTime="2 seconds")
        .start()
    )


def orders_by_customer(spark: SparkSession) -> DataFrame:
    """A join and an aggregation, each with a shuffle of its own."""
    orders = spark.range(400_000).select((f.col("id") % 5_000).alias("customer"), f.rand(7).alias("amount"))
    customers = spark.range(5_000).select(f.col("id").alias("customer"), (f.col("id") % 50).alias("region"))
    return orders.join(customers.hint("merge"), "customer").groupBy("region").agg(f.sum("amount"), f.count("*"))


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="kiln-demo-spark-") as scratch:
        spark = start_session(scratch)
        spark.sparkContext.setLogLevel("ERROR")
        stream = start_stream(spark, scratch)
        orders_by_customer(spark).collect()
        print(f"listening on {spark.sparkContext.uiWebUrl}", flush=True)
        # Waiting on the stream paces the jobs, leaves room for the rest of the demo, and raises what breaks the stream.
        while not stream.awaitTermination(timeout=1):
            orders_by_customer(spark).collect()


if __name__ == "__main__":
    main()
