# shellcheck shell=bash
# Where things are: the repository, what is built, and what is downloaded once and kept.

KILN_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KILN_CACHE=${KILN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kiln}

# A CI machine clones afresh for each run; what it built is worth keeping outside the clone.
if [ -z "${CARGO_TARGET_DIR:-}" ]; then
  if [ -n "${CI:-}" ]; then
    CARGO_TARGET_DIR=$HOME/.cache/kiln/target
  else
    CARGO_TARGET_DIR=$KILN_ROOT/target
  fi
fi
case $CARGO_TARGET_DIR in
  /*) ;;
  *) CARGO_TARGET_DIR=$KILN_ROOT/$CARGO_TARGET_DIR ;;
esac

KILN_BIN=${KILN_BIN:-$CARGO_TARGET_DIR/release/kiln}
KILN_PLUGINS=${KILN_PLUGINS:-$CARGO_TARGET_DIR/plugins}
KILN_TEST_PLUGINS=${KILN_TEST_PLUGINS:-$CARGO_TARGET_DIR/test-plugins}
KILN_EXAMPLES=${KILN_EXAMPLES:-$CARGO_TARGET_DIR/examples}
KILN_EXAMPLES_BUILT=$CARGO_TARGET_DIR/examples-built

export KILN_ROOT KILN_CACHE CARGO_TARGET_DIR KILN_BIN KILN_PLUGINS KILN_TEST_PLUGINS KILN_EXAMPLES KILN_EXAMPLES_BUILT
