"""What the sandbox costs, part by part."""

import json
import shutil
import subprocess

import sandbox as parsers

from ..measure import comparison
from ..own_metrics import COLLECTIONS, OwnMetrics

TITLE = "The sandbox"
ABOUT = (
    "The parser of the Prometheus receiver reads the same pages outside of a component, as a program, and inside of one with all of Kiln's limits on, by "
    "turns. Everything Kiln does between two collections counts: ticks, records and export included. Then the border: a call, and the same points "
    "handed over as the contract's records and as protobuf that the plugin encodes."
)
POINTS = 10_000
ATTRIBUTES = 6
MEASURED = 10


def measure(bench):
    rounds = 500 if bench.is_quick else 2000
    outside, inside, megabytes = parsers.by_turns(
        bench.scratch, bench.programs["kiln"], bench.programs["test_plugins"], bench.programs["parser"], bench.pairs, rounds
    )
    per_turn = lambda values: [{"cpu_s_per_turn": value, "mb_per_cpu_second": megabytes / value} for value in values]
    turns = {"inside": per_turn(inside), "outside": per_turn(outside)}
    return {
        "comparisons": [comparison("sandbox", f"{megabytes:.0f} MB of pages", turns, "inside", "outside")],
        "tables": [borders(bench), *instructions(bench)],
    }


def instructions(bench):
    """Of the parser outside of a component, where valgrind is there to count them: the same on every machine, however busy."""
    if not shutil.which("valgrind"):
        return []
    few, many = (executed(bench, rounds) for rounds in (2, 22))
    lines = many["lines"] - few["lines"]
    row = [f"{(many['instructions'] - few['instructions']) / lines:,.0f}"]
    return [{"title": "The parser as a program, under callgrind", "columns": ["instructions of a line"], "rows": [row]}]


def executed(bench, rounds):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", bench.programs["parser"]]
    done = subprocess.run(command, input=f"{rounds}\n", capture_output=True, text=True, check=True)
    collected = next(line for line in done.stderr.splitlines() if "Collected :" in line)
    return {"instructions": int(collected.split()[-1]), "lines": int(done.stdout.split()[1])}


def borders(bench):
    """Processor time of the plugin, and of the host on its behalf, in one collection."""
    nothing = records(bench, "none", 1)
    made = records(bench, "none", POINTS)
    rows = [["a call with nothing in it", f"{nothing * 1e6:.0f} µs", ""]]
    for form, what in (("records", "as records, to OTLP in the host"), ("protobuf", "as protobuf, encoded in the plugin")):
        seconds = records(bench, form, POINTS)
        rows.append([f"{POINTS:,} points {what}", f"{seconds * 1e3:.1f} ms", f"{(seconds - made) / POINTS * 1e9:.0f} ns"])
    return {
        "title": f"Points with {ATTRIBUTES} attributes; that of a point is without making it",
        "columns": ["", "processor time of a collection", "of a point"],
        "rows": rows,
    }


def records(bench, form, points):
    configuration = f"{bench.scratch}/records.yaml"
    receiver = {"form": form, "points": points, "attributes": ATTRIBUTES, "collection_interval": "200ms", "initial_delay": "0s"}
    with open(configuration, "w", encoding="utf-8") as file:
        json.dump(
            {
                "plugins_dir": bench.programs["test_plugins"],
                "receivers": {"records": receiver},
                "exporters": {"otlp_http": {"endpoint": bench.backend.url}},
                "service": {
                    "data_dir": f"{bench.scratch}/data",
                    "telemetry": {"endpoint": "127.0.0.1:0"},
                    "pipelines": {"metrics": {"receivers": ["records"], "exporters": ["otlp_http"]}},
                },
            },
            file,
        )
    running = bench.run([bench.programs["kiln"], "run", "--config", configuration])
    try:
        metrics = OwnMetrics(running)
        before = metrics.await_collections(2)
        after = metrics.await_collections(before[COLLECTIONS] + MEASURED)
        used = "kiln_instance_cpu_seconds_total"
        return (after[used] - before[used]) / (after[COLLECTIONS] - before[COLLECTIONS])
    finally:
        running.end()
