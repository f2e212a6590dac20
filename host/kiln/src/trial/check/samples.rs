//! Batches that a processor is given unless its author has others: something of each signal, and what is seldom.

use std::fmt::Write as _;

use kiln_otlp::{Batch, from_json};

/// More points than one view holds, so that a metric goes on in the next.
const MANY: usize = 10_000;

const METRICS: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[
  {"key":"service.name","value":{"stringValue":"checkout"}},{"key":"host.name","value":{"stringValue":"node-1.example.com"}},
  {"key":"user.email","value":{"stringValue":"someone@example.com"}},{"key":"http.route","value":{"stringValue":"/orders/{id}"}},
  {"key":"k8s.pod.labels","value":{"kvlistValue":{"values":[{"key":"app","value":{"stringValue":"x"}}]}}},
  {"key":"empty","value":{}},{"key":"flag","value":{"boolValue":true}},{"key":"bytes","value":{"bytesValue":"AP8="}},
  {"key":"ports","value":{"arrayValue":{"values":[{"intValue":"80"},{"intValue":"443"}]}}}]},
 "scopeMetrics":[{"scope":{"name":"sample","version":"1"},"metrics":[
  {"name":"queue.length","unit":"{item}","gauge":{"dataPoints":[
   {"timeUnixNano":"1700000000000000000","asInt":"3","attributes":[{"key":"queue","value":{"stringValue":"mail"}}]},
   {"timeUnixNano":"1700000000000000000","asDouble":"NaN","attributes":[{"key":"queue","value":{"stringValue":""}}]},
   {"timeUnixNano":"1700000000000000000","flags":1}]}},
  {"name":"requests","unit":"{request}","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
   {"startTimeUnixNano":"1600000000000000000","timeUnixNano":"1700000000000000000","asInt":"9223372036854775807",
    "attributes":[{"key":"http.route","value":{"stringValue":"/orders/{id}"}},{"key":"user.email","value":{"stringValue":"a@b.example"}}],
    "exemplars":[{"timeUnixNano":"1700000000000000000","asDouble":1.5,"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}},
  {"name":"changes","unit":"1","sum":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1700000000000000000","asInt":"-4"}]}},
  {"name":"duration","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[
   {"timeUnixNano":"1700000000000000000","count":"3","sum":2.5,"explicitBounds":[0.5,1],"bucketCounts":["1","0","2"],
    "attributes":[{"key":"http.route","value":{"stringValue":"/"}}]}]}},
  {"name":"size","unit":"By","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[
   {"timeUnixNano":"1700000000000000000","count":"2","scale":3,"zeroCount":"1","positive":{"offset":-2,"bucketCounts":["1"]}}]}},
  {"name":"old","unit":"s","summary":{"dataPoints":[{"timeUnixNano":"1700000000000000000","count":"2","sum":4.0,
   "quantileValues":[{"quantile":0.5,"value":2.0}]}]}},
  {"name":"nothing","unit":"1"}]}]},{"scopeMetrics":[{"metrics":[{"name":"of.nobody","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#;

const TRACES: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},
 "scopeSpans":[{"scope":{"name":"sample"},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
  "name":"GET /orders/{id}","kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000001000000000",
  "attributes":[{"key":"http.route","value":{"stringValue":"/orders/{id}"}},{"key":"user.email","value":{"stringValue":"a@b.example"}}],
  "events":[{"name":"exception","timeUnixNano":"1700000000500000000"}],"status":{"code":2,"message":"boom"}},
  {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b175","name":"","startTimeUnixNano":"2","endTimeUnixNano":"1"}]}]}]}"#;

const LOGS: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},
 "scopeLogs":[{"scope":{"name":"sample"},"logRecords":[{"timeUnixNano":"1700000000000000000","severityNumber":17,
  "body":{"stringValue":"token=s3cret for someone@example.com\n\u0000"},
  "attributes":[{"key":"user.email","value":{"stringValue":"a@b.example"}},{"key":"attempt","value":{"intValue":"2"}}]},
  {"severityNumber":9},{"body":{"kvlistValue":{"values":[]}}}]}]}]}"#;

const EMPTY: [&str; 3] = [
    r#"{"resourceMetrics":[]}"#,
    r#"{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"metrics":[{"name":"n","gauge":{"dataPoints":[]}}]}]}]}"#,
    r#"{"resourceLogs":[{"scopeLogs":[]}]}"#,
];

/// What a processor is given.
pub(crate) fn samples() -> Vec<Batch> {
    let texts = [METRICS, TRACES, LOGS].into_iter().chain(EMPTY).map(ToOwned::to_owned).chain([many()]);
    texts.filter_map(|text| from_json(&text).ok()).collect()
}

/// One metric with more points than a view has.
fn many() -> String {
    let mut points = String::new();
    for number in 0..MANY {
        let comma = if number == 0 { "" } else { "," };
        let _infallible = write!(
            points,
            r#"{comma}{{"timeUnixNano":"1700000000000000000","asInt":"{number}","attributes":[{{"key":"http.route","value":{{"stringValue":"/{number}"}}}}]}}"#
        );
    }
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"many"}}}}]}},"scopeMetrics":[{{"metrics":[{{"name":"many","unit":"1","gauge":{{"dataPoints":[{points}]}}}}]}}]}}]}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_a_batch() {
        let items: Vec<_> = samples().iter().map(|batch| batch.items).collect();
        assert_eq!(items, [9, 2, 3, 0, 0, 0, MANY]);
    }
}
