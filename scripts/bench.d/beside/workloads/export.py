"""What an exporter costs: compressing a batch and sending it."""

from functools import partial

from .. import pages
from ..measure import comparison
from ..sides import Work

TITLE = "Export"
ABOUT = (
    "Both sides scrape one page and send every batch to one exporter, and then to many that are alike; the difference, by their number, is what one costs: to write the batch "
    "as OTLP, to compress it with gzip, and to send it. Go's gzip compresses at level 6 unless it is told otherwise, Kiln with libdeflate at its level 1, so the Collector has a "
    "second line with its own level 1, which leaves twice as much."
)
# Pages whose batches are about as large, before compression, as the name says, and to how many exporters more they go.
SIZES = {"8 KB": (60, 24), "256 KB": (2_000, 24), "4 MB": (30_000, 8)}
LEVEL_1 = {"compression_params": {"level": 1}}
LINE_UPS = {"Kiln": ("kiln", {}), "Collector": ("plain", {}), "Collector, gzip level 1": ("plain", LEVEL_1)}


def measure(bench):
    sizes = ["256 KB"] if bench.is_quick else list(SIZES)
    return {"comparisons": [comparison for size in sizes for comparison in of_size(bench, size)]}


def of_size(bench, size):
    count, more = SIZES[size]
    target = pages.series(count)
    turns = bench.by_turns(
        {
            (name, exporters): partial(scrape, bench, bench.sides[side], exporter, exporters, target)
            for name, (side, exporter) in LINE_UPS.items()
            for exporters in (1, 1 + more)
        },
        pairs=min(2, bench.pairs),
    )
    target.end()
    of_one = {name: [difference(one, all_of_them, more) for one, all_of_them in zip(turns[name, 1], turns[name, 1 + more])] for name in LINE_UPS}
    title = f"batches of {target.points_of_a_scrape:,} points, {turns['Kiln', 1][0]['otlp_bytes_per_request'] / 1000:,.0f} kB"
    for name in list(LINE_UPS)[1:]:
        yield comparison(f"export/{size}/{name}", f"{title}; {name}", of_one, "Kiln", name)


def scrape(bench, side, exporter, exporters, target):
    interval = 2.0 if target.samples > 10_000 else 1.0
    work = Work((target.address,), interval, exporters=exporters, more_of_exporter=exporter)
    return bench.scrape(side, work, target, 3, warm_up=1)


def difference(one, all_of_them, more):
    return {
        "cpu_us_per_point": (all_of_them["cpu_us_per_sample"] - one["cpu_us_per_sample"]) / more,
        "wire_bytes_per_point": (all_of_them["wire_bytes_per_sample"] - one["wire_bytes_per_sample"]) / more,
    }
