"""The page for people, and JSON for programs."""

import json
import os
import platform
import subprocess
import time

from .goals import verdicts
from .workloads import WORKLOADS

# How a measure is called, in what unit, and with how many digits; what is not here is in the JSON alone.
UNITS = {
    "cpu_us_per_sample": ("processor time per sample, µs", 2),
    "samples_per_core_second": ("samples per second of processor time", 0),
    "samples_per_second": ("samples per second, arrived", 0),
    "samples_read_per_second": ("samples per second, read", 0),
    "cpu_percent": ("use of the core, %", 0),
    "peak_rss_mib": ("peak memory, MiB", 1),
    "rss_mib": ("memory in the end, MiB", 1),
    "wire_bytes_per_sample": ("sent per sample, bytes", 1),
    "cpu_ms_per_batch": ("processor time per batch, ms", 3),
    "peak_rss_mib_more": ("peak memory it adds, MiB", 1),
    "cpu_us_per_point": ("processor time per point, µs", 3),
    "wire_bytes_per_point": ("sent per point, bytes", 1),
    "ready_ms": ("exec until it says that it runs, ms", 0),
    "start_ms": ("exec to the first point at the backend, ms", 0),
    "start_cpu_ms": ("processor time until then, ms", 0),
    "idle_rss_mib": ("memory, MiB", 1),
    "idle_anonymous_mib": ("of it not of files, MiB", 1),
    "idle_cpu_ms_per_minute": ("processor time per minute, ms", 0),
    "disk_mib": ("on disk, MiB", 1),
    "gzip_mib": ("compressed with gzip -9, MiB", 1),
    "cpu_s_per_turn": ("processor time, s", 2),
    "mb_per_cpu_second": ("MB per second of processor time", 0),
    "rss_mib_per_instance": ("memory, MiB", 2),
}


def about(kiln, collector):
    """What was measured, and on what."""

    def first_line(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
        except (OSError, subprocess.CalledProcessError, IndexError):
            return "unknown"

    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "kiln": first_line(kiln, "--version"),
        "commit": first_line("git", "describe", "--always", "--dirty", "--abbrev=12"),
        "collector": first_line(collector, "--version"),
        "processor": f"{model}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def three(values, digits):
    return "" if values is None else " / ".join(f"{values[name]:,.{digits}f}" for name in ("min", "median", "max"))


def table(columns, rows):
    yield "| " + " | ".join(columns) + " |"
    yield "| " + " | ".join("---" for _ in columns) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def goal_rows(comparisons):
    for verdict in verdicts(comparisons):
        measured, digits = verdict["measured"], 3 if verdict["is_ratio"] else 2
        met = {None: "not measured", False: "**missed**", True: "met"}[verdict["is_met"]]
        yield [verdict["goal"], f"≤ {verdict['limit']:.2f}", three(measured, digits), met, verdict["bound"]]


def comparison_rows(comparisons):
    for comparison in comparisons:
        for measure, values in comparison["measures"].items():
            if measure in UNITS:
                name, digits = UNITS[measure]
                sides = [three(values[side], digits) for side in ("ours", "theirs")]
                yield [comparison["title"], name, *sides, three(values["ratio"], 3)]


def markdown(results):
    workloads = results["workloads"]
    comparisons = [comparison for part in workloads.values() for comparison in part.get("comparisons", [])]
    about = results["about"]
    lines = [
        "# Kiln beside the OpenTelemetry Collector",
        "",
        f"Written by `{results['command']}` at {about['commit']} on {about['date']}: {about['kiln']}; {about['collector']}, with nothing built in but what is "
        f"used here; {about['processor']}, Linux {about['kernel']}. The same figures, and every turn's, are in [results.json](results.json).",
        "",
        "Kiln is the bundle that is shipped to drivers, without a compiler, started as its init script starts it: with two threads to compute with, and one "
        "store of freed memory (`MALLOC_ARENA_MAX=1`). The Collector is left as it is.",
        "",
        "Both sides do the same work for the same backend, by turns, A B A B, alone on core "
        f"{results['core']}; what they read from and send to runs on the others. Processor time is user and system time of the whole tree of processes, as the "
        "kernel accounts for it; memory is resident memory. Every point that was scraped arrived, counted by the backend, or there would be no figure. Figures are "
        "minimum / median / maximum over turns; ratios are Kiln's figure by the Collector's in one pair of turns, so below 1 is in Kiln's favour where less is better.",
        "",
        "## Goals",
        "",
        "Met or missed by the median. Where nothing else is said the goal is for the ratio.",
        "",
        *table(["goal", "", "measured", "", "what bounds it"], goal_rows(comparisons)),
    ]
    for name, module in WORKLOADS.items():
        part = workloads.get(name)
        if part is None:
            continue
        lines += [f"## {module.TITLE}", "", module.ABOUT, ""]
        if "failed" in part:
            lines += [f"**Failed:** {part['failed'].splitlines()[0]}", ""]
        if part.get("comparisons"):
            first = part["comparisons"][0]
            head = ["", "", first["ours"], "Collector" if first["theirs"].startswith("Collector") else first["theirs"], "ratio"]
            lines += table(head, comparison_rows(part["comparisons"]))
        for extra in part.get("tables", []):
            lines += [f"{extra['title']}:", "", *table(extra["columns"], extra["rows"])]
        for drawn in part.get("plots", []):
            lines += [f"![{drawn['title']}]({drawn['file']})", "", drawn["says"], ""]
    return "\n".join(lines).rstrip() + "\n"


def write(directory, results):
    with open(f"{directory}/results.json", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    for part in results["workloads"].values():
        for drawn in part.get("plots", []):
            with open(f"{directory}/{drawn['file']}", "w", encoding="utf-8") as file:
                file.write(drawn["svg"])
    with open(f"{directory}/README.md", "w", encoding="utf-8") as file:
        file.write(markdown(results))
