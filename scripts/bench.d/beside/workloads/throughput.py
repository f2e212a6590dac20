"""As much as one core takes: more pages than can be read, from several targets at once."""

import time
from functools import partial

from .. import pages
from ..measure import comparison
from ..sides import Work
from ..world import Failed

TITLE = "Throughput of one core"
ABOUT = (
    "Six targets of 1,000 executors want to be scraped four times a second, which is more than either side can do on one core: scrapes follow each other "
    "without a pause, and counted is what arrives at the backend. More is read than arrives where a queue grows, or a page is given up because its time is over. Below that size the harness could not offer enough; "
    "`samples per second of processor time` above says what a core would take."
)
TARGETS = 6
INTERVAL = 0.25
WARM_UP = 3
SECONDS = 6


def measure(bench):
    target = pages.spark(bench.programs["replay"], bench.programs["pages"], 100 if bench.is_quick else 1000)
    work = Work((target.address,) * TARGETS, INTERVAL)
    sides = [bench.sides["kiln"], bench.sides["queue"]]
    turns = bench.by_turns({side.name: partial(saturated, bench, side, work, target) for side in sides})
    target.end()
    title = f"{TARGETS} targets of {target.samples:,} samples"
    return {"comparisons": [comparison("throughput", title, turns, "Kiln", sides[1].name)]}


def saturated(bench, side, work, target):
    bench.backend.forget()
    target.forget()
    running = bench.run(side.prepare(work, bench.backend.url, bench.scratch))
    try:
        target.await_answered(TARGETS, running)
        time.sleep(WARM_UP)
        before, began, had, answered = running.processor_seconds(), time.monotonic(), bench.backend.items(), target.answered
        time.sleep(SECONDS)
        seconds, wall, have = running.processor_seconds() - before, time.monotonic() - began, bench.backend.items()
        read = target.answered - answered
        peak = running.memory("VmHWM")
    finally:
        running.end()
    if have == had:
        raise Failed(f"{side.name}: nothing arrived in {SECONDS} s; something else keeps core {bench.core} busy")
    samples = (have - had) * target.samples / target.points_of_a_scrape
    return {
        "samples_per_second": samples / wall,
        "samples_read_per_second": read * target.samples / wall,
        "cpu_percent": seconds / wall * 100,
        "cpu_us_per_sample": seconds / samples * 1e6,
        "peak_rss_mib": peak,
    }

