"""Kiln and the OpenTelemetry Collector, side by side: the same pages, the same backend, the same core, by turns.

Ends with 1 unless everything that was sent was delivered, on both sides. See beside/.
"""

import argparse
import os
import subprocess
import sys

from beside import report, workloads
from beside.sides import sides as all_sides
from beside.world import Backend, Target, fetch


def page_of(program, pages, executors):
    """The executors' page of a replayed Spark, once."""
    replay = subprocess.Popen(
        [program, "--pages", pages, "--executors", str(executors)], stdout=subprocess.PIPE, text=True
    )
    try:
        return fetch(replay.stdout.readline().split()[-1] + "/metrics/executors/prometheus")
    finally:
        replay.terminate()
        replay.wait()


def main():
    parser = argparse.ArgumentParser()
    for name in ("scratch", "kiln", "plugins", "collector", "sink", "replay", "pages", "output", "command", "executors"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("pairs", "scrapes", "idle", "core"):
        parser.add_argument(f"--{name}", required=True, type=int)
    parser.add_argument("--interval", required=True, type=float)
    arguments = parser.parse_args()

    cores = sorted(os.sched_getaffinity(0))
    if arguments.core not in cores or len(cores) < 2:
        raise SystemExit(f"there are the cores {cores} here; the sides need core {arguments.core}, the rest another one")
    others = [core for core in cores if core != arguments.core]
    os.sched_setaffinity(0, set(others))
    backend = Backend(arguments.sink, others[0])
    sides = all_sides(arguments.kiln, arguments.plugins, arguments.collector)
    common = {"backend": backend, "scratch": arguments.scratch, "core": arguments.core, "pairs": arguments.pairs}
    results = []

    def note(workload, turns, ours, theirs, goals=None):
        print(f"  {workload}", flush=True)
        results.append(
            {
                "workload": workload,
                "goals": goals or {},
                "turns": turns,
                "measures": workloads.compare(turns, ours, theirs),
            }
        )

    try:
        for count in [int(count) for count in arguments.executors.split(",")]:
            target = Target(page_of(arguments.replay, arguments.pages, count))
            goals = {"cpu_us_per_sample": 0.40} if count >= 100 else {}
            if count >= 1000:
                goals["peak_rss_mib"] = 0.30
            three = [sides["kiln"], sides["batch"], sides["queue"]]
            turns = workloads.scrape(
                three, target, scrapes=arguments.scrapes, interval=arguments.interval, **common
            )
            for theirs in three[1:]:
                workload = f"{count:,} executors, {target.samples:,} samples; {theirs.name}"
                note(workload, turns, "kiln", theirs.name, goals)
        small = Target(page_of(arguments.replay, arguments.pages, 1))
        turns = workloads.start(sides, small, **common)
        note("start, nothing compiled yet", turns, "kiln, cold", "collector")
        note("start, compiled before", turns, "kiln, warm", "collector", {"start_ms": 0.20})
        turns = workloads.idle([sides["kiln"], sides["plain"]], small, seconds=arguments.idle, **common)
        note("idle: one executor every 15 s", turns, "kiln", "collector", {"idle_rss_mib": 0.30})
        turns = workloads.size(arguments.kiln, arguments.plugins, arguments.collector)
        note("what is shipped to a driver", turns, "kiln", "collector", {"gzip_mib": 0.40})
    finally:
        backend.end()
    print()
    print(report.write(arguments.output, report.about(arguments.kiln, arguments.collector), arguments.command, results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
