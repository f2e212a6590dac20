# shellcheck shell=bash
# What a Kiln for other machines is built with: Zig's linker, which knows the C library of every release, and cargo-zigbuild,
# which hands it to cargo; and Rust's standard library for the machine.

# The C library of the oldest image that has to run it, that of Databricks Runtime 13.3 being newer.
readonly CLUSTER_GLIBC=2.31

PYTHON_CROSS=$KILN_CACHE/venvs/cross
readonly REQUIREMENTS_CROSS=$KILN_ROOT/scripts/requirements/cross.txt

cross_present() { venv_ready "$PYTHON_CROSS" "$REQUIREMENTS_CROSS"; }
cross_what() { say "$(venv_packages "$REQUIREMENTS_CROSS"), from PyPI into $PYTHON_CROSS: link for the C library of clusters (100 MB to download)"; }
cross_install() { venv_install "$PYTHON_CROSS" "$REQUIREMENTS_CROSS"; }

cluster_target() { echo "$1-unknown-linux-gnu"; }

# require_target_std ARCHITECTURE: asks rustup for it, and says so where there is none.
require_target_std() {
  local target
  target=$(cluster_target "$1")
  compgen -G "$(rustc --print target-libdir --target "$target")/libstd-*.rlib" >/dev/null && return
  step "rustup target add $target" "add Rust's standard library for $target to your toolchain, then run $0 again" \
    timeout 300 rustup target add "$target"
}

# cluster_build ARCHITECTURE TARGET_DIRECTORY: the program without a compiler. It is the same wherever the sources, cargo's home
# and the directory are.
cluster_build() {
  local target remap
  target=$(cluster_target "$1")
  remap="--remap-path-prefix=$KILN_ROOT=kiln --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo --remap-path-prefix=$2=target"
  env -u CARGO_ENCODED_RUSTFLAGS PATH="$PYTHON_CROSS/bin:$PATH" CARGO_TARGET_DIR="$2" RUSTFLAGS="$remap" CARGO_INCREMENTAL=0 \
    cargo zigbuild --manifest-path "$KILN_ROOT/Cargo.toml" --package kiln --no-default-features --profile bundle \
    --target "$target.$CLUSTER_GLIBC" &&
    without_unwinding "$2/$target/bundle/kiln" "$(cluster_program "$1" "$2")"
}

# without_unwinding PROGRAM OUTPUT: a tenth of a program is tables for unwinding, and what aborts instead never reads them. The
# linker cannot be asked to leave them out: those of the standard library are in it already when all of it is optimised at
# once. What stays in their place are zeros, which a bundle packs to nothing.
without_unwinding() {
  local sysroot objcopy
  sysroot=$(rustc --print sysroot)
  objcopy=$sysroot/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-objcopy
  [ -x "$objcopy" ] || objcopy=$(command -v llvm-objcopy) ||
    fail --code "$EXIT_UNAVAILABLE" "neither rust-objcopy nor llvm-objcopy is there: take the toolchain from rustup, or install llvm"
  LD_LIBRARY_PATH=$sysroot/lib "$objcopy" --remove-section .eh_frame --remove-section .eh_frame_hdr "$1" "$2"
}

# cluster_program ARCHITECTURE TARGET_DIRECTORY
cluster_program() { echo "$2/$(cluster_target "$1")/bundle/kiln-for-clusters"; }

# The newest version of the C library that a program asks for.
glibc_of() { readelf --version-info --wide "$1" | grep -o 'GLIBC_[0-9][0-9.]*' | sort -uV | tail -n 1; }
