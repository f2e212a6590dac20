"""The two sides: the same receiver, processor and exporter, as each of them is configured.

Of the Collector there are three line-ups: with the batch processor and ten seconds, as it is often set up on a Spark driver; with what
takes its place, batches made by the exporter's queue; and without batches, for what is measured in milliseconds.
"""

KILN = """
plugins_dir: {plugins}
receivers:
  prometheus:
    collection_interval: {interval}
    initial_delay: 0s
    timeout: 60s
    limits: {{ cpu: 30s }}
    grants: {{ http: [ {{ origin: "http://{target}", addresses: [loopback] }} ] }}
    scrape_configs:
      - {{ job_name: spark, metrics_path: /metrics/executors/prometheus, static_configs: [ {{ targets: [ "{target}" ] }} ] }}
processors:
  resource: {{ attributes: [ {{ key: deployment.environment.name, value: prod, action: upsert }} ] }}
exporters:
  otlp_http: {{ endpoint: "{backend}" }}
service:
  data_dir: {scratch}/data
  telemetry: {{ endpoint: "127.0.0.1:0" }}
  pipelines:
    metrics: {{ receivers: [prometheus], processors: [resource], exporters: [otlp_http] }}
"""

COLLECTOR = """
receivers:
  prometheus:
    config:
      scrape_configs:
        - job_name: spark
          scrape_interval: {interval}
          scrape_timeout: {interval}
          metrics_path: /metrics/executors/prometheus
          static_configs: [ {{ targets: [ "{target}" ] }} ]
processors:
  resource: {{ attributes: [ {{ key: deployment.environment.name, value: prod, action: upsert }} ] }}
  {batch_processor}
exporters:
  otlp_http: {{ endpoint: "{backend}"{queue} }}
service:
  telemetry: {{ metrics: {{ level: none }}, logs: {{ level: error }} }}
  pipelines:
    metrics: {{ receivers: [prometheus], processors: [resource{batch}], exporters: [otlp_http] }}
"""


class Side:
    def __init__(self, name, program, template, **more):
        self.name, self.program, self.template, self.more = name, program, template, more

    def command(self, scratch, **settings):
        """Writes the configuration and says how to start with it."""
        path = f"{scratch}/{self.name.replace(' ', '-')}.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.template.format(scratch=scratch, **self.more, **settings))
        run = ["run"] if self.template is KILN else []
        return [self.program, *run, "--config", path]


def sides(kiln, plugins, collector):
    return {
        "kiln": Side("kiln", kiln, KILN, plugins=plugins),
        "plain": Side("collector", collector, COLLECTOR, batch_processor="", batch="", queue=""),
        "batch": Side(
            "collector, batch processor",
            collector,
            COLLECTOR,
            batch_processor="batch: { timeout: 10s }",
            batch=", batch",
            queue="",
        ),
        "queue": Side(
            "collector, queue batching",
            collector,
            COLLECTOR,
            batch_processor="",
            batch="",
            queue=", sending_queue: { batch: { flush_timeout: 200ms, min_size: 8192, sizer: items } }",
        ),
    }
