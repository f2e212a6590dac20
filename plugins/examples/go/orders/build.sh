#!/usr/bin/env bash
# Leaves the module in $KILN_MODULE; run by `kiln plugin build`, which packs it.
set -euo pipefail
cd "$(dirname "$0")"
command -v go >/dev/null || {
  echo "Go is missing; install release 1.24 or later from https://go.dev" >&2
  exit 69
}

"$KILN" plugin bindings --lang go build/bindings
# A library rather than a command: it is started once and called many times.
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o "$KILN_MODULE" .
