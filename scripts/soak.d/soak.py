"""Watches a Kiln whose backend fails at random, and says in the end whether it is still what it was.

Memory is sampled every few seconds, without the pages of files, which the kernel maps and drops as others need room; its slope is that
of the least squares over the last two thirds, and it is too steep if even two standard errors less would be. The faults are such that a request is stored or not, never perhaps: so what the backend has is
exactly what Kiln counts as sent, and that is exactly what came out of the pipelines.
"""

import argparse
import json
import math
import random
import re
import sys
import time
import urllib.request
from collections import defaultdict

# Everything is on this machine, whatever proxy the environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SAMPLE_SECONDS = 2
SETTLE_SECONDS = 120
SIGNALS = {"metrics": "metric_points", "traces": "spans", "logs": "log_records"}


def fetch(url, method="GET", body=None):
    request = urllib.request.Request(url, method=method, data=body and json.dumps(body).encode())
    with OPENER.open(request, timeout=30) as answer:
        return answer.read()


def own_metrics(kiln):
    """Kiln's own metrics as (name, labels, value)."""
    metrics = []
    for line in fetch(f"{kiln}/metrics").decode().splitlines():
        if match := re.match(r"(\w+)(?:\{(.*)\})? (\S+)", line):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            metrics.append((match[1], labels, float(match[3])))
    return metrics


def total(metrics, name, **wanted):
    matching = (value for known, labels, value in metrics if known == name and wanted.items() <= labels.items())
    return int(sum(matching))


def account(kiln, backend):
    """What came out of the pipelines, what Kiln says it sent and lost, and what the backend has, by signal."""
    metrics = own_metrics(kiln)
    requests = json.loads(fetch(f"{backend}/-/telemetry?metric=none"))["requests"]
    stored = defaultdict(int)
    for request in requests:
        stored[request["signal"]] += request["items"]
    of_pipelines = {
        "metrics": total(metrics, "otelcol_processor_outgoing_items_total", processor="cardinality"),
        "traces": total(metrics, "otelcol_receiver_accepted_spans_total"),
        "logs": total(metrics, "otelcol_receiver_accepted_log_records_total"),
    }
    rows = {}
    for signal, kind in SIGNALS.items():
        rows[signal] = (
            of_pipelines[signal],
            total(metrics, f"otelcol_exporter_sent_{kind}_total"),
            total(metrics, f"otelcol_exporter_send_failed_{kind}_total"),
            stored[signal],
        )
    return rows, total(metrics, "otelcol_exporter_queue_size"), metrics, requests


def fault(dice, backend):
    """One thing that goes wrong; for how long nothing gets through."""
    kind = dice.choice(["unavailable", "throttled", "reset", "away", "nothing"])
    if kind == "unavailable":
        fetch(f"{backend}/-/faults", "POST", {"path": "/v1", "times": dice.randint(1, 12), "fault": "status", "status": dice.choice([502, 503, 504])})
    elif kind == "throttled":
        after = dice.choice([{"seconds": 1}, {"date_in": 2}])
        fetch(f"{backend}/-/faults", "POST", {"path": "/v1", "times": dice.randint(1, 3), "fault": "status", "status": 429, "retry_after": after})
    elif kind == "reset":
        fetch(f"{backend}/-/faults", "POST", {"path": "/v1", "times": dice.randint(1, 8), "fault": dice.choice(["reset", "reset_mid_body"])})
    elif kind == "away":
        fetch(f"{backend}/-/faults", "POST", {"path": "/v1", "fault": "reset"})
        return dice.uniform(5, 30)
    return 0


def resident_mib(pid, field="VmRSS"):
    """VmRSS, RssAnon or VmHWM."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines[field].split()[0]) / 1024


def processor_seconds(pid):
    return time.clock_gettime((~pid << 3) | 2)


def slope_of(samples):
    """MiB an hour, and its standard error."""
    n = len(samples)
    mean_t, mean_m = (sum(column) / n for column in zip(*samples))
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    slope = sum((t - mean_t) * (m - mean_m) for t, m in samples) / spread
    left = sum((m - mean_m - slope * (t - mean_t)) ** 2 for t, m in samples)
    return slope * 3600, math.sqrt(left / max(1, n - 2) / spread) * 3600


def tell(seconds, arguments):
    """How it is at this moment, so that a slope can be told from a step."""
    metrics = own_metrics(arguments.kiln)
    plugins = total(metrics, "kiln_instance_memory_bytes") / 2**20
    waiting = total(metrics, "otelcol_exporter_queue_size")
    print(f"  {seconds / 60:5.1f} min  {resident_mib(arguments.pid):6.1f} MiB, {resident_mib(arguments.pid, 'RssAnon'):6.1f} without files, {plugins:5.1f} of plugins; {waiting} batches wait", flush=True)


def watch(arguments):
    dice = random.Random(arguments.seed)
    began, used = time.monotonic(), processor_seconds(arguments.pid)
    samples, next_fault, back_at, told = [], began + 10, None, 0
    while (now := time.monotonic()) - began < arguments.minutes * 60:
        if back_at and now >= back_at:
            fetch(f"{arguments.backend}/-/faults", "DELETE")
            back_at = None
        elif not back_at and now >= next_fault:
            if lasts := fault(dice, arguments.backend):
                back_at = now + lasts
            next_fault = now + dice.uniform(3, 15)
        samples.append((now - began, resident_mib(arguments.pid, "RssAnon")))
        if now - began >= told * arguments.minutes * 6:
            tell(now - began, arguments)
            told += 1
        time.sleep(SAMPLE_SECONDS)
    wall = time.monotonic() - began
    fetch(f"{arguments.backend}/-/faults", "DELETE")
    return samples, (processor_seconds(arguments.pid) - used) / wall


def settled(arguments):
    """The account at a moment when nothing is on the way, or the last one there was."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        rows, queued, metrics, requests = account(arguments.kiln, arguments.backend)
        is_whole = queued == 0 and all(out == sent == stored and lost == 0 for out, sent, lost, stored in rows.values())
        if is_whole or time.monotonic() > deadline:
            return is_whole, rows, queued, metrics, requests
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser()
    for name in ("backend", "kiln"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("pid", "minutes", "slope", "seed"):
        parser.add_argument(f"--{name}", required=True, type=int)
    arguments = parser.parse_args()
    samples, load = watch(arguments)
    counted = samples[len(samples) // 3 :]
    slope, error = slope_of(counted)
    is_whole, rows, queued, metrics, requests = settled(arguments)

    print(f"\n  processor     {100 * load:.2f} % of a core")
    print(f"  memory        {counted[0][1]:.1f} MiB without files after a third of the time, {samples[-1][1]:.1f} in the end; {resident_mib(arguments.pid, 'VmHWM'):.1f} with them at most")
    print(f"  its slope     {slope:+.1f} MiB an hour, standard error {error:.1f}; {arguments.slope} are allowed")
    refused = sum(1 for request in requests if request["answer"] != 200)
    retries = total(metrics, "kiln_exporter_retries_total")
    print(f"  requests      {len(requests)}, {refused} of them not accepted; Kiln counts {retries} retries; {queued} batches wait")
    print(f"\n  {'':<10}{'pipelines':>12}{'sent':>12}{'lost':>8}{'backend has':>14}")
    for signal, (out, sent, lost, stored) in rows.items():
        print(f"  {signal:<10}{out:>12,}{sent:>12,}{lost:>8,}{stored:>14,}")
    failures = []
    if slope - 2 * error > arguments.slope:
        failures.append(f"memory grows by {slope:.1f} MiB an hour")
    if not is_whole:
        failures.append("the numbers of items differ")
    if not refused or not all(stored for *_, stored in rows.values()):
        failures.append("nothing went wrong, or nothing arrived, so this shows nothing")
    for sentence in failures:
        print(f"\nsoak: {sentence}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
