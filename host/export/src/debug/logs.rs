//! Log records for people to read.

use std::fmt::{Result, Write};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::text::{Inline, Typed, attributes, id, line, resource, resource_inline, scope, time};
use crate::printable::Printable;

/// A line per log record.
pub(super) fn normal(out: &mut String, request: &ExportLogsServiceRequest) -> Result {
    for of_resource in &request.resource_logs {
        resource_inline(out, of_resource.resource.as_ref())?;
        for record in of_resource.scope_logs.iter().flat_map(|it| &it.log_records) {
            write!(out, "  {}", severity(record.severity_number))?;
            if !record.event_name.is_empty() {
                write!(out, " [{}]", Printable(&record.event_name))?;
            }
            match record.body.as_ref().and_then(|body| body.value.as_ref()) {
                Some(Value::StringValue(text)) => write!(out, " {}", Printable(text))?,
                Some(_) => write!(out, " {}", Typed(record.body.as_ref()))?,
                None => {}
            }
            writeln!(out, "{}", Inline(&record.attributes))?;
        }
    }
    Ok(())
}

/// Every field of every log record.
pub(super) fn detailed(out: &mut String, request: &ExportLogsServiceRequest) -> Result {
    for (at, of_resource) in request.resource_logs.iter().enumerate() {
        resource(out, at, of_resource.resource.as_ref(), &of_resource.schema_url)?;
        for (at, of_scope) in of_resource.scope_logs.iter().enumerate() {
            scope(out, at, of_scope.scope.as_ref(), &of_scope.schema_url)?;
            for (at, record) in of_scope.log_records.iter().enumerate() {
                writeln!(out, "Log record #{at}")?;
                one(out, record)?;
            }
        }
    }
    Ok(())
}

fn one(out: &mut String, record: &LogRecord) -> Result {
    time(out, "Time", record.time_unix_nano)?;
    time(out, "Observed time", record.observed_time_unix_nano)?;
    writeln!(out, "Severity: {} ({})", severity(record.severity_number), record.severity_number)?;
    line(out, "Severity text", &record.severity_text)?;
    line(out, "Event name", &record.event_name)?;
    writeln!(out, "Body: {}", Typed(record.body.as_ref()))?;
    attributes(out, "Attributes", &record.attributes)?;
    if record.dropped_attributes_count > 0 {
        writeln!(out, "Dropped attributes: {}", record.dropped_attributes_count)?;
    }
    id(out, "Trace ID", &record.trace_id)?;
    id(out, "Span ID", &record.span_id)
}

/// The names of the logs data model; each covers four numbers.
fn severity(number: i32) -> &'static str {
    match number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "-",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};

    use super::*;

    fn example() -> ExportLogsServiceRequest {
        let record = LogRecord {
            time_unix_nano: 1_700_000_000_000_000_000,
            severity_number: 17,
            event_name: "run.failed".to_owned(),
            body: Some(AnyValue { value: Some(Value::StringValue("boom\nforged line".to_owned())) }),
            attributes: vec![KeyValue {
                key: "attempt".to_owned(),
                value: Some(AnyValue { value: Some(Value::IntValue(2)) }),
                ..KeyValue::default()
            }],
            trace_id: vec![1; 16],
            ..LogRecord::default()
        };
        let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
    }

    #[test]
    fn normal_is_a_line_per_record() {
        let mut out = String::new();
        normal(&mut out, &example()).unwrap();
        assert_eq!(out, "resource\n  ERROR [run.failed] boom\\nforged line attempt=2\n");
    }

    #[test]
    fn detailed_is_every_field_that_is_set() {
        let mut out = String::new();
        detailed(&mut out, &example()).unwrap();
        assert_eq!(
            out,
            "Resource #0\nScope #0\nLog record #0\nTime: 2023-11-14T22:13:20.000000000Z\nSeverity: ERROR (17)\n\
             Event name: run.failed\nBody: Str(\"boom\\nforged line\")\nAttributes:\n     -> attempt: Int(2)\n\
             Trace ID: 01010101010101010101010101010101\n"
        );
    }

    #[test]
    fn severities_have_the_names_of_the_data_model() {
        let names: Vec<_> = [0, 1, 4, 5, 9, 13, 16, 17, 21, 24, 25, -1].into_iter().map(severity).collect();
        assert_eq!(
            names,
            ["-", "TRACE", "TRACE", "DEBUG", "INFO", "WARN", "WARN", "ERROR", "FATAL", "FATAL", "-", "-"]
        );
    }
}
