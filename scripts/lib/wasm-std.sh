# shellcheck shell=bash
# Rust's standard library for wasm32-unknown-unknown: the toolchain's own where rustup can add it, and
# otherwise Debian's compiler building it from Debian's sources. KILN_WASM_STD=toolchain or
# KILN_WASM_STD=debian forces one of the two.

readonly WASM_TARGET=wasm32-unknown-unknown
readonly DEBIAN_RUSTC=/usr/bin/rustc
# Every host of components has it, and pages are searched through in half of the time.
readonly WASM_FEATURES='-Ctarget-feature=+simd128'

case ${KILN_WASM_STD:-} in
  '' | toolchain | debian) ;;
  *) fail --code "$EXIT_USAGE" "KILN_WASM_STD is '$KILN_WASM_STD'; it can be toolchain or debian" ;;
esac

wasm_std_in_toolchain() {
  compgen -G "$(rustc --print target-libdir --target "$WASM_TARGET")/libstd-*.rlib" >/dev/null
}

wasm_std_in_debian() {
  [ -x "$DEBIAN_RUSTC" ] &&
    [ -d "$("$DEBIAN_RUSTC" --print sysroot)/lib/rustlib/src/rust/library/std" ] &&
    version_at_least "$("$DEBIAN_RUSTC" --version | cut -d ' ' -f 2)" "$RUST_MINIMUM" &&
    [ -n "$(wasm_linker)" ]
}

# Which of the two a build uses: prints toolchain, debian or nothing.
wasm_std_source() {
  case ${KILN_WASM_STD:-} in
    toolchain) if wasm_std_in_toolchain; then echo toolchain; fi ;;
    debian) if wasm_std_in_debian; then echo debian; fi ;;
    '')
      if wasm_std_in_toolchain; then
        echo toolchain
      elif wasm_std_in_debian; then
        echo debian
      fi
      ;;
  esac
}

# The toolchain's rust-lld understands objects of newer LLVM than a distribution's lld does.
wasm_linker() {
  local bundled
  bundled=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
  if [ -x "$bundled" ]; then
    echo "$bundled"
  else
    command -v wasm-ld || true
  fi
}

wasm_std_present() { [ -n "$(wasm_std_source)" ]; }

wasm_std_what() {
  case ${KILN_WASM_STD:-} in
    debian) say "rustc-web and rust-web-src, Debian packages: Rust's standard library for $WASM_TARGET" ;;
    *) say "Rust's standard library for $WASM_TARGET, through rustup (or else Debian's rustc-web and rust-web-src)" ;;
  esac
}

wasm_std_install() {
  if [ "${KILN_WASM_STD:-}" != debian ]; then
    if wasm_std_add_to_toolchain; then return 0; fi
    [ "${KILN_WASM_STD:-}" != toolchain ] ||
      fail --code "$EXIT_UNAVAILABLE" "rustup cannot add $WASM_TARGET here; leave KILN_WASM_STD unset to use Debian's packages instead"
    warn "rustup cannot add $WASM_TARGET here; using Debian's rustc-web and rust-web-src"
  fi
  local packages=(rustc-web rust-web-src)
  [ -n "$(wasm_linker)" ] || packages+=(lld)
  debian_install "${packages[@]}"
  wasm_std_in_debian ||
    fail --code "$EXIT_UNAVAILABLE" "Debian's rustc-web is older than Rust $RUST_MINIMUM here; add $WASM_TARGET to your toolchain, then run $0 again"
}

# With a time limit: a host that cannot be reached may leave rustup waiting rather than refused.
wasm_std_add_to_toolchain() {
  command -v rustup >/dev/null && timeout 180 rustup target add "$WASM_TARGET"
}

# cargo_for_wasm SUBCOMMAND ARGS...: cargo with the standard library that there is.
cargo_for_wasm() {
  local subcommand=$1
  shift
  case $(wasm_std_source) in
    toolchain)
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=$WASM_FEATURES cargo "$subcommand" --target "$WASM_TARGET" "$@"
      ;;
    debian)
      # -Z flags need the nightly switch; Debian's cargo would do, but Cargo.lock is kept by the user's own.
      RUSTC_BOOTSTRAP=1 RUSTC=$DEBIAN_RUSTC \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(wasm_linker) \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-Clinker-flavor=wasm-ld $WASM_FEATURES" \
        cargo "$subcommand" --target "$WASM_TARGET" -Zbuild-std=std,panic_abort "$@"
      ;;
    *) fail --code "$EXIT_UNAVAILABLE" "Rust's standard library for $WASM_TARGET is missing; run scripts/setup --for build" ;;
  esac
}

# export_wasm_std: the same for a cargo that somebody else starts.
export_wasm_std() {
  [ "$(wasm_std_source)" = debian ] || return 0
  export RUSTC_BOOTSTRAP=1 RUSTC=$DEBIAN_RUSTC CARGO_UNSTABLE_BUILD_STD=std,panic_abort
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(wasm_linker)
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS='-Clinker-flavor=wasm-ld'
  export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS
}
