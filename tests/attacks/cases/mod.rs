//! All attacks, by who attacks.

mod answers;
mod cache;
mod calls;
mod configuration;
mod files;
mod manifests;
mod memory;
mod names;
mod output;
mod pointers;
mod requests;
mod secrets;
mod supply;
mod surroundings;

use crate::attack::Attack;

pub(crate) fn all() -> Vec<Attack> {
    [
        calls::all(),
        memory::all(),
        pointers::all(),
        output::all(),
        requests::all(),
        answers::all(),
        secrets::all(),
        names::all(),
        files::all(),
        manifests::all(),
        cache::all(),
        supply::all(),
        configuration::all(),
        surroundings::all(),
    ]
    .concat()
}
