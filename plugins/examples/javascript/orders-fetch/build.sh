#!/usr/bin/env bash
# Leaves the component in $KILN_MODULE; run by `kiln plugin build`, which packs it.
set -euo pipefail
cd "$(dirname "$0")"
. ./tools.sh
[ -e "$toolchain/complete" ] || install_toolchain

esbuild plugin.js --bundle --format=esm '--external:kiln:*' --log-level=warning --outfile=build/bundle.js
# componentize-js came along with jco, and is called by itself because this release of jco does not find the contract for it.
node componentize.mjs "$toolchain"
