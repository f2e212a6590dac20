#!/usr/bin/env bash
# Leaves the module in $KILN_MODULE; run by `kiln plugin build`, which packs it.
set -euo pipefail
cd "$(dirname "$0")"

target=wasm32-unknown-unknown
if [ -z "${CARGO_UNSTABLE_BUILD_STD:-}" ] && ! compgen -G "$(rustc --print target-libdir --target $target)/libstd-*" >/dev/null; then
  echo "Rust's standard library for $target is missing; run 'rustup target add $target'" >&2
  exit 69
fi
# Cargo optimises across crates only what is nothing but a module, and the tests need a library: so this is said here.
cargo rustc --release --lib --crate-type cdylib --target $target
cp "${CARGO_TARGET_DIR:-target}/$target/release/{{ident}}.wasm" "$KILN_MODULE"
