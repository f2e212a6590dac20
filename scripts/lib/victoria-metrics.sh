# shellcheck shell=bash
# VictoriaMetrics, the backend of the demo and of the tests: Debian's package, unpacked into the cache.

# Older packages (Debian 13 and before) are not known to take OTLP metrics as this demo sends them.
readonly VICTORIA_METRICS_SUITE=sid
readonly VICTORIA_METRICS_VERSION=1.145.0+ds1-2

victoria_metrics_directory() { echo "$KILN_CACHE/victoria-metrics/$VICTORIA_METRICS_VERSION"; }

victoria_metrics_command() {
  local unpacked
  unpacked=$(victoria_metrics_directory)/usr/bin/victoria-metrics
  if [ -x "$unpacked" ]; then
    echo "$unpacked"
  else
    command -v victoria-metrics || true
  fi
}

victoria_metrics_present() { [ -n "$(victoria_metrics_command)" ]; }
victoria_metrics_what() {
  say "victoria-metrics, Debian package unpacked into $(victoria_metrics_directory): a real metrics backend (90 MB to download)"
}

victoria_metrics_install() {
  debian_unpack "$VICTORIA_METRICS_SUITE" victoria-metrics "$VICTORIA_METRICS_VERSION" "$(victoria_metrics_directory)" \
    usr/bin/victoria-metrics -version
}
