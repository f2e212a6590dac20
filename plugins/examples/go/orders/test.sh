#!/usr/bin/env bash
# The tests run on this machine, and need no bindings: a host is an interface, and a test has its own.
set -euo pipefail
cd "$(dirname "$0")"
exec go test ./shop/...
