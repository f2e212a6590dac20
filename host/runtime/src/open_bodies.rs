//! The response bodies a plugin is reading.
//!
//! They belong to the call in which they were opened: when it ends, whatever is left is closed, and a handle the plugin
//! kept leads nowhere. How many there are is limited by the egress they come from.

use std::collections::BTreeMap;

use kiln_egress::Body;
use wasmtime::component::Resource;

/// What a handle of the plugin stands for.
#[allow(unreachable_pub, reason = "the generated bindings name it in an interface of theirs")]
pub enum OpenBody {}

/// The open bodies of one store.
#[derive(Debug, Default)]
pub(crate) struct OpenBodies {
    bodies: BTreeMap<u32, Body>,
    next: u32,
}

impl OpenBodies {
    /// Keeps a body for the plugin.
    pub(crate) fn insert(&mut self, body: Body) -> Resource<OpenBody> {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.bodies.insert(number, body);
        Resource::new_own(number)
    }

    /// The body, unless the call that opened it has ended.
    pub(crate) fn get(&mut self, handle: &Resource<OpenBody>) -> Option<&mut Body> {
        self.bodies.get_mut(&handle.rep())
    }

    /// Closes one.
    pub(crate) fn remove(&mut self, handle: &Resource<OpenBody>) {
        self.bodies.remove(&handle.rep());
    }

    /// Closes all.
    pub(crate) fn clear(&mut self) {
        self.bodies.clear();
    }
}
