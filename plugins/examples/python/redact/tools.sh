# shellcheck shell=bash
# componentize-py, in a virtual environment that all projects share.

version=0.25.1
toolchain=${KILN_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/kiln/tools}/componentize-py-$version

install_toolchain() {
  command -v python3 >/dev/null || {
    echo "python3 is missing; install Python 3.10 or later with its module venv" >&2
    return 69
  }
  echo "installing componentize-py $version from PyPI into $toolchain (17 MB to download)"
  rm -rf "$toolchain"
  python3 -m venv "$toolchain"
  "$toolchain/bin/python" -m pip install --quiet --disable-pip-version-check "componentize-py==$version"
  touch "$toolchain/complete"
}

componentize_py() { "$toolchain/bin/componentize-py" "$@"; }
