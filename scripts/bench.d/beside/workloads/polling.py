"""What it takes to watch a workspace: requests, bytes and processor time of a cycle."""

import json
import urllib.parse
import urllib.request

from ..own_metrics import COLLECTIONS, OwnMetrics
from ..world import OPENER, PATIENCE, Failed, Running, await_that

TITLE = "Polling a workspace"
SCALE = 12
CYCLES = 5
# By then everything has been read once.
FIRST = 3
ABOUT = (
    "A simulated workspace whose jobs run ten times a day each. The Collector has no receiver for that; beside Kiln stand the requests of the algorithm that is described "
    "for one: first pages only, `runs/get` for up to twenty runs and `clusters/get` for those with a cluster, each cycle. It sees twenty jobs and twenty runs however "
    f"many there are; Kiln sees all. Time runs {SCALE} times as fast as usual for both: a cycle every five seconds in place of sixty, every other interval in proportion, and as many more runs. "
    f"Means of {CYCLES} cycles after everything was read once."
)
TOKEN = "dapi0123456789abcdef0123456789abcdef"
# Each collector's own interval, at this pace.
COLLECTORS = {"clusters": 1, "warehouses": 1, "pipelines": 1, "queries": 1, "jobs": 5, "pools": 5, "serving": 5, "identity": 60, "inventory": 360}
COLUMNS = ["jobs", "Kiln: requests", "received, kB", "processor time, ms", "memory, MiB", "the algorithm: requests", "received, kB", "jobs seen", "runs seen"]


def measure(bench):
    rows = [cycle_of(bench, jobs) for jobs in ((40,) if bench.is_quick else (40, 400, 4000))]
    return {"tables": [{"title": "Of one cycle", "columns": COLUMNS, "rows": rows}]}


def cycle_of(bench, jobs):
    program = [bench.programs["workspace"], "--jobs", str(jobs), "--runs-per-day", str(10 * SCALE * jobs), "--retention", "2h", "--objects", "500"]
    workspace = Running(program, bench.core ^ 1, f"{bench.scratch}/workspace.log")
    try:
        await_that("the workspace", lambda: workspace.check_alive() and workspace.log_says("listening on"))
        with open(workspace.log, encoding="utf-8") as log:
            url = log.read().split("listening on ")[1].split()[0]
        ours = kiln_cycle(bench, url)
        theirs = Algorithm(url).cycle()
    finally:
        workspace.end()
    return [f"{jobs:,}", *ours, *theirs]


def kiln_cycle(bench, workspace):
    bench.backend.forget()
    configuration = f"{bench.scratch}/polling.yaml"
    with open(configuration, "w", encoding="utf-8") as file:
        json.dump(
            {
                "plugins_dir": bench.programs["plugins"],
                "receivers": {
                    "databricks": {
                        "host": workspace,
                        "token": TOKEN,
                        "initial_lookback": "10m",
                        "collection_interval": f"{60 // SCALE}s",
                        "initial_delay": "0s",
                        "max_jobs": 20000,
                        "collectors": {name: {"interval": f"{60 // SCALE * minutes}s"} for name, minutes in COLLECTORS.items()},
                        "grants": {"http": [{"origin": workspace, "addresses": ["loopback"]}]},
                    }
                },
                "exporters": {"otlp_http": {"endpoint": bench.backend.url}},
                "service": {
                    "data_dir": f"{bench.scratch}/data-polling",
                    "telemetry": {"endpoint": "127.0.0.1:0"},
                    "pipelines": {kind: {"receivers": ["databricks"], "exporters": ["otlp_http"]} for kind in ("metrics", "traces", "logs")},
                },
            },
            file,
        )
    running = bench.run([bench.programs["kiln"], "run", "--config", configuration])
    try:
        metrics = OwnMetrics(running)
        before = metrics.await_collections(FIRST)
        seconds = running.processor_seconds()
        after = metrics.await_collections(before[COLLECTIONS] + CYCLES)
        seconds = running.processor_seconds() - seconds
        cycles = after[COLLECTIONS] - before[COLLECTIONS]
        each = lambda name: (after[name] - before[name]) / cycles
        if after["kiln_collection_partial_failures_total"]:
            raise Failed(f"a part of the workspace could not be read:\n{running.last_words()}")
        return [
            f"{each('kiln_egress_requests_total'):.1f}",
            f"{each('kiln_egress_received_bytes_total') / 1000:.0f}",
            f"{seconds / cycles * 1000:.0f}",
            f"{running.memory('VmRSS'):.0f}",
        ]
    finally:
        running.end()


class Algorithm:
    """The requests that the described receiver makes, and what it gets to see."""

    LISTS = (
        "/api/2.2/jobs/list",
        "/api/2.2/jobs/runs/list",
        "/api/2.0/sql/warehouses",
        "/api/2.0/workspace/list?path=/",
        "/api/2.0/dbfs/list?path=/",
        "/api/2.0/token-management/tokens",
        "/api/2.0/preview/scim/v2/Users",
        "/api/2.0/preview/scim/v2/Groups",
        "/api/2.0/policies/clusters/list",
    )

    def __init__(self, workspace):
        self.workspace, self.requests, self.bytes = workspace, 0, 0

    def get(self, path):
        request = urllib.request.Request(self.workspace + path, headers={"authorization": f"Bearer {TOKEN}"})
        with OPENER.open(request, timeout=PATIENCE) as answer:
            body = answer.read()
        self.requests += 1
        self.bytes += len(body)
        return json.loads(body)

    def cycle(self):
        answers = {path: self.get(path) for path in self.LISTS}
        runs = answers["/api/2.2/jobs/runs/list"].get("runs", [])
        # What it was told of a run it remembers for five minutes; in a workspace as busy as this the latest twenty are others by then.
        for run in runs[:20]:
            self.get(f"/api/2.2/jobs/runs/get?{urllib.parse.urlencode({'run_id': run['run_id']})}")
            # The simulated workspace does not know the path; what counts is that it would be asked.
            self.requests += "cluster_instance" in run
        return [str(self.requests), f"{self.bytes / 1000:.0f}", str(len(answers["/api/2.2/jobs/list"].get("jobs", []))), str(len(runs))]
