"""What Kiln costs on the driver of a cluster, and what arrives of a job that is over in a minute.

The bundle is the one that would be installed. What is measured of Kiln alone is measured beside a replayed Spark, and the job
beside a real one, with the init script that would be run. Ends with 1 if a goal is missed or nothing arrives.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

from beside import driver
from beside.report import about
from beside.world import Backend, Running, await_that, fetch

GOALS = {
    "bundle_mb": ("the bundle, compressed", "MB", 7.0),
    "start_ms": ("exec to the first numbers at the backend", "ms", 150.0),
    "rss_mib": ("memory (RSS), at most", "MiB", 25.0),
    "cpu_percent": ("processor time, of one core", "%", 0.5),
}
STARTS = 10


def environment(port, backend):
    """Of a driver, as far as Kiln looks at it."""
    return {
        "DB_CLUSTER_ID": "1122-101010-abcdefgh",
        "DB_CLUSTER_NAME": "job-123-run-456-main",
        "KILN_SPARK_UI_PORTS": str(port),
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend,
        **driver.ENVIRONMENT,
    }


class Kiln(Running):
    def __init__(self, scratch, command, port, backend, core):
        os.environ.update(environment(port, backend.url))
        super().__init__([*command, "--config", f"{scratch}/current/kiln.yaml"], core, f"{scratch}/kiln.log")


class Replay:
    def __init__(self, program, pages, executors):
        command = [program, "--pages", pages, "--executors", str(executors)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = self.process.stdout.readline().strip().rsplit(":", 1)[1]

    def end(self):
        self.process.terminate()
        self.process.wait()


def has_points(backend):
    """More than that Spark is awaited, which is a handful of points."""
    return any(request["signal"] == "metrics" and request["items"] > 100 for request in backend.requests())


def starts(scratch, command, port, backend, core):
    took = []
    for _ in range(STARTS):
        backend.forget()
        kiln = Kiln(scratch, command, port, backend, core)
        try:
            await_that("the first numbers", lambda: kiln.check_alive() and has_points(backend), pause=0.002)
            took.append((time.monotonic() - kiln.began) * 1000)
        finally:
            kiln.end()
    return took


def steady(scratch, command, port, backend, core, minutes):
    backend.forget()
    kiln = Kiln(scratch, command, port, backend, core)
    try:
        await_that("the first numbers", lambda: kiln.check_alive() and has_points(backend))
        first = len(backend.requests())
        before, began, resident = kiln.processor_seconds(), time.monotonic(), 0
        while time.monotonic() < began + 60 * minutes:
            kiln.check_alive()
            resident = max(resident, kiln.memory("VmRSS"))
            time.sleep(0.5)
        cpu, wall = kiln.processor_seconds() - before, time.monotonic() - began
        sent = [request for request in backend.requests()[first:] if request["signal"] == "metrics"]
        return {
            "rss_mib": max(resident, kiln.memory("VmHWM")),
            "cpu_percent": cpu / wall * 100,
            "collections": len(sent),
            "points": statistics.mean(request["items"] for request in sent),
            "wire_kb": statistics.mean(request["wire_bytes"] for request in sent) / 1000,
        }
    finally:
        kiln.end()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Job:
    """A driver that lives for as long as its job: the init script first, then Spark, and in the end the machine is shut down."""

    def __init__(self, arguments, backend):
        self.scratch, self.backend, self.port = arguments.scratch, backend, free_port()
        self.root = f"{self.scratch}/root"
        os.makedirs(f"{self.root}/tmp")
        os.makedirs(f"{self.scratch}/spark")
        source = os.path.dirname(os.path.abspath(arguments.bundle))
        script = f"{self.scratch}/kiln-init.sh"
        subprocess.run(
            [arguments.kiln, "init-script", "--bundle", source, "--source", source, "-o", script],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        driver = {**os.environ, **environment("", backend.url), "DB_IS_DRIVER": "TRUE", "KILN_ROOT": self.root}
        driver["DB_DRIVER_IP"] = "127.0.0.1"
        self.began = time.time()
        subprocess.run(["bash", script], env=driver, check=True, stdout=subprocess.DEVNULL)
        self.returned = time.time()
        here = os.path.dirname(os.path.abspath(__file__))
        job = os.path.join(here, "job.py")
        session = os.path.join(here, "../../tests/testbed/tests/spark_live")
        command = [arguments.python, job, str(self.port), f"{self.scratch}/spark", str(arguments.seconds)]
        self.spark = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=open(f"{self.scratch}/spark.log", "w", encoding="utf-8"),
            text=True,
            env={**os.environ, "PYTHONPATH": session, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        with open(f"{self.root}/tmp/driver-env.sh", "w", encoding="utf-8") as announced:
            announced.write(f'export CONF_UI_PORT="{self.port}"\n')
        self.answered = self.await_answer()

    def await_answer(self):
        def answers():
            try:
                return fetch(f"http://127.0.0.1:{self.port}/api/v1/version").startswith(b"{") and time.time()
            except OSError:
                return None

        return await_that("Spark's UI", answers)

    def run(self):
        self.ready = float(self.line("ready")[1])
        done = self.line("done", maxsplit=2)
        self.done, self.truth = float(done[1]), json.loads(done[2])
        self.spark.wait()
        self.gone = time.time()
        self.shut_down()

    def shut_down(self):
        """As a machine that is shut down does it: a signal, and some time."""
        with open(f"{self.root}/opt/kiln/supervisor.pid", encoding="ascii") as file:
            supervisor = int(file.read())
        os.kill(supervisor, signal.SIGTERM)
        await_that("Kiln to end", lambda: not os.path.exists(f"{self.root}/opt/kiln/supervisor.pid"))
        self.stopped = time.time()

    def line(self, word, maxsplit=-1):
        for line in self.spark.stdout:
            if line.startswith(word):
                return line.strip().split(" ", maxsplit)
        with open(f"{self.scratch}/spark.log", encoding="utf-8") as log:
            raise SystemExit(f"Spark has ended before it said `{word}`:\n{log.read()[-3000:]}")

    def arrived(self):
        telemetry = json.loads(fetch(f"{self.backend.url}/-/telemetry"))
        points = telemetry["points"]
        at = lambda point: point["time_nanos"] / 1e9
        of_executors = sorted({at(point) for point in points if point["metric"] == "spark.executor.task.count"})
        if not of_executors:
            with open(f"{self.root}/var/log/kiln/kiln.log", encoding="utf-8") as log:
                raise SystemExit(f"nothing has arrived of the executors:\n{log.read()[-3000:]}")
        spans = {span["span_id"]: span for span in telemetry["spans"]}.values()
        counted = lambda metric, **attributes: max(
            (
                number(point)
                for point in points
                if point["metric"] == metric and attributes.items() <= point["attributes"].items()
            ),
            default=0,
        )
        identified = [
            point for point in points if point["origin"]["resource"].get("databricks.run.id") == 456
        ]
        return [
            ("the init script returned after", f"{self.returned - self.began:.2f} s"),
            ("Spark's UI answered after", f"{self.answered - self.began:.1f} s"),
            ("its executors were first read", f"{of_executors[0] - self.answered:.1f} s after that"),
            ("the last work was done after", f"{self.done - self.began:.1f} s"),
            ("the executors were last read", f"{self.done - of_executors[-1]:.1f} s before that"),
            ("collections of executors", len(of_executors)),
            ("metrics / points", f"{len({point['metric'] for point in points})} / {len(points):,}"),
            ("spans of jobs and stages", len(spans)),
            ("points with the run's id", f"{len(identified):,} of {len(points):,}"),
            ("jobs Spark has run / told", f"{self.truth['jobs']} / {counted('spark.driver.dag_scheduler.job.count'):.0f}"),
            ("tasks completed / told", f"{self.truth['tasks']} / {counted('spark.executor.task.result', result='completed'):.0f}"),
            ("the end of Spark was told", "yes" if counted("spark.receiver.state", **{"spark.receiver.state": "ended"}) else "no"),
            ("Kiln stopped within", f"{self.stopped - self.gone:.1f} s"),
        ]


def number(point):
    value = point["value"]
    return float(next(iter(value.values()))) if isinstance(value, dict) else float(value)


def goal_rows(measured):
    for name, (what, unit, goal) in GOALS.items():
        yield what, f"{measured[name]:.2f} {unit}", f"at most {goal:g} {unit}", "" if measured[name] <= goal else "MISSED"


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows])


def report(arguments, measured, took, job):
    facts = about(arguments.kiln, arguments.kiln)
    text = f"""# Kiln on the driver of a cluster

Written by `{arguments.command}`, with {facts['kiln']} at {facts['commit']}; {facts['processor']}, Linux {facts['kernel']}.

What is installed is [the bundle of `scripts/bundle`](../../deploy/databricks/README.md#install): a Kiln without a compiler, the
plugins `spark` and `resource-detection` with their native code, and the configuration
[kiln.yaml](../../deploy/databricks/kiln.yaml), which reads Spark every 15 s. Spark is a replayed one with {arguments.executors}
executors; Kiln has a core of its own. Memory and processor time are those of {arguments.minutes} minutes after the first
collection, in which {measured['collections']} requests brought {measured['points']:,.0f} points each, in
{measured['wire_kb']:.1f} kB. Start is the median of {STARTS}, Spark being there already: {min(took):.0f} to {max(took):.0f} ms.

{table(('', 'measured', 'goal', ''), goal_rows(measured))}
"""
    if job:
        text += f"""
## A job that is over in a minute

A real Spark, started after the init script as on a job's cluster, works for {arguments.seconds} s and ends; then the machine is shut
down, which Kiln is told by a signal. The backend has:

{table(('', ''), job)}

What Spark counted between the last collection and its end is not there: its UI ends with it, and nobody else knows the numbers.
That is at most `collection_interval`, 15 s. What Spark does before Kiln is told to stop is read once more (`final_collection`),
if Spark is there then.
"""
    with open(f"{arguments.output}/cluster.md", "w", encoding="utf-8") as file:
        file.write(text)
    return text


def main():
    parser = argparse.ArgumentParser()
    for name in ("scratch", "kiln", "bundle", "sink", "replay", "pages", "output", "command"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("executors", "minutes", "core", "seconds"):
        parser.add_argument(f"--{name}", required=True, type=int)
    parser.add_argument("--python")
    arguments = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {arguments.core} or cores)
    command = driver.unpack(arguments.bundle, f"{arguments.scratch}/current")
    os.makedirs(f"{arguments.scratch}/data", exist_ok=True)
    measured = {"bundle_mb": os.path.getsize(arguments.bundle) / 1e6}
    backend = Backend(arguments.sink, keeps=True)
    replay = Replay(arguments.replay, arguments.pages, arguments.executors)
    try:
        took = starts(arguments.scratch, command, replay.port, backend, arguments.core)
        measured["start_ms"] = statistics.median(took)
        measured |= steady(arguments.scratch, command, replay.port, backend, arguments.core, arguments.minutes)
    finally:
        replay.end()
        backend.end()
    job = None
    if arguments.python:
        backend = Backend(arguments.sink, keeps=True)
        try:
            job = Job(arguments, backend)
            job.run()
            job = job.arrived()
        finally:
            backend.end()
    print(report(arguments, measured, took, job))
    return 1 if any(row[-1] for row in goal_rows(measured)) else 0


if __name__ == "__main__":
    sys.exit(main())
