
# --- Spark's settings -------------------------------------------------------------------------------------------------

# Only what is ours is written, and nothing if the image has no such directories. In the foreground, for the driver's
# JVM reads both files when it starts.
write_spark_settings() {
  local conf="${KILN_ROOT:-}/databricks/driver/conf" metrics="${KILN_ROOT:-}/databricks/spark/conf"
  if [[ -d $conf ]]; then
    printf '%s' "$spark_conf" | replace_file "$conf/00-kiln.conf"
  else
    echo "kiln: Spark's settings are not written: this image has no $conf"
  fi
  if [[ -d $metrics ]]; then
    { without_our_lines "$metrics/metrics.properties" && printf '%s' "$spark_metrics"; } |
      replace_file "$metrics/metrics.properties"
  else
    echo "kiln: Spark's metrics are not configured: this image has no $metrics"
  fi
}
