"""From exec to the first point at the backend."""

import time
from functools import partial

from .. import pages
from ..measure import comparison
from ..sides import Work
from ..world import await_that

TITLE = "Start"
ABOUT = (
    "From exec to the line in the log that says that it runs, and to the first point at the backend. The Collector is told not to wait for its discovery "
    "(`discovery_reload_on_startup`), which otherwise takes five seconds, and to scrape every 20 ms, since Prometheus spreads first scrapes over "
    "the interval. Kiln starts from a bundle, whose native code was made before; and, where it compiles its plugins, once with nothing compiled, as at its very "
    "first start, and once with what that left in its cache."
)
RUNS = {"Kiln": "running", "Kiln, compiling": "running", "Collector": "Everything is ready"}


def measure(bench):
    target = pages.spark(bench.programs["replay"], bench.programs["pages"], 1)
    turns = bench.by_turns(
        {
            "Kiln, nothing compiled": partial(start, bench, bench.sides["compiling"], target, 0.1, afresh=True),
            "Kiln, compiled before": partial(start, bench, bench.sides["compiling"], target, 0.1),
            "Kiln": partial(start, bench, bench.sides["kiln"], target, 0.1),
            "Collector": partial(start, bench, bench.sides["plain"], target, 0.02),
        },
        pairs=2 if bench.is_quick else max(5, bench.pairs),
    )
    target.end()
    return {
        "comparisons": [
            comparison("start/warm", "from a bundle", turns, "Kiln", "Collector"),
            comparison("start/cache", "compiled before", turns, "Kiln, compiled before", "Collector"),
            comparison("start/cold", "nothing compiled yet", turns, "Kiln, nothing compiled", "Collector"),
        ]
    }


def start(bench, side, target, interval, afresh=False):
    bench.backend.forget()
    target.forget()
    work = Work((target.address,), interval, level="info")
    running = bench.run(side.prepare(work, bench.backend.url, bench.scratch, afresh))
    since = lambda moment: (moment - running.began) * 1000
    try:
        # A side may send before it says that it runs, so the two are not waited for one after the other.
        ready = arrived = None

        def both():
            nonlocal ready, arrived
            if not ready and running.log_says(RUNS[side.name]):
                ready = time.monotonic()
            if not arrived and bench.backend.items() > 0:
                arrived = time.monotonic(), running.processor_seconds()
            return running.check_alive() and ready and arrived

        await_that("the first point", both, pause=0.001)
        first, seconds = arrived
        return {
            "ready_ms": since(ready),
            "first_scrape_ms": since(target.first_answered),
            "start_ms": since(first),
            "start_cpu_ms": seconds * 1000,
        }
    finally:
        running.end()
