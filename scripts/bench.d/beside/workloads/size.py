"""What is shipped to a driver."""

import gzip
import os

from ..measure import comparison

TITLE = "Size"
ABOUT = (
    "What goes to a driver: of Kiln the program and the plugins `prometheus`, `resource` and `spark`, of the Collector the program, with nothing "
    "built in but what is measured here. Both are stripped."
)
PLUGINS = ("prometheus", "resource", "spark")


def measure(bench):
    plugins = [os.path.join(bench.programs["plugins"], f"{name}.wasm") for name in PLUGINS]
    turns = {"Kiln": [sizes([bench.programs["kiln"], *plugins])], "Collector": [sizes([bench.programs["collector"]])]}
    return {"comparisons": [comparison("size", "program and plugins", turns, "Kiln", "Collector")]}


def sizes(paths):
    plain = compressed = 0
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        plain += len(content)
        compressed += len(gzip.compress(content, 9))
    return {"disk_mib": plain / 2**20, "gzip_mib": compressed / 2**20}
