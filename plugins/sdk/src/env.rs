//! Environment variables of Kiln's process, as far as they are granted.

use crate::imports::{Backend, Imports};
use crate::prelude::*;

/// The granted variables, with the values they had when the instance started.
#[derive(Clone, Copy)]
pub struct Env<'a>(pub(crate) &'a Backend);

impl Env<'_> {
    /// The value of a variable; `None` if it is not set, is no UTF-8, or is not granted.
    #[must_use]
    pub fn get(self, name: &str) -> Option<String> {
        self.0.variable(name)
    }
}

/// The component's own imports.
#[cfg(target_arch = "wasm32")]
pub(crate) mod component {
    use crate::bindings::env::environment::get_environment;

    pub(crate) fn variable(name: &str) -> Option<String> {
        get_environment().into_iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value)
    }
}
