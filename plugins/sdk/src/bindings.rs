//! The contract as Rust: generated from `wit/v0.1`, nothing written by hand.
//!
//! The types of both worlds and the functions both import are generated once, for a world of the SDK's own. The
//! exports of a plugin's world come from a module of that name, which is there only with the feature of that name: the
//! description of a world travels into every component that links it, and a receiver need not speak of processors.
//! Off WebAssembly the imports are unreachable; nothing but [`crate::imports`] may call them.
#![allow(missing_docs, unreachable_pub, clippy::too_many_arguments, reason = "generated code")]

wit_bindgen::generate!({
    inline: "
        package kiln:sdk;

        world everything {
            import kiln:plugin/emit@0.1.0;
            import kiln:plugin/http@0.1.0;
            import kiln:plugin/state@0.1.0;
            import kiln:plugin/log@0.1.0;
            import kiln:plugin/clock@0.1.0;
            import kiln:plugin/configuration@0.1.0;
            import kiln:plugin/collection@0.1.0;
            import kiln:plugin/processing@0.1.0;
        }
    ",
    path: "wit/v0.1",
    world: "kiln:sdk/everything",
    generate_all,
    std_feature,
    generate_unused_types: true,
    additional_derives: [PartialEq],
    // A handle is equal to no other.
    additional_derives_ignore: ["opened"],
});

pub use kiln::plugin::*;

/// The records of metrics once more, made of references: `emit` reads them and keeps nothing.
pub mod borrowed {
    wit_bindgen::generate!({
        inline: "
            package kiln:sdk-borrowed;

            world emitting {
                import kiln:plugin/emit@0.1.0;
            }
        ",
        path: "wit/v0.1",
        world: "kiln:sdk-borrowed/emitting",
        generate_all,
        std_feature,
        ownership: Borrowing { duplicate_if_necessary: true },
    });

    pub use kiln::plugin::*;
}

/// The exports of a receiver.
#[cfg(all(target_arch = "wasm32", feature = "receiver"))]
pub mod receiver {
    wit_bindgen::generate!({
        path: "wit/v0.1",
        world: "receiver",
        pub_export_macro: true,
        std_feature,
        runtime_path: "::kiln_plugin::wit_bindgen::rt",
        with: {
            "kiln:plugin/telemetry@0.1.0": super::telemetry,
            "kiln:plugin/emit@0.1.0": super::emit,
            "kiln:plugin/http@0.1.0": super::http,
            "kiln:plugin/state@0.1.0": super::state,
            "kiln:plugin/log@0.1.0": super::log,
            "kiln:plugin/clock@0.1.0": super::clock,
            "kiln:plugin/configuration@0.1.0": super::configuration,
            "kiln:plugin/collection@0.1.0": super::collection,
        },
    });
}

/// The exports of a processor.
#[cfg(all(target_arch = "wasm32", feature = "processor"))]
pub mod processor {
    wit_bindgen::generate!({
        path: "wit/v0.1",
        world: "processor",
        pub_export_macro: true,
        std_feature,
        runtime_path: "::kiln_plugin::wit_bindgen::rt",
        with: {
            "kiln:plugin/telemetry@0.1.0": super::telemetry,
            "kiln:plugin/http@0.1.0": super::http,
            "kiln:plugin/state@0.1.0": super::state,
            "kiln:plugin/log@0.1.0": super::log,
            "kiln:plugin/clock@0.1.0": super::clock,
            "kiln:plugin/configuration@0.1.0": super::configuration,
            "kiln:plugin/processing@0.1.0": super::processing,
        },
    });
}

/// The files a plugin is granted, through WASI.
#[cfg(all(target_arch = "wasm32", feature = "files"))]
pub mod files {
    wit_bindgen::generate!({
        path: "wit/wasi",
        world: "files",
        generate_all,
        std_feature,
        runtime_path: "::kiln_plugin::wit_bindgen::rt",
    });

    pub use wasi::filesystem::{preopens, types};
}

/// The environment variables a plugin is granted, through WASI.
#[cfg(all(target_arch = "wasm32", feature = "env"))]
pub mod env {
    wit_bindgen::generate!({
        path: "wit/wasi",
        world: "env",
        generate_all,
        std_feature,
        runtime_path: "::kiln_plugin::wit_bindgen::rt",
    });

    pub use wasi::cli::environment;
}
