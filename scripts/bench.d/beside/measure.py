"""What is measured: each workload lets the sides take turns, A B A B, and gives a list of pairs."""

import gzip
import os
import shutil
import statistics
import time

from .world import Running, await_that

WARM_UP = 3


def scrape(sides, target, backend, scratch, core, pairs, scrapes, interval):
    """A page every `interval` seconds: what a sample costs, and what the process holds. Fails unless all of it arrives."""
    turns = {side.name: [] for side in sides}
    for _ in range(pairs):
        for side in sides:
            turns[side.name].append(scrape_turn(side, target, backend, scratch, core, scrapes, interval))
    return turns


def scrape_turn(side, target, backend, scratch, core, scrapes, interval):
    backend.forget()
    target.forget()
    command = side.command(scratch, target=target.address, backend=backend.url, interval=f"{round(interval * 1000)}ms")
    running = Running(command, core, f"{scratch}/log")
    try:
        # Between two scrapes, where a side that keeps up has nothing to do.
        target.await_answered(WARM_UP, running)
        time.sleep(interval / 2)
        before, began = running.processor_seconds(), time.monotonic()
        target.await_answered(WARM_UP + scrapes, running)
        time.sleep(interval / 2)
        seconds, wall = running.processor_seconds() - before, time.monotonic() - began
        resident, peak = running.memory("VmRSS"), running.memory("VmHWM")
    finally:
        running.end()
    # What is on the way when a side is told to end is delivered before it does.
    sent, delivered = target.answered * target.items_of_a_scrape, backend.items()
    if sent != delivered:
        raise SystemExit(
            f"{side.name}: {target.answered} scrapes of {target.items_of_a_scrape} items are {sent}, and {delivered} arrived; "
            f"nothing that was measured is worth anything\n{open(f'{scratch}/log', encoding='utf-8').read()[-2000:]}"
        )
    samples = scrapes * target.samples
    return {
        "cpu_us_per_sample": seconds / samples * 1e6,
        "cpu_percent": seconds / wall * 100,
        "peak_rss_mib": peak / 2**20,
        "rss_mib": resident / 2**20,
        "wire_bytes_per_sample": backend.wire_bytes() / (target.answered * target.samples),
        "items_sent": sent,
        "items_delivered": delivered,
    }


def start(sides, target, backend, scratch, core, pairs):
    """From exec to the first item at the backend; Kiln once with nothing compiled and once with."""
    turns = {"kiln, cold": [], "kiln, warm": [], "collector": []}
    for _ in range(pairs):
        for name in turns:
            side = sides["plain"] if name == "collector" else sides["kiln"]
            if name == "kiln, cold":
                shutil.rmtree(f"{scratch}/data", ignore_errors=True)
            backend.forget()
            target.forget()
            # Prometheus spreads its first scrapes over the interval, so that must not be what is measured.
            command = side.command(scratch, target=target.address, backend=backend.url, interval="100ms")
            running = Running(command, core, f"{scratch}/log")
            try:
                await_that("the first item", lambda: running.alive() and backend.items() > 0, pause=0.002)
                turns[name].append({"start_ms": (time.monotonic() - running.began) * 1000})
            finally:
                running.end()
    return turns


def idle(sides, target, backend, scratch, core, pairs, seconds):
    """A page of a few samples every fifteen seconds, and nothing else to do."""
    turns = {side.name: [] for side in sides}
    for _ in range(pairs):
        for side in sides:
            backend.forget()
            target.forget()
            command = side.command(scratch, target=target.address, backend=backend.url, interval="15s")
            running = Running(command, core, f"{scratch}/log")
            try:
                target.await_answered(1, running)
                time.sleep(2)
                before = running.processor_seconds()
                time.sleep(seconds)
                used = running.processor_seconds() - before
                turns[side.name].append(
                    {
                        "idle_rss_mib": running.memory("VmRSS") / 2**20,
                        "idle_peak_rss_mib": running.memory("VmHWM") / 2**20,
                        "idle_cpu_ms_per_minute": used / seconds * 60_000,
                    }
                )
            finally:
                running.end()
    return turns


def size(kiln, plugins, collector):
    """What goes to a driver: the program, and for Kiln the plugins that do the work, on disk and compressed."""

    def sizes(paths):
        plain = compressed = 0
        for path in paths:
            with open(path, "rb") as file:
                content = file.read()
            plain += len(content)
            compressed += len(gzip.compress(content, 9))
        return [{"disk_mib": plain / 2**20, "gzip_mib": compressed / 2**20}]

    shipped = [kiln] + [os.path.join(plugins, f"{name}.wasm") for name in ("prometheus", "resource", "spark")]
    return {"kiln": sizes(shipped), "collector": sizes([collector])}


def summary(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def compare(turns, ours, theirs):
    """Of each measure: both sides and, pair by pair, the ratio."""
    measures = {}
    for measure in turns[ours][0]:
        if measure.startswith("items_"):
            continue
        a, b = ([turn[measure] for turn in turns[name]] for name in (ours, theirs))
        measures[measure] = {
            "kiln": summary(a),
            "collector": summary(b),
            "ratio": summary([x / y for x, y in zip(a, b) if y]) if any(b) else None,
        }
    return measures
