"""What a processor costs that sets an attribute of the resource of 100,000 points."""

from functools import partial

from .. import pages
from ..measure import comparison
from ..sides import Work

TITLE = "Enrichment"
PROCESSORS = 50
ABOUT = (
    f"Kiln has no receiver for OTLP, so both sides scrape a page of 100,000 samples, with one processor and with {1 + PROCESSORS} that set the same attribute of the "
    f"resource to one value after another; the difference, by {PROCESSORS}, is what one costs. A figure below zero is below what "
    "can be measured so."
)
EXECUTORS = 2440
LINE_UPS = {"Kiln": "kiln", "Collector": "plain"}


def measure(bench):
    target = pages.spark(bench.programs["replay"], bench.programs["pages"], EXECUTORS // (10 if bench.is_quick else 1))
    # A turn takes long and is amplified: two are enough.
    turns = bench.by_turns(
        {
            (name, count): partial(scrape, bench, bench.sides[side], count, target)
            for name, side in LINE_UPS.items()
            for count in (1, 1 + PROCESSORS)
        },
        pairs=min(2, bench.pairs),
    )
    target.end()
    of_one = {name: [difference(a, b) for a, b in zip(turns[name, 1], turns[name, 1 + PROCESSORS])] for name in LINE_UPS}
    title = f"{target.samples:,} points"
    return {"comparisons": [comparison("enrichment", title, of_one, *LINE_UPS)]}


def scrape(bench, side, count, target):
    return bench.scrape(side, Work((target.address,), 3.0, enrichments=count), target, 2, warm_up=1)


def difference(one, all_of_them):
    return {
        "cpu_ms_per_batch": (all_of_them["cpu_ms_per_scrape"] - one["cpu_ms_per_scrape"]) / PROCESSORS,
        "peak_rss_mib_more": (all_of_them["peak_rss_mib"] - one["peak_rss_mib"]) / PROCESSORS,
    }
