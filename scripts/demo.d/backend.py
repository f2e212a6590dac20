"""Asks a Prometheus-compatible backend what has arrived, and prints it.

usage: backend.py await URL SECONDS PREFIX...
       backend.py table URL TIER...

`await` returns once there are metrics with each of the prefixes and their number has stopped growing.
`table` prints, tier by tier, each metric with its series, its latest value and its labels.
A tier is `workspace` or `spark`; `spark=REASON` says why there is none of it.
"""

import json
import sys
import time
import urllib.parse
import urllib.request
from collections import defaultdict

TIERS = {
    "workspace": ("Workspace", "databricks"),
    "spark": ("Spark", "spark"),
}

# Two collections and the way to the backend.
QUIET_SECONDS = 12

# What Kiln calls the things that both tiers know: a workspace, a cluster, a job, a run.
JOIN_KEY_PREFIX = "databricks_"

# Parts of one histogram: a reader wants its count and its sum, not each bucket.
BUCKET_SUFFIX = "_bucket"

# A screenful of a tier, what a reader asks about first at its top; the backend has the rest.
ROWS = 30
FIRST = ("spark_streaming_", "spark_executor_", "spark_driver_dag_scheduler_", "spark_driver_app_status_")

# The backend is on this machine, whatever proxy the environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Series = tuple[dict[str, str], float]


def query(url: str, promql: str) -> list[Series]:
    address = f"{url}/prometheus/api/v1/query?{urllib.parse.urlencode({'query': promql})}"
    with OPENER.open(address, timeout=10) as answer:
        result = json.load(answer)["data"]["result"]
    return [(one["metric"], float(one["value"][1])) for one in result]


def series_of(url: str, prefix: str) -> list[Series]:
    return query(url, f'{{__name__=~"{prefix}.*"}}')


def await_data(url: str, seconds: float, prefixes: list[str]) -> int:
    deadline = time.monotonic() + seconds
    last_count, quiet_since = 0, time.monotonic()
    while True:
        found = {prefix: {labels["__name__"] for labels, _ in series_of(url, prefix)} for prefix in prefixes}
        count = sum(map(len, found.values()))
        if count != last_count:
            last_count, quiet_since = count, time.monotonic()
        missing = [prefix for prefix, names in found.items() if not names]
        if not missing and time.monotonic() - quiet_since >= QUIET_SECONDS:
            return 0
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if missing:
        print(f"after {seconds:.0f} s no metric in the backend is called {' or '.join(missing)}...", file=sys.stderr)
    return 1 if missing else 0


def shorten(text: str, width: int) -> str:
    """Cuts the middle out: names differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[-tail:]}"


def number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"


def join_labels(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}={shorten(value, 40)}" for key, value in sorted(labels.items()))


def shared_labels(series: list[Series]) -> dict[str, str]:
    shared = dict(series[0][0])
    for labels, _ in series:
        shared = {key: value for key, value in shared.items() if labels.get(key) == value}
    return shared


def print_tier(title: str, series: list[Series]) -> None:
    by_name: dict[str, list[Series]] = defaultdict(list)
    for labels, value in series:
        if not labels["__name__"].endswith(BUCKET_SUFFIX):
            by_name[labels["__name__"]].append((labels, value))
    print(f"\n{title}: {len(by_name)} metrics, {len(series)} series")
    if not by_name:
        return
    everywhere = shared_labels(series)
    print(f"  on all of them: {join_labels(everywhere)}")
    shown = sorted(by_name.items(), key=lambda item: (rank(item[0]), item[0]))[:ROWS]
    width = min(max(len(name) for name, _ in shown), 72)
    print(f"  {'metric':<{width}}  series  {'latest':>14}  other labels of that one")
    for name, members in shown:
        labels, value = members[-1]
        own = {key: text for key, text in labels.items() if key != "__name__" and key not in everywhere}
        print(f"  {shorten(name, width):<{width}}  {len(members):>6}  {number(value):>14}  {join_labels(own)}".rstrip())
    if len(by_name) > len(shown):
        print(f"  ... and {len(by_name) - len(shown)} more metrics")


def rank(name: str) -> int:
    """Where a metric stands among what is shown: groups of FIRST in their order, then all others."""
    return next((place for place, prefix in enumerate(FIRST) if name.startswith(prefix)), len(FIRST))


def print_join_keys(series: dict[str, list[Series]]) -> None:
    values: dict[str, dict[str, set[str]]] = {tier: defaultdict(set) for tier in series}
    for tier, found in series.items():
        for labels, _ in found:
            for key, value in labels.items():
                if key.startswith(JOIN_KEY_PREFIX):
                    values[tier][key].add(value)
    print("\nKiln join keys: what the two tiers call by the same name")
    print(f"  {'label':<28}  {'Workspace':>16}  {'Spark':>16}  in both, for example")
    for key in sorted({key for tier in values.values() for key in tier}):
        counts = [f"{len(values.get(tier, {}).get(key, ()))} values" for tier in TIERS]
        both = set.intersection(*(values.get(tier, {}).get(key, set()) for tier in TIERS))
        print(f"  {key:<28}  {counts[0]:>16}  {counts[1]:>16}  {min(both, default='-')}")


def print_table(url: str, tiers: list[str]) -> int:
    series = {}
    for tier, _, reason in (tier.partition("=") for tier in tiers):
        if reason:
            print(f"\n{TIERS[tier][0]}: not part of this run. {reason}")
            continue
        series[tier] = series_of(url, TIERS[tier][1])
        print_tier(TIERS[tier][0], series[tier])
    print_join_keys(series)
    return 0


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["await", url, seconds, *prefixes]:
                return await_data(url, float(seconds), prefixes)
            case ["table", url, *tiers]:
                return print_table(url, tiers)
    except (OSError, KeyError, ValueError) as error:
        print(f"the backend at {url} did not answer a query: {error}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
