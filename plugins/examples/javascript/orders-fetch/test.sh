#!/usr/bin/env bash
# The tests run on this machine, on Node.js.
set -euo pipefail
cd "$(dirname "$0")"
exec node --test tests/
