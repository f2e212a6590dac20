//! `log`: messages into the operator's log.

use std::fmt::Write as _;
use std::sync::PoisonError;

use super::receiver::kiln::plugin::log::{Host, Level};
use super::receiver::kiln::plugin::telemetry::{Attribute, AttributeValue};
use crate::store_data::StoreData;

impl Host for StoreData {
    async fn log(&mut self, level: Level, message: String, attributes: Vec<Attribute>) {
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.write(&self.metrics, level, &message, &pairs(&attributes));
    }
}

fn pairs(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for Attribute { key, value } in attributes {
        let separator = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = match value {
            AttributeValue::Text(value) => write!(text, "{separator}{key}={value:?}"),
            AttributeValue::Boolean(value) => write!(text, "{separator}{key}={value}"),
            AttributeValue::Integer(value) => write!(text, "{separator}{key}={value}"),
            AttributeValue::Float(value) => write!(text, "{separator}{key}={value}"),
            AttributeValue::Bytes(value) => write!(text, "{separator}{key}=<{} bytes>", value.len()),
            AttributeValue::TextList(value) => write!(text, "{separator}{key}={value:?}"),
            AttributeValue::BooleanList(value) => write!(text, "{separator}{key}={value:?}"),
            AttributeValue::IntegerList(value) => write!(text, "{separator}{key}={value:?}"),
            AttributeValue::FloatList(value) => write!(text, "{separator}{key}={value:?}"),
        };
    }
    text
}
