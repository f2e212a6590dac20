#!/usr/bin/env bash
# Leaves the module in $KILN_MODULE; run by `kiln plugin build`, which packs it.
set -euo pipefail
cd "$(dirname "$0")"
. ./tools.sh
[ -e "$toolchain/complete" ] || install_toolchain

# The bindings come with an object that says which world they are for.
"$KILN" plugin bindings --lang c build/bindings
zig_cc -target wasm32-wasi -mexec-model=reactor -std=c11 -Os -s -Wall -Wextra -Werror -I build/bindings -o "$KILN_MODULE" \
  src/*.c "build/bindings/$KILN_WORLD.c" "build/bindings/${KILN_WORLD}_component_type.o" -Wl,--no-entry
