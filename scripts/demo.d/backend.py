"""Asks a Prometheus-compatible backend what has arrived, and prints it.

usage: backend.py await URL SECONDS TIER...
       backend.py table URL TIER...

`await` returns once every tier has series and the number of metrics has stopped growing.
`table` prints, tier by tier, each metric with its series, its labels and its latest value.
A tier is `workspace` or `spark`; in `table`, `spark=REASON` says why there is none of it.
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

# What joins the two tiers, and is therefore worth more than any other label as an example.
JOIN_KEYS = (
    "databricks_workspace_id",
    "databricks_workspace_host",
    "databricks_cluster_id",
    "databricks_cluster_name",
    "databricks_job_id",
    "databricks_run_id",
)

# Parts of one histogram: a reader wants its count and its sum, not each bucket.
BUCKET_SUFFIX = "_bucket"

# The backend is on this machine, whatever proxy the environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Series = tuple[dict[str, str], float]


def query(url: str, promql: str) -> list[Series]:
    address = f"{url}/prometheus/api/v1/query?{urllib.parse.urlencode({'query': promql})}"
    with OPENER.open(address, timeout=10) as answer:
        result = json.load(answer)["data"]["result"]
    return [(one["metric"], float(one["value"][1])) for one in result]


def series_of(url: str, tier: str) -> list[Series]:
    return query(url, f'{{__name__=~"{TIERS[tier][1]}.*"}}')


def names(series: list[Series]) -> set[str]:
    return {labels["__name__"] for labels, _ in series}


def await_data(url: str, seconds: float, tiers: list[str]) -> int:
    deadline = time.monotonic() + seconds
    last_count, quiet_since = 0, time.monotonic()
    while time.monotonic() < deadline:
        found = {tier: names(series_of(url, tier)) for tier in tiers}
        count = sum(map(len, found.values()))
        if count != last_count:
            last_count, quiet_since = count, time.monotonic()
        if all(found.values()) and time.monotonic() - quiet_since >= QUIET_SECONDS:
            return 0
        time.sleep(0.5)
    missing = [TIERS[tier][0] for tier in tiers if not series_of(url, tier)]
    if missing:
        print(f"no metrics of {' and '.join(missing)} in the backend after {seconds:.0f} s", file=sys.stderr)
        return 1
    return 0


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"


def example_labels(series: list[Series], width: int) -> str:
    """The labels in which the series of this metric differ come first: they say what it is counted by."""
    values: dict[str, set[str]] = defaultdict(set)
    for labels, _ in series:
        for key, value in labels.items():
            values[key].add(value)
    labels = series[-1][0]
    order = sorted((key for key in labels if key != "__name__"), key=lambda key: (len(values[key]) < 2, key))
    return shorten(", ".join(f"{key}={shorten(labels[key], 24)}" for key in order), width)


def print_tier(title: str, series: list[Series]) -> None:
    by_name: dict[str, list[Series]] = defaultdict(list)
    for labels, value in series:
        if not labels["__name__"].endswith(BUCKET_SUFFIX):
            by_name[labels["__name__"]].append((labels, value))
    print(f"\n{title}: {len(by_name)} metrics, {len(series)} series")
    if not by_name:
        return
    width = min(max(map(len, by_name)), 66)
    print(f"  {'metric':<{width}}  series  {'latest':>14}  labels of one")
    for name, members in sorted(by_name.items()):
        value = number(members[-1][1])
        print(f"  {shorten(name, width):<{width}}  {len(members):>6}  {value:>14}  {example_labels(members, 72)}")


def print_join_keys(series: dict[str, list[Series]]) -> None:
    print("\nKiln join keys: the same labels on both tiers")
    print(f"  {'label':<28}  {'Workspace':>9}  {'Spark':>9}  one value")
    for key in JOIN_KEYS:
        counts = {tier: sum(key in labels for labels, _ in found) for tier, found in series.items()}
        values = {tier: {labels[key] for labels, _ in found if key in labels} for tier, found in series.items()}
        shared = set.intersection(*values.values()) if len(values) > 1 else set()
        one = min(shared or set.union(set(), *values.values()), default="-")
        print(f"  {key:<28}  {counts.get('workspace', 0):>9}  {counts.get('spark', 0):>9}  {one}{' (on both)' if shared else ''}")


def print_table(url: str, tiers: list[str]) -> int:
    series = {}
    for tier, _, reason in (tier.partition("=") for tier in tiers):
        if reason:
            print(f"\n{TIERS[tier][0]}: not part of this run. {reason}")
            continue
        series[tier] = series_of(url, tier)
        print_tier(TIERS[tier][0], series[tier])
    print_join_keys(series)
    return 0


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["await", url, seconds, *tiers]:
                return await_data(url, float(seconds), tiers)
            case ["table", url, *tiers]:
                return print_table(url, tiers)
    except (OSError, KeyError, ValueError) as error:
        print(f"the backend at {url} did not answer a query: {error}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
