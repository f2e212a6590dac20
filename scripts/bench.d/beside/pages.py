"""What is scraped: pages of Spark, of an ordinary service, and of as many series and labels as asked for."""

import subprocess
import time

from .world import Target, fetch

VERSIONS = 3
FAMILIES = 237


def spark(program, pages, executors):
    """The executors' page of a replayed Spark, at several moments: its counters grow."""
    replay = subprocess.Popen([program, "--pages", pages, "--executors", str(executors)], stdout=subprocess.PIPE, text=True)
    try:
        url = replay.stdout.readline().split()[-1] + "/metrics/executors/prometheus"
        versions = []
        for _ in range(VERSIONS):
            versions.append(fetch(url))
            time.sleep(0.05)
        return Target(versions)
    finally:
        replay.terminate()
        replay.wait()


def series(count, labels=4):
    """So many series in families of a hundred, each with so many labels."""

    def version(moment):
        lines = []
        for at in range(count):
            family, member = divmod(at, 100)
            if member == 0:
                lines.append(f"# HELP made_up_{family}_total A counter.\n# TYPE made_up_{family}_total counter")
            pairs = [f'series="{member}"'] + [f'label_{label}="value {label} of {member}"' for label in range(1, labels)]
            lines.append(f"made_up_{family}_total{{{','.join(pairs)}}} {at * 7 + moment}")
        return ("\n".join(lines) + "\n").encode()

    return Target([version(moment) for moment in range(VERSIONS)])


def families():
    """237 families as an ordinary service has them: counters and gauges with a few labels, histograms, summaries."""
    points = 0

    def version(moment):
        nonlocal points
        lines, points = [], 0
        for number in range(FAMILIES):
            kind = ("counter", "gauge", "gauge", "counter", "histogram", "summary")[number % 6]
            name = f"service_part_{number}_{'requests_total' if kind == 'counter' else 'seconds'}"
            lines.append(f"# HELP {name} What part {number} did, as a {kind}.\n# TYPE {name} {kind}")
            for member in range(3):
                labels = f'handler="/api/v{member}/orders",method="GET",code="{200 + member}"'
                lines.extend(samples(kind, name, labels, number + member + moment))
                points += 1
        return ("\n".join(lines) + "\n").encode()

    versions = [version(moment) for moment in range(VERSIONS)]
    return Target(versions, points)


def samples(kind, name, labels, value):
    match kind:
        case "counter" | "gauge":
            yield f"{name}{{{labels}}} {value}.5"
        case "histogram":
            for rank, bound in enumerate(("0.005", "0.05", "0.5", "5", "+Inf"), 1):
                yield f'{name}_bucket{{{labels},le="{bound}"}} {value * rank}'
            yield f"{name}_sum{{{labels}}} {value}.25"
            yield f"{name}_count{{{labels}}} {value * 5}"
        case "summary":
            for quantile in ("0.5", "0.9", "0.99"):
                yield f'{name}{{{labels},quantile="{quantile}"}} 0.{value}'
            yield f"{name}_sum{{{labels}}} {value}.25"
            yield f"{name}_count{{{labels}}} {value * 5}"
