"""A session of Spark on this machine, with all that Kiln has to be told of switched on."""

from pyspark.sql import SparkSession

SETTINGS = {
    "spark.driver.memory": "1g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    # Whoever asks for a port knows where to look, or nobody does.
    "spark.port.maxRetries": "0",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.prometheus.enabled": "true",
    "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
    "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
    "spark.metrics.conf.*.source.jvm.class": "org.apache.spark.metrics.source.JvmSource",
    "spark.metrics.appStatusSource.enabled": "true",
}


def start_session(name: str, master: str, port: str, scratch: str, settings: dict[str, str]) -> SparkSession:
    """An application of this name, with its UI at `port`, all it writes below `scratch`, and these settings besides."""
    places = {
        "spark.ui.port": port,
        "spark.local.dir": scratch,
        "spark.sql.warehouse.dir": f"{scratch}/warehouse",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={scratch}/derby",
    }
    builder = SparkSession.builder.master(master).appName(name)
    for key, value in (SETTINGS | places | settings).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
