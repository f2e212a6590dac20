# shellcheck shell=bash
# The Rust toolchain and the C compiler that ring's assembly needs.

readonly RUST_MINIMUM=1.95

# version_at_least HAVE WANT
version_at_least() {
  case $1 in
    [0-9]*) [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ] ;;
    *) return 1 ;;
  esac
}

# A toolchain is its user's choice: it is asked for, never installed.
require_cargo() {
  local have
  have=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || have=missing
  version_at_least "$have" "$RUST_MINIMUM" ||
    fail --code "$EXIT_UNAVAILABLE" "Rust $RUST_MINIMUM or later is needed, and cargo here is $have; run 'rustup update stable', or install rustup as https://rustup.rs says"
}

c_compiler_present() { command -v cc >/dev/null; }
c_compiler_what() { say 'gcc and libc6-dev, Debian packages: a C compiler, for the TLS library'; }
c_compiler_install() { debian_install gcc libc6-dev; }
