"""What is held while there is next to nothing to do."""

import time
from functools import partial

from .. import pages
from ..measure import comparison
from ..sides import Work

TITLE = "Idle"
INTERVAL = 15
ABOUT = f"One executor is scraped every {INTERVAL} seconds, and nothing else happens."


def measure(bench):
    target = pages.spark(bench.programs["replay"], bench.programs["pages"], 1)
    turns = bench.by_turns(
        {side.name: partial(idle, bench, side, target) for side in (bench.sides["kiln"], bench.sides["plain"])},
        pairs=1 if bench.idle >= 60 else bench.pairs,
    )
    target.end()
    return {"comparisons": [comparison("idle", f"{bench.idle} s after the first scrape", turns, "Kiln", "Collector")]}


def idle(bench, side, target):
    target.forget()
    bench.backend.forget()
    running = bench.run(side.prepare(Work((target.address,), INTERVAL), bench.backend.url, bench.scratch))
    try:
        target.await_answered(1, running)
        time.sleep(2)
        before = running.processor_seconds()
        time.sleep(bench.idle)
        used = running.processor_seconds() - before
        return {
            "idle_rss_mib": running.memory("VmRSS"),
            "idle_anonymous_mib": running.memory("RssAnon"),
            "idle_peak_rss_mib": running.memory("VmHWM"),
            "idle_cpu_ms_per_minute": used / bench.idle * 60_000,
        }
    finally:
        running.end()
