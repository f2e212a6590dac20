//! Reading what a plugin passes to a host function, where it stands.
//!
//! Lists and strings are cursors into guest memory. What is read through them is counted, because the same bytes can be
//! pointed at any number of times, and bounded in length.

use std::borrow::Cow;

use kiln_otlp::Invalid;
use wasmtime::component::{Lift, WasmList, WasmStr};
use wasmtime::{AsContext as _, StoreContextMut};

use crate::breach::Breach;
use crate::host_calls::ITEM_BYTES;
use crate::store_data::StoreData;

/// Attribute keys, names of metrics and scopes, units: what is called something has a name that can be read.
pub(super) const MAX_KEY_BYTES: usize = 1024;

pub(super) type Store<'s> = StoreContextMut<'s, StoreData>;

/// Why a host function fails: what was passed is wrong, which the plugin is told, or its memory is, which traps.
#[derive(Debug)]
pub(super) enum Failure {
    Invalid(Invalid),
    Undeclared(String),
    /// More than the limit of this name allows.
    Limit(&'static str, String),
    Trap(wasmtime::Error),
}

impl Failure {
    /// As the end of the plugin, where a function has no way to tell it.
    pub(super) fn into_trap(self) -> wasmtime::Error {
        match self {
            Self::Trap(error) => error,
            Self::Invalid(invalid) => invalid.into(),
            Self::Undeclared(text) | Self::Limit(_, text) => wasmtime::Error::msg(text),
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<Breach> for Failure {
    fn from(breach: Breach) -> Self {
        Self::Trap(breach.into())
    }
}

/// A host function is called.
pub(super) fn begin(store: &mut Store<'_>) {
    store.data_mut().host_calls.next();
}

/// One item of a list.
pub(super) fn get<T: Lift>(list: &WasmList<T>, store: &mut Store<'_>, index: usize) -> Result<T, Failure> {
    store.data().host_calls.read(ITEM_BYTES)?;
    match list.get(store, index) {
        Some(item) => Ok(item?),
        None => Err(Failure::Trap(wasmtime::Error::msg("a list ended before its length"))),
    }
}

/// All items of a short list, which is sooner done than one by one.
pub(super) fn all<T: Lift>(list: &WasmList<T>, store: &mut Store<'_>) -> Result<Vec<T>, Failure> {
    store.data().host_calls.read(list.len().saturating_mul(ITEM_BYTES))?;
    lift(list, store)
}

/// All items of a list, which counts for what they take in the host, before they take it.
pub(super) fn collect<T: Lift>(list: &WasmList<T>, store: &mut Store<'_>) -> Result<Vec<T>, Failure> {
    store.data().host_calls.read(list.len().saturating_mul(size_of::<T>()))?;
    lift(list, store)
}

fn lift<T: Lift>(list: &WasmList<T>, store: &mut Store<'_>) -> Result<Vec<T>, Failure> {
    let mut items = Vec::with_capacity(list.len());
    for item in list.iter(&mut *store)? {
        items.push(item?);
    }
    Ok(items)
}

/// A text of whatever length.
pub(super) fn text<'s>(text: &WasmStr, store: &'s Store<'_>) -> Result<Cow<'s, str>, Failure> {
    let text = text.to_str(store.as_context())?;
    store.data().host_calls.read(text.len())?;
    Ok(text)
}

/// A text that `limits.string_bytes` allows.
pub(super) fn value<'s>(value: &WasmStr, store: &'s Store<'_>) -> Result<Cow<'s, str>, Failure> {
    let value = text(value, store)?;
    within_string_bytes(value.len(), store)?;
    Ok(value)
}

/// A text short enough to be a key or a name.
pub(super) fn key<'s>(key: &WasmStr, store: &'s Store<'_>) -> Result<Cow<'s, str>, Failure> {
    let key = text(key, store)?;
    if key.len() > MAX_KEY_BYTES {
        return Err(Failure::Limit(
            "key_bytes",
            format!("a key or name is {} bytes long; at most {MAX_KEY_BYTES} are allowed", key.len()),
        ));
    }
    Ok(key)
}

/// Bytes, as many as `limits.string_bytes` allows.
pub(super) fn bytes<'s>(list: &WasmList<u8>, store: &'s Store<'_>) -> Result<&'s [u8], Failure> {
    store.data().host_calls.read(list.len())?;
    within_string_bytes(list.len(), store)?;
    Ok(list.as_le_slice(store.as_context()))
}

fn within_string_bytes(length: usize, store: &Store<'_>) -> Result<(), Failure> {
    let limit = store.data().string_bytes;
    if length <= limit {
        return Ok(());
    }
    let text = format!("a value is {length} bytes long, more than {limit}: raise `limits.string_bytes`");
    Err(Failure::Limit("string_bytes", text))
}
