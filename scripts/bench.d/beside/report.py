"""Tables for people, JSON for programs."""

import json
import platform
import subprocess

# What the table shows; programs find the rest.
UNITS = {
    "cpu_us_per_sample": ("processor time per sample", "µs", 2),
    "peak_rss_mib": ("peak memory (RSS)", "MiB", 1),
    "rss_mib": ("memory (RSS) in the end", "MiB", 1),
    "wire_bytes_per_sample": ("sent per sample", "B", 1),
    "start_ms": ("exec to first item at the backend", "ms", 0),
    "idle_rss_mib": ("memory (RSS), idle", "MiB", 1),
    "idle_peak_rss_mib": ("peak memory (RSS), idle", "MiB", 1),
    "idle_cpu_ms_per_minute": ("processor time per minute, idle", "ms", 0),
    "disk_mib": ("size on disk", "MiB", 1),
    "gzip_mib": ("size compressed (gzip -9)", "MiB", 1),
}


def about(kiln, collector):
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
        "processor": model,
        "kernel": platform.release(),
    }


def cell(values, digits):
    return "{:,.{d}f} / {:,.{d}f} / {:,.{d}f}".format(values["min"], values["median"], values["max"], d=digits)


def markdown(about, command, results):
    lines = [
        "# Kiln beside the OpenTelemetry Collector",
        "",
        f"Written by `{command}`. Both sides do the same work for the same backend, by turns, on the same core of their own; what is "
        "compared is what they did in one pair of turns. Everything that was scraped arrived, on both sides, or there would be no table. "
        "Numbers are minimum / median / maximum; a ratio below 1 is in Kiln's favour.",
        "",
        "The receiver of the Collector waits for its discovery of targets, which tells of them every five seconds; that is most of its start. "
        "Shipped to a driver are the program and, of Kiln, the plugins `prometheus`, `resource` and `spark`.",
        "",
        f"{about['kiln']} at {about['commit']}; {about['collector']}, with nothing built in but what is used; {about['processor']}, "
        f"Linux {about['kernel']}.",
        "",
        "| workload | measure | Kiln | Collector | ratio | goal |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        for measure, values in result["measures"].items():
            if measure not in UNITS:
                continue
            name, unit, digits = UNITS[measure]
            ratio = cell(values["ratio"], 3) if values["ratio"] else ""
            goal = result["goals"].get(measure)
            goal = "" if goal is None else f"≤ {goal:.2f}"
            lines.append(
                f"| {result['workload']} | {name}, {unit} | {cell(values['kiln'], digits)} | "
                f"{cell(values['collector'], digits)} | {ratio} | {goal} |"
            )
    return "\n".join(lines) + "\n"


def write(directory, about, command, results):
    text = markdown(about, command, results)
    with open(f"{directory}/collector.md", "w", encoding="utf-8") as file:
        file.write(text)
    with open(f"{directory}/collector.json", "w", encoding="utf-8") as file:
        json.dump({"command": command, **about, "results": results}, file, indent=1)
        file.write("\n")
    return text
