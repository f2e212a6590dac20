"""Kiln and the OpenTelemetry Collector, side by side: the same pages, the same backend, the same core, by turns.

Ends with 1 if a workload failed, as one does if anything that was sent did not arrive. See beside/.
"""

import argparse
import os
import sys
import time

from beside import report
from beside.measure import Bench
from beside.sides import sides
from beside.workloads import WORKLOADS
from beside.world import Backend, Failed

PROGRAMS = ("kiln", "bundle", "plugins", "test_plugins", "collector", "sink", "replay", "workspace", "parser", "pages")


def read_arguments():
    parser = argparse.ArgumentParser()
    for name in (*PROGRAMS, "scratch", "output", "command", "only"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("pairs", "idle", "core"):
        parser.add_argument(f"--{name}", required=True, type=int)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",") if arguments.only else list(WORKLOADS)
    if unknown := set(arguments.only) - set(WORKLOADS):
        raise SystemExit(f"there is no workload {', '.join(sorted(unknown))}; there is {', '.join(WORKLOADS)}")
    return arguments


def leave_the_core(core):
    """Everything but the sides runs elsewhere."""
    cores = os.sched_getaffinity(0)
    if core not in cores or len(cores) < 2:
        raise SystemExit(f"there are the cores {sorted(cores)} here; the sides need core {core}, the rest another one")
    os.sched_setaffinity(0, cores - {core})


def main():
    arguments = read_arguments()
    leave_the_core(arguments.core)
    programs = {name: getattr(arguments, name) for name in PROGRAMS}
    backend = Backend(arguments.sink)
    bench = Bench(
        backend=backend,
        sides=sides(programs, arguments.scratch),
        programs=programs,
        scratch=arguments.scratch,
        core=arguments.core,
        pairs=arguments.pairs,
        idle=arguments.idle,
        is_quick=arguments.quick,
    )
    results = {
        "command": arguments.command,
        "about": report.about(arguments.kiln, arguments.collector),
        "core": arguments.core,
        "workloads": {},
    }
    try:
        for name in arguments.only:
            began = time.monotonic()
            try:
                results["workloads"][name] = WORKLOADS[name].measure(bench)
                ended = "done"
            except (Failed, OSError, ArithmeticError) as failure:
                results["workloads"][name] = {"failed": str(failure)}
                ended = f"FAILED: {failure}"
            print(f"  {name:<12} {time.monotonic() - began:5.0f} s  {ended}", flush=True)
            # After each, so that a run that is interrupted leaves what it has.
            report.write(arguments.output, results)
    finally:
        backend.end()
    print("\n" + report.markdown(results))
    return 1 if any("failed" in part for part in results["workloads"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
