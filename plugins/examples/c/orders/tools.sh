# shellcheck shell=bash
# Zig's clang with wasi-libc, in a virtual environment that all projects share.

version=0.17.1
toolchain=${KILN_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/kiln/tools}/ziglang-$version

install_toolchain() {
  command -v python3 >/dev/null || {
    echo "python3 is missing; install Python 3.10 or later with its module venv" >&2
    return 69
  }
  echo "installing ziglang $version from PyPI into $toolchain (101 MB to download)"
  rm -rf "$toolchain"
  python3 -m venv "$toolchain"
  "$toolchain/bin/python" -m pip install --quiet --disable-pip-version-check "ziglang==$version"
  touch "$toolchain/complete"
}

# wasi-libc is compiled the first time it is linked, which takes a minute.
zig_cc() { ZIG_GLOBAL_CACHE_DIR="$toolchain/cache" "$toolchain/bin/python" -m ziglang cc "$@"; }
