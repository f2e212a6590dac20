#!/usr/bin/env bash
# The tests run on this machine, compiled for it, against the header of the last `kiln plugin build`. They stand in for
# the functions of the host, and the plugin does not notice.
set -euo pipefail
cd "$(dirname "$0")"
[ -d build/bindings ] || { echo "there are no bindings yet; run 'kiln plugin build' first" >&2; exit 69; }
"${CC:-cc}" -std=c11 -g -Wall -Wextra -Werror -fsanitize=address,undefined -I build/bindings -I src -o build/promises src/*.c tests/promises.c
exec build/promises
