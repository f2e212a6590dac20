#!/usr/bin/env bash
# Leaves the component in $KILN_MODULE; run by `kiln plugin build`, which packs it.
set -euo pipefail
cd "$(dirname "$0")"
. ./tools.sh
[ -e "$toolchain/complete" ] || install_toolchain

# Bindings are for the tests and for editors; the component has its own. Nothing of WASI: what the plugin needs it asks
# Kiln for, and so it imports what plugin.toml requests and no more.
rm -rf build/bindings
componentize_py -d "$KILN_WIT" -w "$KILN_WORLD" bindings build/bindings
componentize_py -q -d "$KILN_WIT" -w "$KILN_WORLD" componentize --stub-wasi -o "$KILN_MODULE" app
