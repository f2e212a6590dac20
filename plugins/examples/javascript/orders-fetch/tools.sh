# shellcheck shell=bash
# jco and a bundler, in a directory that all projects share.

jco_version=1.35.0
esbuild_version=0.25.12
toolchain=${KILN_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/kiln/tools}/jco-$jco_version

install_toolchain() {
  command -v npm >/dev/null || {
    echo "npm is missing; install Node.js 20 or later from https://nodejs.org" >&2
    return 69
  }
  echo "installing jco $jco_version from npm into $toolchain (130 MB to download)"
  rm -rf "$toolchain"
  mkdir -p "$toolchain"
  echo '{ "private": true }' >"$toolchain/package.json"
  npm install --prefix "$toolchain" --save-exact --no-audit --no-fund --loglevel=error \
    "@bytecodealliance/jco@$jco_version" "esbuild@$esbuild_version"
  touch "$toolchain/complete"
}

jco() { "$toolchain/node_modules/.bin/jco" "$@"; }
esbuild() { "$toolchain/node_modules/.bin/esbuild" "$@"; }
