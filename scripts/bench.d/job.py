"""The application of a job's cluster: works for a while, says what it has done, and ends.

usage: job.py UI_PORT SCRATCH SECONDS

Prints `ready` with the time once the session is there, and in the end `done`, the time, and how many jobs, stages and tasks
there were.
"""

import json
import sys
import time
import urllib.request

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

SETTINGS = {
    "spark.driver.memory": "1g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.port.maxRetries": "0",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.prometheus.enabled": "true",
    "spark.metrics.conf.driver.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
    "spark.metrics.conf.driver.sink.prometheusServlet.path": "/metrics/prometheus",
    "spark.metrics.conf.driver.source.jvm.class": "org.apache.spark.metrics.source.JvmSource",
    "spark.metrics.appStatusSource.enabled": "true",
    "spark.metrics.namespace": "spark",
}


def ask(port, path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=30) as answer:
        return json.load(answer)


def main():
    port, scratch, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    builder = SparkSession.builder.master("local[2]").appName("a short job")
    for key, value in {**SETTINGS, "spark.ui.port": port, "spark.local.dir": scratch, "spark.sql.warehouse.dir": scratch}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    print("ready", time.time(), flush=True)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        orders = spark.range(400_000).select((f.col("id") % 5_000).alias("customer"), f.rand(7).alias("amount"))
        orders.groupBy("customer").agg(f.sum("amount")).collect()
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    application = ask(port, "applications")[0]["id"]
    jobs = ask(port, f"applications/{application}/jobs")
    stages = ask(port, f"applications/{application}/stages")
    tasks = ask(port, f"applications/{application}/executors")[0]["completedTasks"]
    counts = {"jobs": len(jobs), "stages": sum(stage["status"] == "COMPLETE" for stage in stages), "tasks": tasks}
    print("done", time.time(), json.dumps(counts), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
