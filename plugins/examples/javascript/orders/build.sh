#!/usr/bin/env bash
# Leaves the component in $KILN_MODULE; run by `kiln plugin build`, which packs it.
set -euo pipefail
cd "$(dirname "$0")"
. ./tools.sh
[ -e "$toolchain/complete" ] || install_toolchain

# One file for the engine. QuickJS, because it is a tenth of the size of StarlingMonkey; nothing of WASI, because what the
# plugin needs it asks Kiln for.
esbuild plugin.js --bundle --format=esm '--external:kiln:*' --log-level=warning --outfile=build/bundle.js
jco componentize "$PWD/build/bundle.js" --wit "$KILN_WIT" --world-name "$KILN_WORLD" \
  --backend qjs --backend-qjs-disable-async --backend-qjs-stub-wasi --out "$KILN_MODULE" >/dev/null
