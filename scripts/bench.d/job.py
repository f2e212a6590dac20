"""The application of a job's cluster: works for a while, says what it has done, and ends.

usage: job.py UI_PORT SCRATCH SECONDS

Prints `ready` with the time once the session is there, and in the end `done`, the time, and how many jobs, stages and tasks
there were.
"""

import json
import sys
import time
import urllib.request

from pyspark.sql import functions as f

# Of the tests of a real Spark, which is where it is looked for.
from session import start_session


def ask(port, path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=30) as answer:
        return json.load(answer)


def main():
    port, scratch, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    spark = start_session("a short job", "local[2]", port, scratch, {"spark.metrics.namespace": "spark"})
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
