"""The two sides: the same work, as each of them is configured for it.

Of the Collector there are three line-ups: with the batch processor and ten seconds, as it is often set up on a Spark driver; with
what takes its place, batches made by the exporter's queue; and without batches, for what is measured in milliseconds or a request
at a time.
"""

import dataclasses
import json
import os
import shutil

from . import driver

QUEUE_BATCHES = {"flush_timeout": "200ms", "min_size": 8192, "sizer": "items"}


@dataclasses.dataclass(frozen=True)
class Work:
    """What a side is told to do; one receiver for each target."""

    targets: tuple
    interval: float
    enrichments: int = 1
    exporters: int = 1
    on_disk: bool = False
    level: str = "error"
    more_of_exporter: dict = dataclasses.field(default_factory=dict)

    @property
    def milliseconds(self):
        return f"{round(self.interval * 1000)}ms"

    def exporter(self, backend):
        return {"endpoint": backend, **self.more_of_exporter}

    def processors(self):
        """Each sets the same attribute to another value, so that none leaves more behind than the one before."""
        action = lambda at: {"key": "deployment.environment.name", "value": f"prod-{at}", "action": "upsert"}
        return {f"resource/{at}": {"attributes": [action(at)]} for at in range(self.enrichments)}


def kiln(work, backend, scratch, plugins):
    # The limits are there and out of the way: what a page of 100,000 samples takes is not what they are for.
    limits = {"cpu": "30s", "output_bytes": "512MiB", "host_call_bytes": "1GiB", "host_call_total_bytes": "4GiB", "memory": "1GiB"}
    receiver = lambda target: {
        "collection_interval": work.milliseconds,
        "initial_delay": "0s",
        "timeout": "60s",
        "limits": limits,
        "grants": {"http": [{"origin": f"http://{target}", "addresses": ["loopback"]}]},
        "scrape_configs": [{"job_name": "bench", "static_configs": [{"targets": [target]}]}],
    }
    exporter = work.exporter(backend)
    if work.on_disk:
        exporter["sending_queue"] = {"storage": "queue", "fsync": "never"}
    return {
        "plugins_dir": plugins,
        **line(work, {f"prometheus/{at}": receiver(target) for at, target in enumerate(work.targets)}, work.processors(), exporter),
        "service": {"data_dir": f"{scratch}/data", "telemetry": {"endpoint": "127.0.0.1:0"}},
    }


def collector(work, backend, scratch, batch_processor=None, queue=None):
    receiver = lambda target: {
        "discovery_reload_on_startup": True,
        "config": {
            "scrape_configs": [
                {
                    "job_name": "bench",
                    "scrape_interval": work.milliseconds,
                    "scrape_timeout": work.milliseconds,
                    "static_configs": [{"targets": [target]}],
                }
            ]
        },
    }
    exporter = work.exporter(backend)
    configuration = {"service": {"telemetry": {"metrics": {"level": "none"}, "logs": {"level": work.level}}}}
    if queue or work.on_disk:
        exporter["sending_queue"] = {**({"batch": queue} if queue else {}), **({"storage": "file_storage"} if work.on_disk else {})}
    if work.on_disk:
        configuration["extensions"] = {"file_storage": {"directory": f"{scratch}/storage", "create_directory": True}}
        configuration["service"]["extensions"] = ["file_storage"]
    processors = work.processors() | ({"batch": batch_processor} if batch_processor else {})
    return configuration | line(
        work, {f"prometheus/{at}": receiver(target) for at, target in enumerate(work.targets)}, processors, exporter
    )


def line(work, receivers, processors, exporter):
    return {
        "receivers": receivers,
        "processors": processors,
        "exporters": {f"otlp_http/{at}": exporter for at in range(work.exporters)},
    }


class Side:
    """`holds_back`: some of what it has read it sends only when it is told to end."""

    def __init__(self, name, command, configure, holds_back=False):
        self.name, self.command, self.configure, self.holds_back = name, command, configure, holds_back

    def prepare(self, work, backend, scratch, afresh=False):
        """Writes the configuration and gives the command that runs with it; `afresh`: with nothing left of runs before."""
        for left in ("data/queue", "storage") + (("data",) if afresh else ()):
            shutil.rmtree(f"{scratch}/{left}", ignore_errors=True)
        os.makedirs(f"{scratch}/data", mode=0o700, exist_ok=True)
        configuration = self.configure(work, backend, scratch)
        parts = ("receivers", "processors", "exporters")
        pipeline = {part: list(configuration[part]) for part in parts}
        configuration["service"]["pipelines"] = {"metrics": pipeline}
        path = f"{scratch}/{self.name.replace(' ', '-').replace(',', '')}.yaml"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(configuration, file, indent=1)
        return [*self.command, "--config", path]


def sides(programs, scratch):
    """By name. `kiln` is what is shipped to a driver; `compiling` compiles its plugins, and needs no bundle."""
    unpacked = f"{scratch}/driver"
    environment = [f"{name}={value}" for name, value in driver.ENVIRONMENT.items()]
    shipped = ["env", *environment, *driver.unpack(programs["bundle"], unpacked)]
    of_kiln = lambda plugins: lambda work, backend, scratch: kiln(work, backend, scratch, plugins)
    of_collector = lambda **line_up: lambda work, backend, scratch: collector(work, backend, scratch, **line_up)
    return {
        "kiln": Side("Kiln", shipped, of_kiln(f"{unpacked}/plugins")),
        "compiling": Side("Kiln, compiling", [programs["kiln"], "run"], of_kiln(programs["plugins"])),
        "plain": Side("Collector", [programs["collector"]], of_collector()),
        "batch": Side("Collector, batch processor", [programs["collector"]], of_collector(batch_processor={"timeout": "10s"}), True),
        "queue": Side("Collector, queue batching", [programs["collector"]], of_collector(queue=QUEUE_BATCHES)),
    }
