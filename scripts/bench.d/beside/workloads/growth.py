"""How cost grows with points, series, attributes and instances."""

from .. import pages, plot
from ..sides import Work

TITLE = "Growth"
ABOUT = (
    "One turn for each point of a curve. What is read is made up: counters in families of a hundred, with four labels where nothing else is said. "
    "An instance is a receiver with one target of one executor."
)
POINTS = (1_000, 10_000, 30_000, 100_000)
ATTRIBUTES = (2, 8, 16, 32, 64)
INSTANCES = (1, 25, 50, 100, 200)

BOUNDS = {
    "points": "Of Kiln: every line is parsed and every point written once; `limits.cpu`, 2 s unless it is changed, ends a collection that takes longer.",
    "series": "Of Kiln: the page, the plugin's records and the batch, until the batch is queued; `limits.memory` and `output_bytes` bound it.",
    "attributes": "Of Kiln: a label is two texts that cross from the plugin to the host; a point has 128 at most.",
    "instances": "Of Kiln: each instance has a memory and a stack of its own; compiled code is there once.",
}


def measure(bench):
    sides = [bench.sides["kiln"], bench.sides["queue"]]
    few = lambda counts: counts[:2] if bench.is_quick else counts
    by_points = {count: one(bench, sides, pages.series(count), interval=2) for count in few(POINTS)}
    by_attributes = {count: one(bench, sides, pages.series(10_000, count), interval=1) for count in few(ATTRIBUTES)}
    executor = lambda: pages.spark(bench.programs["replay"], bench.programs["pages"], 1)
    by_instances = {count: one(bench, sides, executor(), interval=1, receivers=count) for count in few(INSTANCES)}
    drawn = [
        drawing("points", "Processor time of a scrape", "points of a scrape", "ms", by_points, "cpu_ms_per_scrape"),
        drawing("series", "Peak memory", "series", "MiB", by_points, "peak_rss_mib"),
        drawing("attributes", "Processor time of a sample", "labels of each of 10,000 series", "µs", by_attributes, "cpu_us_per_sample"),
        drawing("instances", "Memory", "instances in one process", "MiB", by_instances, "rss_mib"),
    ]
    of_an_instance = [plot.slope(curve(by_instances, side.name, "rss_mib"))[0] for side in sides]
    measured = {name: {"min": value, "median": value, "max": value} for name, value in zip(("ours", "theirs"), of_an_instance)}
    measured["ratio"] = {name: measured["ours"][name] / measured["theirs"][name] for name in measured["ours"]}
    comparison = {
        "key": "growth/instance",
        "title": "a further instance",
        "ours": sides[0].name,
        "theirs": sides[1].name,
        "measures": {"rss_mib_per_instance": measured},
    }
    return {"comparisons": [comparison], "plots": drawn}


def one(bench, sides, target, interval, receivers=1):
    work = Work((target.address,) * receivers, interval)
    turns = {side.name: bench.scrape(side, work, target, 2, warm_up=1) for side in sides}
    target.end()
    return turns


def curve(turns, name, measure):
    return [(count, turn[name][measure]) for count, turn in turns.items()]


def drawing(name, title, x_label, unit, turns, measure):
    curves = {side: curve(turns, side, measure) for side in next(iter(turns.values()))}
    grows = []
    for side, points in curves.items():
        rise, base = plot.slope(points)
        per = 1000 if points[-1][0] > 1000 else 1
        grows.append(f"{side}: {base:.3g} {unit}, and {rise * per:.3g} {unit} for {'every thousand' if per > 1 else 'each of the'} {name}")
    return {
        "file": f"{name}.svg",
        "title": f"{title} against {x_label}",
        "svg": plot.lines(f"{title} against {x_label}", x_label, f"{title.lower()}, {unit}", curves),
        "says": f"{'; '.join(grows)}. {BOUNDS[name]}",
    }
