#!/usr/bin/env bash
# The tests run on this machine, without WebAssembly: the SDK's harness stands in for the host.
set -euo pipefail
cd "$(dirname "$0")"
exec cargo test
