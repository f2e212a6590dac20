# shellcheck shell=bash
# Prometheus, which the tests have scrape the `prometheus` exporter: Debian's package, verified with Debian's keyring and
# unpacked into the cache, so that no service is installed and no root is needed.

readonly PROMETHEUS_SUITE=sid
readonly PROMETHEUS_VERSION=3.5.3+ds1-6

prometheus_directory() { echo "$KILN_CACHE/prometheus/$PROMETHEUS_VERSION"; }

prometheus_command() {
  local unpacked
  unpacked=$(prometheus_directory)/usr/bin/prometheus
  if [ -x "$unpacked" ]; then
    echo "$unpacked"
  else
    command -v prometheus || true
  fi
}

prometheus_present() { [ -n "$(prometheus_command)" ]; }
prometheus_what() {
  say "prometheus, Debian package unpacked into $(prometheus_directory): scrapes the prometheus exporter in the tests (18 MB to download)"
}

prometheus_install() {
  debian_unpack "$PROMETHEUS_SUITE" prometheus "$PROMETHEUS_VERSION" "$(prometheus_directory)" usr/bin/prometheus --version
}
