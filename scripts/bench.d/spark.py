"""Measures what a collection of the Spark receiver costs, against replayed pages.

usage: spark.py --executors N --spark URL --backend URL --kiln URL --pid PID --collections N

Waits for N collections after the first, and prints one row of a table; with --header its head alone. Ends with 1 if a
collection failed, or in part.
"""

import argparse
import json
import re
import sys
import time
import urllib.request
from collections import defaultdict

# Everything is on this machine, whatever proxy the environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

COLUMNS = ("executors", "pages MB", "points", "CPU ms", "wall ms", "MB/s", "plugin MiB", "kiln RSS MiB", "OTLP kB")
PAGES = ("/metrics/prometheus/", "/metrics/executors/prometheus")
PATIENCE = 300


def fetch(url, method="GET"):
    with OPENER.open(urllib.request.Request(url, method=method), timeout=PATIENCE) as answer:
        return answer.read()


def own_metrics(kiln):
    """Kiln's own metrics by name, added up, and by outcome."""
    values = defaultdict(float)
    for line in fetch(f"{kiln}/metrics").decode().splitlines():
        if match := re.match(r"(\w+)(?:\{(.*)\})? (\S+)", line):
            values[match[1]] += float(match[3])
            for outcome in re.findall(r'outcome="(\w+)"', match[2] or ""):
                values[f"{match[1]}/{outcome}"] += float(match[3])
    return values


def await_collections(kiln, count):
    deadline = time.monotonic() + PATIENCE
    while (values := own_metrics(kiln))["kiln_collection_duration_seconds_count"] < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"{count} collections did not end within {PATIENCE} s")
        time.sleep(0.2)
    return values


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]) * 1024


def measure(arguments):
    pages = sum(len(fetch(arguments.spark + path)) for path in PAGES)
    before = await_collections(arguments.kiln, 1)
    fetch(f"{arguments.backend}/-/telemetry", "DELETE")
    memory = rss = 0
    done = before["kiln_collection_duration_seconds_count"]
    after = before
    for count in range(1, arguments.collections + 1):
        after = await_collections(arguments.kiln, done + count)
        memory = max(memory, after["kiln_instance_memory_bytes"])
        rss = max(rss, resident_bytes(arguments.pid))
    collections = after["kiln_collection_duration_seconds_count"] - done
    each = lambda name: (after[name] - before[name]) / collections
    requests = json.loads(fetch(f"{arguments.backend}/-/telemetry?metric=none"))["requests"]
    sent = [request for request in requests if request["signal"] == "metrics"]
    mean = lambda field: sum(request[field] for request in sent) / max(1, len(sent))
    cpu = each("kiln_instance_cpu_seconds_total")
    row(
        arguments.executors,
        f"{pages / 1e6:.2f}",
        f"{mean('items'):,.0f}",
        f"{1000 * cpu:.1f}",
        f"{1000 * each('kiln_collection_duration_seconds_sum'):.0f}",
        f"{pages / 1e6 / cpu:.0f}" if cpu else "-",
        f"{memory / 2**20:.1f}",
        f"{rss / 2**20:.1f}",
        f"{mean('wire_bytes') / 1000:,.0f}",
    )
    failed = sum(after[f"kiln_collection_duration_seconds_count/{outcome}"] for outcome in ("error", "partial"))
    if failed:
        print(f"  {failed:.0f} collections failed, or in part")
    return not failed


def row(*cells):
    print("  " + "".join(f"{cell!s:>14}" for cell in cells), flush=True)


def main():
    if "--header" in sys.argv:
        row(*COLUMNS)
        return 0
    parser = argparse.ArgumentParser()
    for name in ("spark", "backend", "kiln"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("executors", "pid", "collections"):
        parser.add_argument(f"--{name}", required=True, type=int)
    return 0 if measure(parser.parse_args()) else 1


if __name__ == "__main__":
    sys.exit(main())
