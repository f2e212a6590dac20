//! What Spark has to be told so that it has metrics to show, in the three forms in which it can be.
//!
//! Invariant: the forms say the same. Keys and values are ours and hold nothing that JSON, HOCON or a properties file
//! would have to escape.

use std::fmt::Write as _;

/// What the keys of Spark's metrics system begin with in a Spark configuration; in `metrics.properties` they do not.
const METRICS: &str = "spark.metrics.conf.";

/// A setting of Spark, and what is missing without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparkSetting {
    /// Its key in a Spark configuration.
    pub key: &'static str,
    /// Its value.
    pub value: &'static str,
    /// What Kiln cannot read without it.
    pub without: &'static str,
}

/// All of them. The metrics settings name the `driver` where Spark's documentation often has `*`, because a cluster
/// policy reads a `*` in a name as "any".
pub const SPARK_SETTINGS: [SparkSetting; 7] = [
    SparkSetting {
        key: "spark.metrics.appStatusSource.enabled",
        value: "true",
        without: "no counts of finished jobs, stages and tasks before Spark 4",
    },
    SparkSetting {
        key: "spark.metrics.conf.driver.sink.prometheusServlet.class",
        value: "org.apache.spark.metrics.sink.PrometheusServlet",
        without: "no metrics of the driver in Prometheus format",
    },
    SparkSetting {
        key: "spark.metrics.conf.driver.sink.prometheusServlet.path",
        value: "/metrics/prometheus",
        without: "no metrics of the driver in Prometheus format",
    },
    SparkSetting {
        key: "spark.metrics.conf.driver.source.jvm.class",
        value: "org.apache.spark.metrics.source.JvmSource",
        without: "no heap and garbage collection of the driver",
    },
    SparkSetting {
        key: "spark.metrics.namespace",
        value: "spark",
        without: "the application's id is part of every metric's name in Spark",
    },
    SparkSetting {
        key: "spark.sql.streaming.metricsEnabled",
        value: "true",
        without: "no input rate, latency and state size of streaming queries",
    },
    SparkSetting {
        key: "spark.ui.prometheus.enabled",
        value: "true",
        without: "no metrics of executors before Spark 4",
    },
];

/// As a part of a cluster policy, in JSON: every key of `spark_conf` fixed to its value.
#[must_use]
pub fn policy_json() -> String {
    lines(
        "{\n",
        |setting| {
            format!("  \"spark_conf.{}\": {{ \"type\": \"fixed\", \"value\": \"{}\" }}", setting.key, setting.value)
        },
        ",\n",
        "\n}\n",
        |_| true,
    )
}

/// As the file of HOCON that a Databricks driver reads from its `conf` directory: all but the metrics system's own.
#[must_use]
pub fn hocon() -> String {
    lines(
        "[driver] {\n",
        |setting| format!("  \"{}\" = \"{}\"", setting.key, setting.value),
        "\n",
        "\n}\n",
        |setting| !setting.key.starts_with(METRICS),
    )
}

/// As lines of `metrics.properties`, between marks by which they are found again: the metrics system's own.
#[must_use]
pub fn metrics_properties() -> String {
    let line = |setting: &SparkSetting| {
        format!("{}={}", setting.key.strip_prefix(METRICS).unwrap_or(setting.key), setting.value)
    };
    lines("# kiln: begin\n", line, "\n", "\n# kiln: end\n", |setting| setting.key.starts_with(METRICS))
}

fn lines(
    begin: &str,
    line: impl Fn(&SparkSetting) -> String,
    between: &str,
    end: &str,
    belongs: impl Fn(&SparkSetting) -> bool,
) -> String {
    let lines: Vec<String> = SPARK_SETTINGS.iter().filter(|setting| belongs(setting)).map(line).collect();
    let mut text = String::from(begin);
    // Writing to a String does not fail.
    let _ = write!(text, "{}{end}", lines.join(between));
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    /// Guarantees: nothing in a key or value has a meaning of its own in any of the forms.
    #[test]
    fn nothing_needs_escaping() {
        for setting in SPARK_SETTINGS {
            for text in [setting.key, setting.value] {
                assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "./".contains(c)), "{text}");
            }
        }
        assert!(SPARK_SETTINGS.is_sorted_by_key(|setting| setting.key));
    }

    #[test]
    fn a_policy_is_json_that_fixes_every_setting() {
        let policy: serde_json::Value = serde_json::from_str(&policy_json()).unwrap();
        for setting in SPARK_SETTINGS {
            let rule = &policy[format!("spark_conf.{}", setting.key)];
            assert_eq!(rule["type"], "fixed");
            assert_eq!(rule["value"], setting.value);
        }
        assert_eq!(policy.as_object().unwrap().len(), SPARK_SETTINGS.len());
    }

    /// Guarantees: each setting is in exactly one of the two files, in the form that file is in.
    #[test]
    fn every_setting_is_in_one_of_the_files() {
        let (hocon, properties) = (hocon(), metrics_properties());
        assert!(hocon.starts_with("[driver] {\n") && hocon.ends_with("\"\n}\n"), "{hocon}");
        assert!(hocon.contains("  \"spark.ui.prometheus.enabled\" = \"true\"\n"), "{hocon}");
        assert!(properties.contains("\ndriver.sink.prometheusServlet.path=/metrics/prometheus\n"), "{properties}");
        for setting in SPARK_SETTINGS {
            let of_metrics = setting.key.strip_prefix(METRICS);
            assert_eq!(hocon.contains(setting.key), of_metrics.is_none());
            assert_eq!(of_metrics.is_some_and(|key| properties.contains(key)), of_metrics.is_some());
        }
    }
}
