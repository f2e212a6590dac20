#!/usr/bin/env bash
# The tests run on this machine, and need no bindings.
set -euo pipefail
cd "$(dirname "$0")"
exec go test ./{{package}}/...
