"""Pages of Spark with ever more executors, and one of an ordinary service, a page each second."""

from functools import partial

from .. import pages
from ..measure import comparison
from ..sides import Work

TITLE = "Scraping"
ABOUT = (
    "A page every second, every two with 1,000 executors: what a driver with so many executors shows, and 237 families of metrics as an ordinary service "
    "has them, histograms and summaries among them. The pages change between scrapes, as counters do. Both sides ask for gzip, set one "
    "attribute of the resource, and send OTLP over HTTP with gzip."
)
# The batch processor sends every ten seconds: at less than a batch in that time it is not worth a turn of its own.
BATCHES_FROM = 100


def measure(bench):
    comparisons = []
    for count in (10, 100) if bench.is_quick else (1, 10, 100, 1000):
        target = pages.spark(bench.programs["replay"], bench.programs["pages"], count)
        line_ups = ["queue"] + (["batch"] if count >= BATCHES_FROM else [])
        title = f"{count:,} executor{'s' * (count > 1)}, {target.samples:,} samples"
        comparisons += one_page(bench, f"scrape/{count}", title, target, line_ups)
    target = pages.families()
    title = f"{pages.FAMILIES} families, {target.samples:,} samples, {target.points:,} points"
    return {"comparisons": comparisons + one_page(bench, "families", title, target, ["queue"])}


def one_page(bench, key, title, target, line_ups):
    interval = 2.0 if target.samples > 20_000 else 1.0
    work = Work((target.address,), interval)
    sides = [bench.sides[name] for name in ("kiln", *line_ups)]
    # With the batch processor for ten seconds, so that it has waited once.
    scrapes = 3 if bench.is_quick else round(10 / interval) if "batch" in line_ups else 5
    turns = bench.by_turns({side.name: partial(bench.scrape, side, work, target, scrapes) for side in sides})
    target.end()
    return [
        comparison(f"{key}/{name}", f"{title}; {bench.sides[name].name}", turns, "Kiln", bench.sides[name].name) for name in line_ups
    ]
