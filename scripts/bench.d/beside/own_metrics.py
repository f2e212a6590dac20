"""What Kiln says of itself, where the outside cannot see it."""

import time
from collections import defaultdict

from .world import PATIENCE, Failed, await_that, fetch

COLLECTIONS = "kiln_collection_duration_seconds_count"


class OwnMetrics:
    """The metrics of a Kiln that is running."""

    def __init__(self, running):
        self.url = f"http://{await_that('an address of metrics', lambda: running.check_alive() and address(running))}/metrics"

    def read(self):
        """By name, added up."""
        values = defaultdict(float)
        for line in fetch(self.url).decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.split("{")[0].split()[0], line.rsplit(" ", 1)[1]
                values[name] += float(value)
        return values

    def await_collections(self, count):
        """What it says when so many collections have ended."""
        deadline = time.monotonic() + 3 * PATIENCE
        while (now := self.read())[COLLECTIONS] < count:
            if time.monotonic() > deadline:
                raise Failed(f"{count} collections did not end in time")
            time.sleep(0.1)
        return now


def address(running):
    with open(running.log, encoding="utf-8") as log:
        said = [line for line in log if "metrics at /metrics" in line]
    return said and said[0].split("address=")[1].split()[0].strip('"')
