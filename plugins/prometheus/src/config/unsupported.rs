//! Keys of Prometheus that would have no effect here, and what to do instead.

use std::collections::BTreeMap;

use kiln_plugin::ConfigError;
use serde_json::Value;

/// # Errors
/// There is a key. The first one is named, with its remedy.
pub(super) fn refuse(place: &str, rest: &BTreeMap<String, Value>) -> Result<(), ConfigError> {
    match rest.iter().find(|(key, value)| !is_without_effect(key, value)) {
        None => Ok(()),
        Some((key, _)) => Err(ConfigError::new(format!("{place}/{key}"), format!("`{key}` {}", remedy(key)))),
    }
}

/// What is so anyway may be said.
fn is_without_effect(key: &str, value: &Value) -> bool {
    match key {
        "enable_compression" | "enable_http2" => *value == Value::Bool(true),
        "follow_redirects" | "scrape_native_histograms" | "convert_classic_histograms_to_nhcb" => {
            *value == Value::Bool(false)
        }
        "always_scrape_classic_histograms" => *value == Value::Bool(false),
        "target_limit" | "keep_dropped_targets" | "native_histogram_bucket_limit" => value.as_u64() == Some(0),
        _ => false,
    }
}

fn remedy(key: &str) -> &'static str {
    match key {
        "basic_auth" | "authorization" | "oauth2" | "bearer_token" | "bearer_token_file" | "tls_config" | "sigv4"
        | "azuread" => {
            "is not supported: targets are asked without credentials, and certificates are checked against the \
             host's roots; remove it"
        }
        "http_headers" => "is not supported: a plugin sends no headers of the operator; remove it",
        "proxy_url" | "proxy_from_environment" | "no_proxy" | "proxy_connect_header" => {
            "is not supported: targets are reached without a proxy; remove it"
        }
        "follow_redirects" => {
            "cannot be true: a redirect could lead where nothing is granted; set it to false, and write the final path as `metrics_path`"
        }
        "enable_compression" => "cannot be false: the host asks for gzip wherever it can; remove it",
        "enable_http2" => "cannot be false: the host chooses the version of HTTP; remove it",
        "fallback_scrape_protocol" => {
            "is not supported: an answer without a content type is read as text 0.0.4 already; remove it"
        }
        "external_labels" => {
            "is not supported: add the labels to `static_configs`, or attributes with the processor `resource`"
        }
        "evaluation_interval"
        | "rule_files"
        | "alerting"
        | "remote_write"
        | "remote_read"
        | "storage"
        | "tracing"
        | "query_log_file"
        | "runtime"
        | "otlp" => "belongs to a Prometheus server, and nothing here would use it; remove it",
        "scrape_config_files" => "is not supported: write the jobs under `scrape_configs`",
        _ if key.ends_with("_sd_configs") => {
            "is not supported: there is no service discovery; list the targets under `static_configs`"
        }
        _ => "is not supported; remove it",
    }
}
