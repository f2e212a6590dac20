#!/usr/bin/env bash
# Leaves the module in $KILN_MODULE; run by `kiln plugin build`, which packs it.
set -euo pipefail
cd "$(dirname "$0")"

target=wasm32-unknown-unknown
cargo rustc --profile plugin --lib --crate-type cdylib --target $target
cp "${CARGO_TARGET_DIR:-../../../../target}/$target/plugin/orders_rust.wasm" "$KILN_MODULE"
