"""Measures a Kiln that reads a simulated workspace, and compares what arrives with what is true.

usage: workspace.py sync|steady --workspace URL --backend URL --kiln URL --pid PID --state FILE --interval S --minutes N

`sync` waits, for N minutes at most, until everything has been read once. `steady` measures for N minutes what comes
after, then compares. Both print a table; both end with 1 if something is not as it should be.
"""

import argparse
import json
import os
import re
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter, defaultdict

# Everything is on this machine, whatever proxy the environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# Tells that a part of the workspace has been read to the end.
RUNS_ARE_READ = "databricks.job.success_rate"
OBJECTS_ARE_READ = "databricks.workspace.objects"
FILES_ARE_READ = "databricks.dbfs.file_count"

DURATIONS = ("run", "queue", "setup", "execution", "cleanup")
COMPARED = [
    "databricks.jobs.total",
    "databricks.job_runs.count",
    "databricks.job_runs.active",
    *(f"databricks.job.duration.{phase}" for phase in DURATIONS),
    "databricks.job.success_rate",
    "databricks.job.cost",
    "databricks.tasks.duration",
    "databricks.tasks.setup_duration",
    "databricks.warehouses.count",
    "databricks.clusters.count",
    "databricks.cluster.workers",
    "databricks.instance_pool.instances",
    "databricks.serving_endpoints.count",
    "databricks.workspace.objects",
    "databricks.dbfs.storage_bytes",
    "databricks.dbfs.file_count",
    "databricks.tokens.count",
    "databricks.tokens.days_until_expiry",
    "databricks.users.count",
    "databricks.groups.count",
    "databricks.policies.count",
    "databricks.scraper.errors",
]

# What is read every minute may be as old as that, and a collection.
STALE_SECONDS = 75


def fetch(url, method="GET", timeout=300):
    with OPENER.open(urllib.request.Request(url, method=method), timeout=timeout) as answer:
        return answer.read()


def fetch_json(url):
    return json.loads(fetch(url))


class Servers:
    """What is asked, and how."""

    def __init__(self, arguments):
        self.arguments = arguments

    def requests(self):
        return [request["path"] for request in fetch_json(f"{self.arguments.workspace}/-/requests")]

    def truth(self, since, until):
        return fetch_json(f"{self.arguments.workspace}/-/truth?from={since}&to={until}")

    def telemetry(self, metrics):
        query = urllib.parse.urlencode([("metric", name) for name in metrics])
        return fetch_json(f"{self.arguments.backend}/-/telemetry?{query}")

    def forget(self):
        fetch(f"{self.arguments.backend}/-/telemetry", "DELETE")

    def kiln(self):
        """Kiln's own metrics, by name, added up over everything but what is asked for."""
        values = defaultdict(float)
        for line in fetch(f"{self.arguments.kiln}/metrics").decode().splitlines():
            if match := re.match(r"(\w+)(?:\{(.*)\})? (\S+)", line):
                values[match[1]] += float(match[3])
                for outcome in re.findall(r'outcome="(\w+)"', match[2] or ""):
                    values[f"{match[1]}/{outcome}"] += float(match[3])
        return values


class Cycles:
    """Collections as they end, with what each cost."""

    def __init__(self, servers, interval):
        self.servers = servers
        self.interval = interval
        self.asked = len(servers.requests())
        self.kiln = servers.kiln()
        self.memory = self.rss = 0
        self.requests, self.seconds, self.cpu = [], [], []
        self.bytes, self.items = defaultdict(list), defaultdict(list)
        self.began = time.monotonic()
        servers.forget()

    def next(self, deadline):
        """Waits for the end of a collection and gives the points of what tells progress; nothing after the deadline."""
        while True:
            if time.monotonic() > deadline:
                return None
            kiln = self.servers.kiln()
            if kiln["kiln_collection_duration_seconds_count"] > self.kiln["kiln_collection_duration_seconds_count"]:
                break
            time.sleep(0.2)
        while self.is_sending(self.servers.kiln()) and time.monotonic() < deadline:
            time.sleep(0.1)
        since = {name: kiln[name] - self.kiln[name] for name in kiln}
        self.kiln = kiln
        count = since["kiln_collection_duration_seconds_count"]
        self.seconds.append(since["kiln_collection_duration_seconds_sum"] / count)
        self.cpu.append(since["kiln_instance_cpu_seconds_total"] / count)
        self.memory = max(self.memory, kiln["kiln_instance_memory_bytes"])
        self.rss = max(self.rss, resident_bytes(self.servers.arguments.pid))
        paths = self.servers.requests()
        self.requests.append(Counter(endpoint(path) for path in paths[self.asked :]))
        self.asked = len(paths)
        telemetry = self.servers.telemetry([RUNS_ARE_READ, OBJECTS_ARE_READ, FILES_ARE_READ])
        for signal in ("metrics", "traces", "logs"):
            sent = [request for request in telemetry["requests"] if request["signal"] == signal]
            if sent:
                self.bytes[signal].append(sum(request["wire_bytes"] for request in sent))
                self.items[signal].append(sum(request["items"] for request in sent))
        self.servers.forget()
        return {point["metric"] for point in telemetry["points"]}

    @staticmethod
    def is_sending(kiln):
        return kiln["otelcol_exporter_queue_size"] + kiln["otelcol_exporter_in_flight_requests"] > 0

    def asked_for(self, path):
        return sum(cycle[path] for cycle in self.requests)

    def show(self, state):
        totals = sum(self.requests, Counter())
        per_cycle = [sum(cycle.values()) for cycle in self.requests]
        row("collections", f"{len(self.requests)}, one every {self.interval} s")
        row("  with an error / with a part missing", f"{self.failed('error')} / {self.failed('partial')}")
        row("duration of a collection", f"mean {mean(self.seconds):.2f} s, longest {max(self.seconds):.2f} s")
        row("  of it computing", f"mean {mean(self.cpu):.3f} s, longest {max(self.cpu):.3f} s")
        row("requests in a collection", f"mean {mean(per_cycle):.1f}, most {max(per_cycle)}")
        for path, count in totals.most_common():
            row(f"  {path}", f"mean {count / len(per_cycle):.2f}, in all {count}")
        for signal, sizes in self.bytes.items():
            items = self.items[signal]
            row(
                f"{signal} in an export",
                f"mean {mean(items):,.0f} items in {mean(sizes):,.0f} bytes, largest {max(items):,} in {max(sizes):,}",
            )
        row("memory of the plugin, at most", mebibytes(self.memory))
        row("resident memory of kiln, at most", mebibytes(self.rss))
        row("file of the state", mebibytes(os.path.getsize(state)) if os.path.exists(state) else "none")

    def failed(self, outcome):
        return int(self.kiln[f"kiln_collection_duration_seconds_count/{outcome}"])


def endpoint(path):
    return re.sub(r"/[0-9a-f-]{8,}", "/*", path)


def row(name, value):
    print(f"  {name:<44} {value}", flush=True)


def mean(values):
    return sum(values) / len(values) if values else 0.0


def mebibytes(size):
    return f"{size / 2**20:.2f} MiB"


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]) * 1024


def sync(servers, arguments):
    deadline = time.monotonic() + 60 * arguments.minutes
    cycles = Cycles(servers, arguments.interval)
    milestones = {RUNS_ARE_READ: "runs", OBJECTS_ARE_READ: "workspace objects", FILES_ARE_READ: "files of DBFS"}
    reached = {}
    while milestones.keys() - reached.keys():
        arrived = cycles.next(deadline)
        if arrived is None:
            break
        for name in arrived & milestones.keys() - reached.keys():
            asked = sum(sum(cycle.values()) for cycle in cycles.requests)
            reached[name] = (time.monotonic() - cycles.began, len(cycles.requests), asked)
            print(f"  {milestones[name]} after {reached[name][0]:.0f} s", flush=True)
    print("\nFirst synchronisation:")
    for name, what in milestones.items():
        if name in reached:
            seconds, collections_, asked = reached[name]
            row(f"{what}: all read after", f"{seconds:.0f} s, {collections_} collections, {asked} requests of any kind")
        else:
            row(f"{what}: all read after", f"NOT within {arguments.minutes} min")
    if cycles.requests:
        row("requests for finished and active runs", cycles.asked_for("/api/2.2/jobs/runs/list"))
        row("requests for workspace objects", cycles.asked_for("/api/2.0/workspace/list"))
        row("requests for files of DBFS", cycles.asked_for("/api/2.0/dbfs/list"))
        cycles.show(arguments.state)
    return len(reached) == len(milestones)


def steady(servers, arguments):
    # The first collection after a start reads everything that is read less often than in every one.
    cycles = Cycles(servers, arguments.interval)
    patience = 10 * arguments.interval + 120
    if cycles.next(time.monotonic() + patience) is None:
        print(f"  no collection ended within {patience} s")
        return False
    cycles = Cycles(servers, arguments.interval)
    deadline = time.monotonic() + 60 * arguments.minutes + 5
    while cycles.next(deadline) is not None:
        pass
    print("\nAfterwards:")
    if not cycles.requests:
        print("  no collection ended")
        return False
    cycles.show(arguments.state)
    return compare(servers, cycles, patience)


def compare(servers, cycles, patience):
    """Between the end of a collection and the end of the next, a run is counted or not yet; everything else is exact."""
    deadline = time.monotonic() + patience
    if cycles.next(deadline) is None:
        print("  no collection ended")
        return False
    earliest = now() - 1000
    while cycles.servers.kiln()["kiln_collection_duration_seconds_count"] == cycles.kiln["kiln_collection_duration_seconds_count"]:
        if time.monotonic() > deadline:
            print("  no collection ended")
            return False
        time.sleep(0.2)
    latest = now()
    while cycles.is_sending(servers.kiln()):
        time.sleep(0.1)
    points = latest_points(servers.telemetry(COMPARED)["points"])
    runs = points["databricks.job_runs.count"]
    start = min((point["start_nanos"] // 1_000_000 for point in runs), default=earliest)
    comparison = Comparison(points, servers.truth(start, earliest), servers.truth(start, latest))
    moments = [servers.truth(at, at)["totals"] for at in range(earliest - STALE_SECONDS * 1000, latest + 1, 1000)]
    window = [servers.truth(at - 86_400_000, at) for at in (earliest, latest)]
    print("\nWhat is true:")
    comparison.all(moments, window)
    return comparison.is_true


def now():
    return int(time.time() * 1000)


def latest_points(points):
    latest = {}
    for point in points:
        latest[point["metric"], json.dumps(point["attributes"], sort_keys=True)] = point
    by_metric = defaultdict(list)
    for point in latest.values():
        by_metric[point["metric"]].append(point)
    return by_metric


class Comparison:
    """Each metric beside the truth. `before` and `after` are the truth at the two ends of a collection.

    Kiln gives no durations to what never began; in a living workspace all runs and tasks of one result began, or none.
    """

    def __init__(self, points, before, after):
        self.points = points
        self.before = before
        self.after = after
        self.is_true = True

    def say(self, metric, is_equal, detail):
        verdict = {True: "equal", False: "NOT EQUAL", None: "arrived"}[is_equal]
        if not self.points[metric]:
            verdict = "DID NOT ARRIVE"
            is_equal = False
        self.is_true &= is_equal is not False
        print(f"  {metric:<40} {verdict:<15} {detail}", flush=True)

    def all(self, moments, window):
        self.single("databricks.jobs.total", self.after["totals"]["jobs"])
        self.runs()
        self.tasks()
        self.success_rate(window)
        # A small workspace may have nothing to do for a while; the truth does not say.
        if self.points["databricks.job_runs.active"]:
            self.sum_only("databricks.job_runs.active")
        else:
            print(f"  {'databricks.job_runs.active':<40} {'no series':<15} no run was active", flush=True)
        self.sum_only("databricks.job.cost")
        self.at_a_moment("databricks.warehouses.count", "warehouse_state", [m["warehouses"] for m in moments])
        running = [{state: n for state, n in m["clusters"].items() if state != "TERMINATED"} for m in moments]
        self.at_a_moment("databricks.clusters.count", "cluster_state", running)
        totals = self.after["totals"]
        self.by_attribute("databricks.workspace.objects", "object_type", totals["objects"])
        self.single("databricks.dbfs.storage_bytes", totals["dbfs_bytes"])
        self.single("databricks.dbfs.file_count", totals["dbfs_files"])
        self.single("databricks.tokens.count", totals["tokens_active"])
        users = {"active": totals["users_active"], "inactive": totals["users_inactive"]}
        self.by_attribute("databricks.users.count", "user_status", users)
        self.single("databricks.groups.count", totals["groups"])
        self.single("databricks.policies.count", totals["policies"])
        for metric in ("tokens.days_until_expiry", "cluster.workers", "instance_pool.instances", "serving_endpoints.count"):
            self.sum_only(f"databricks.{metric}")
        for point in self.points["databricks.scraper.errors"]:
            print(f"  databricks.scraper.errors                {number(point):<15} {point['attributes']}")

    def single(self, metric, true):
        values = [number(point) for point in self.points[metric]]
        self.say(metric, values == [true], f"{values} of {true}" if values != [true] else f"{true}")

    def by_attribute(self, metric, attribute, true):
        values = {point["attributes"][attribute]: number(point) for point in self.points[metric] if number(point)}
        true = {name: count for name, count in true.items() if count}
        self.say(metric, values == true, f"{values}" + ("" if values == true else f" of {true}"))

    def at_a_moment(self, metric, attribute, moments):
        values = Counter()
        for point in self.points[metric]:
            values[point["attributes"][attribute]] += number(point)
        values = {name: count for name, count in values.items() if count}
        moments = [{name: count for name, count in moment.items() if count} for moment in moments]
        is_equal = values in moments
        self.say(metric, is_equal, f"{values}" + ("" if is_equal else f", lately {moments[-1]}"))

    def sum_only(self, metric):
        points = self.points[metric]
        self.say(metric, None, f"{len(points)} series, {sum(number(point) for point in points):,.2f} in all")

    def success_rate(self, window):
        rates = []
        for truth in window:
            results = Counter()
            for group in truth["runs"]:
                results[group["result_state"]] += group["count"]
            rates.append(100 * results["SUCCESS"] / max(1, results.total()))
        values = [number(point) for point in self.points["databricks.job.success_rate"]]
        is_equal = len(values) == 1 and min(rates) - 0.05 <= values[0] <= max(rates) + 0.05
        self.say("databricks.job.success_rate", is_equal, f"{values} of {[round(rate, 3) for rate in rates]}")

    def runs(self):
        key = lambda group: (str(group["job_id"]), group["run_type"], group["result_state"])
        of = lambda point: tuple(point["attributes"].get(name) for name in ("databricks.job.id", "run_type", "result_state"))
        before, after = grouped(self.before["runs"], key), grouped(self.after["runs"], key)
        counts = {of(point): (number(point), 0) for point in self.points["databricks.job_runs.count"]}
        self.between("databricks.job_runs.count", counts, before, after, lambda group: (group["count"], 0))
        for phase in DURATIONS:
            metric = f"databricks.job.duration.{phase}"
            values = {of(point): histogram(point) for point in self.points[metric]}
            # What never began may have waited.
            told = lambda group: group["run"]["ms"] or (phase == "queue" and group["queue"]["ms"])
            began = lambda group: (group[phase]["count"], group[phase]["ms"]) if told(group) else (0, 0)
            self.between(metric, values, before, after, began)

    def tasks(self):
        key = lambda group: (str(group["job_id"]), group["task_key"], group["result_state"])
        of = lambda point: tuple(point["attributes"].get(name) for name in ("databricks.job.id", "task_key", "result_state"))
        before, after = grouped(self.before["tasks"], key), grouped(self.after["tasks"], key)
        for metric, phases in (
            ("databricks.tasks.duration", ("setup", "execution", "cleanup")),
            ("databricks.tasks.setup_duration", ("setup",)),
        ):
            took = lambda group, phases: sum(group[phase]["ms"] for phase in phases)
            began = lambda group: (group["setup"]["count"], took(group, phases)) if took(group, DURATIONS[2:]) else (0, 0)
            self.between(metric, {of(point): histogram(point) for point in self.points[metric]}, before, after, began)

    def between(self, metric, values, before, after, true):
        """Whether each value lies between the truth before and after, and how many series moved meanwhile."""
        zero = (0, 0)
        wrong, moving = [], 0
        for series in values.keys() | after.keys():
            least = true(before[series]) if series in before else zero
            most = true(after[series]) if series in after else zero
            value = values.get(series, zero)
            moving += least != most
            if not all(low <= have <= high for low, have, high in zip(least, value, most)):
                wrong.append((series, value, least, most))
        total = sum(count for count, _ in values.values())
        detail = f"{total:,} in {len(values):,} series, {moving} of them moving"
        if wrong:
            series, value, least, most = wrong[0]
            detail += f"; {len(wrong)} wrong, such as {series}: {value} of {least} to {most}"
        self.say(metric, not wrong, detail)


def grouped(groups, key):
    result = {}
    for group in groups:
        if (name := key(group)) in result:
            raise SystemExit(f"two groups of the truth are one series: {name}")
        result[name] = group
    return result


def number(point):
    return next(iter(point["value"].values()))


def histogram(point):
    value = point["value"]["histogram"]
    return value["count"], round(value["sum"] * 1000)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["sync", "steady"])
    for name in ("workspace", "backend", "kiln", "state"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("pid", "interval", "minutes"):
        parser.add_argument(f"--{name}", required=True, type=int)
    arguments = parser.parse_args()
    part = {"sync": sync, "steady": steady}[arguments.part]
    return 0 if part(Servers(arguments), arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
