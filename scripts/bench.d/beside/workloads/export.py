"""What an exporter costs: compressing a batch and sending it."""

from functools import partial

from .. import pages
from ..measure import comparison
from ..sides import Work

TITLE = "Export"
EXPORTERS = 24
ABOUT = (
    f"Both sides scrape one page and send every batch to one exporter, and then to {1 + EXPORTERS} that are alike; the difference, by {EXPORTERS}, is what one costs: to write the batch "
    "as OTLP, to compress it with gzip, and to send it. Go's gzip compresses at level 6 unless it is told otherwise, Kiln at level 3 with another library, so the Collector has a "
    "second line with level 1."
)
# Executors whose batches are about as large, before compression, as the name says.
SIZES = {"8 KB": 1, "256 KB": 40, "4 MB": 650}


def measure(bench):
    comparisons = []
    sizes = {"256 KB": SIZES["256 KB"]} if bench.is_quick else SIZES
    for size, executors in sizes.items():
        target = pages.spark(bench.programs["replay"], bench.programs["pages"], executors)
        same = {"compression_params": {"level": 1}}
        line_ups = {"Kiln": ("kiln", {}), "Collector": ("plain", {}), "Collector, gzip level 1": ("plain", same)}
        turns = bench.by_turns(
            {
                (name, exporters): partial(scrape, bench, bench.sides[side], more, exporters, target)
                for name, (side, more) in line_ups.items()
                for exporters in (1, 1 + EXPORTERS)
            }
        )
        target.end()
        of_one = {name: [difference(a, b) for a, b in zip(turns[name, 1], turns[name, 1 + EXPORTERS])] for name in line_ups}
        title = f"batches of {target.points_of_a_scrape:,} points, {turns['Kiln', 1][0]['otlp_bytes_per_request'] / 1000:,.0f} kB"
        for name in list(line_ups)[1:]:
            comparisons.append(comparison(f"export/{size}/{name}", f"{title}; {name}", of_one, "Kiln", name))
    return {"comparisons": comparisons}


def scrape(bench, side, more, exporters, target):
    work = Work((target.address,), 2.0 if target.samples > 10_000 else 0.5, exporters=exporters, more_of_exporter=more)
    return bench.scrape(side, work, target, 3)


def difference(one, all_of_them):
    return {
        "cpu_us_per_point": (all_of_them["cpu_us_per_sample"] - one["cpu_us_per_sample"]) / EXPORTERS,
        "wire_bytes_per_point": (all_of_them["wire_bytes_per_sample"] - one["wire_bytes_per_sample"]) / EXPORTERS,
    }
