#!/usr/bin/env bash
# The tests run on this machine, against the bindings of the last `kiln plugin build`.
set -euo pipefail
cd "$(dirname "$0")"
[ -d build/bindings ] || { echo "there are no bindings yet; run 'kiln plugin build' first" >&2; exit 69; }
PYTHONPATH=build/bindings:. exec python3 -m unittest discover -s tests
