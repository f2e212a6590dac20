//! `kiln:plugin@0.1.0`.

mod clock;
mod emit;
mod guest_memory;
mod http;
mod log;
pub(crate) mod processing;
mod state;

use kiln_policy::{Capability, Policy};
use wasmtime::component::{HasSelf, Linker};

use crate::store_data::StoreData;

/// The receiver world, as wasmtime's macro writes it.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod receiver {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "receiver",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "kiln:plugin/http.body": crate::open_bodies::OpenBody },
    });
}

/// The processor world, sharing the receiver world's interfaces.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod processor {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "processor",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "kiln:plugin/telemetry": super::receiver::kiln::plugin::telemetry,
            "kiln:plugin/http": super::receiver::kiln::plugin::http,
            "kiln:plugin/state": super::receiver::kiln::plugin::state,
            "kiln:plugin/log": super::receiver::kiln::plugin::log,
            "kiln:plugin/clock": super::receiver::kiln::plugin::clock,
            "kiln:plugin/configuration": super::receiver::kiln::plugin::configuration,
        },
    });
}

/// Links `capabilities`, which policy has granted. What is not linked cannot be called.
pub(crate) fn link(
    linker: &mut Linker<StoreData>,
    policy: &Policy,
    capabilities: &[Capability],
) -> wasmtime::Result<()> {
    use receiver::kiln::plugin as interfaces;
    for capability in capabilities.iter().filter(|capability| policy.links(**capability)) {
        match capability {
            Capability::Emit => emit::link(linker)?,
            Capability::Log => log::link(linker)?,
            Capability::Clock => interfaces::clock::add_to_linker::<_, HasSelf<_>>(linker, |data| data)?,
            Capability::Http => interfaces::http::add_to_linker::<_, HasSelf<_>>(linker, |data| data)?,
            // What WASI's interfaces do with them is decided where those are linked.
            Capability::Files | Capability::Env => {}
            Capability::State => interfaces::state::add_to_linker::<_, HasSelf<_>>(linker, |data| data)?,
        }
    }
    Ok(())
}
