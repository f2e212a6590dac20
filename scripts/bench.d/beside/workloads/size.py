"""What is shipped to a driver."""

import gzip
import os

from ..measure import comparison

TITLE = "Size"
ABOUT = (
    "What goes to a driver: of Kiln the bundle with the plugins `prometheus`, `resource`, `resource-detection` and `spark`, as they are and as native code, of the Collector the "
    "program, with nothing built in but what is measured here. Both are stripped, and compressed with gzip at level 9."
)


def measure(bench):
    ours, theirs = bench.programs["bundle"], bench.programs["collector"]
    with gzip.open(ours) as archive:
        unpacked = sum(len(block) for block in iter(lambda: archive.read(1 << 20), b""))
    with open(theirs, "rb") as program:
        packed = len(gzip.compress(program.read(), 9))
    turns = {"Kiln": [sizes(unpacked, os.path.getsize(ours))], "Collector": [sizes(os.path.getsize(theirs), packed)]}
    return {"comparisons": [comparison("size", "what a driver fetches", turns, "Kiln", "Collector")]}


def sizes(unpacked, packed):
    return {"disk_mib": unpacked / 2**20, "gzip_mib": packed / 2**20}
