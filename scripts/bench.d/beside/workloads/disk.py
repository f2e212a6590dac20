"""The same scrapes with the exporter's queue on disk, on both sides."""

from functools import partial

from .. import pages
from ..measure import comparison
from ..sides import Work

TITLE = "A queue on disk"
ABOUT = (
    "As above, with the exporter's queue on disk: `storage: queue` of Kiln, `file_storage` of the Collector. Neither waits for the disk "
    "(`fsync: never`, which is the Collector's default and not Kiln's)."
)


def measure(bench):
    target = pages.spark(bench.programs["replay"], bench.programs["pages"], 100)
    work = Work((target.address,), 1.0, on_disk=True)
    scrapes = 3 if bench.is_quick else 5
    turns = bench.by_turns({side.name: partial(bench.scrape, side, work, target, scrapes) for side in (bench.sides["kiln"], bench.sides["queue"])})
    target.end()
    title = f"100 executors, {target.samples:,} samples, queue on disk"
    return {"comparisons": [comparison("disk/100", title, turns, "Kiln", bench.sides["queue"].name)]}
