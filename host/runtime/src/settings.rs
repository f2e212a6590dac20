//! What wasmtime is told, by the Kiln that compiles and by the one that runs: native code fits where both said the same.
//!
//! Invariant: whatever shapes the code stands in this file, from which the mark is made that a program carries.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use wasmtime::Config;

/// Stack of a plugin; deep recursion ends here.
pub(crate) const WASM_STACK_BYTES: usize = 512 * 1024;
/// Stack of the fiber a plugin runs on; the difference is for host functions.
const FIBER_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Every program that runs native code carries it, so that whoever packs one sees which code that is without running it:
/// it differs with the release of wasmtime and with this file.
#[used]
static MARK: [u8; 24] = mark();

const fn mark() -> [u8; 24] {
    let said =
        fnv_1a(fnv_1a(0xcbf2_9ce4_8422_2325, wasmtime_environ::VERSION.as_bytes()), include_bytes!("settings.rs"));
    let mut mark = *b"kiln runs code: ........";
    let (_, digits) = mark.split_at_mut(16);
    digits.copy_from_slice(&said.to_le_bytes());
    mark
}

/// The one hash that is short enough to be computed by the compiler of Rust; nobody is to be kept from forging it.
const fn fnv_1a(mut hash: u64, mut bytes: &[u8]) -> u64 {
    while let [first, rest @ ..] = bytes {
        hash = (hash ^ *first as u64).wrapping_mul(0x0000_0100_0000_01b3);
        bytes = rest;
    }
    hash
}

pub(crate) fn settings() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .async_stack_zeroing(true)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable)
        // Where in a module a trap happened is told by the name of the function: tables of all other places in it, and what a
        // debugger unwinds with, would be a sixth of the code that is carried to every cluster.
        .generate_address_map(false)
        .native_unwind_info(false)
        // What no first-party toolchain emits is one thing less to trust.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        // What passes values between the parts of a component sees the memories of both. A module of a plugin that has
        // more than one is refused before it gets here.
        .wasm_multi_memory(true);
    #[cfg(feature = "compiler")]
    config.cranelift_opt_level(wasmtime::OptLevel::Speed);
    config
}

/// Whether `program`, the content of a file, is a Kiln that runs native code which this one makes.
#[must_use]
pub fn runs_our_code(program: &[u8]) -> bool {
    program.windows(MARK.len()).any(|part| part == MARK)
}

/// A number for everything that shapes the code which this process makes: the machine's own features are part of it.
#[cfg_attr(not(feature = "compiler"), expect(unused_variables, reason = "what makes no code keeps none"))]
pub(crate) fn shape_of_code(engine: &wasmtime::Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    MARK.hash(&mut hasher);
    #[cfg(feature = "compiler")]
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}
