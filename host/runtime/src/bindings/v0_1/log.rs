//! `log`: messages into the operator's log.
//!
//! Linked by hand and read lazily, as `emit` is: of a message the gate holds back nothing is read at all, and of one
//! that is too long only what is shown is kept.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::component::{Linker, WasmList, WasmStr};

use super::emit::records::{Attribute, AttributeValue};
use super::guest_memory::{Failure, Store, begin, get, text};
use super::receiver::kiln::plugin::log::Level;
use crate::log_gate::LogGate;
use crate::printable::MAX_BYTES;
use crate::store_data::StoreData;

/// Adds the interface to the linker.
pub(super) fn link(linker: &mut Linker<StoreData>) -> wasmtime::Result<()> {
    let mut log = linker.instance("kiln:plugin/log@0.1.0")?;
    log.func_wrap("log", |mut store, (level, message, attributes): (Level, WasmStr, WasmList<Attribute>)| {
        begin(&mut store);
        let computing = store.data_mut().cpu.begin_host_work();
        let result = write(&mut store, level, &message, &attributes);
        store.data_mut().cpu.end_host_work(computing);
        result.map_err(Failure::into_trap)
    })
}

fn write(
    store: &mut Store<'_>,
    level: Level,
    message: &WasmStr,
    attributes: &WasmList<Attribute>,
) -> Result<(), Failure> {
    let level = match level {
        Level::Trace => tracing::Level::TRACE,
        Level::Debug => tracing::Level::DEBUG,
        Level::Info => tracing::Level::INFO,
        Level::Warn => tracing::Level::WARN,
        Level::Error => tracing::Level::ERROR,
    };
    let StoreData { logs, metrics, .. } = store.data();
    if !gate(logs).is_open(metrics) {
        metrics.log_record(level);
        return Ok(());
    }
    let message = shown(&text(message, store)?);
    let attributes = pairs(store, attributes)?;
    let StoreData { logs, metrics, .. } = store.data();
    if message.len() > MAX_BYTES || attributes.len() > MAX_BYTES {
        metrics.limit_hit("log_message_bytes");
    }
    gate(logs).write(metrics, level, &message, &attributes);
    Ok(())
}

fn gate(logs: &Mutex<LogGate>) -> MutexGuard<'_, LogGate> {
    logs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As much of a text as can be shown, and a character more, by which one sees that it is cut.
fn shown(text: &str) -> String {
    text.char_indices().take_while(|(at, _)| *at <= MAX_BYTES).map(|(_, character)| character).collect()
}

fn pairs(store: &mut Store<'_>, attributes: &WasmList<Attribute>) -> Result<String, Failure> {
    let mut pairs = String::new();
    for index in 0..attributes.len() {
        if pairs.len() > MAX_BYTES {
            break;
        }
        let Attribute { key, value } = get(attributes, store, index)?;
        if !pairs.is_empty() {
            pairs.push(' ');
        }
        pairs.push_str(&shown(&text(&key, store)?));
        pairs.push('=');
        // Writing to a string cannot fail.
        let _ = match value {
            AttributeValue::Text(value) => write!(pairs, "{:?}", shown(&text(&value, store)?)),
            AttributeValue::Boolean(value) => write!(pairs, "{value}"),
            AttributeValue::Integer(value) => write!(pairs, "{value}"),
            AttributeValue::Float(value) => write!(pairs, "{value}"),
            AttributeValue::Bytes(value) => write!(pairs, "<{} bytes>", value.len()),
            AttributeValue::TextList(value) => write!(pairs, "<{} texts>", value.len()),
            AttributeValue::BooleanList(value) => write!(pairs, "<{} booleans>", value.len()),
            AttributeValue::IntegerList(value) => write!(pairs, "<{} integers>", value.len()),
            AttributeValue::FloatList(value) => write!(pairs, "<{} numbers>", value.len()),
        };
    }
    Ok(pairs)
}
