# shellcheck shell=bash
# The OpenTelemetry Collector, built once by its own builder from the Go module proxy: the strict server that the tests send to,
# and the peer of the benchmarks. What it is made of stands in scripts/collector.

readonly COLLECTOR_VERSION=0.165.0
readonly COLLECTOR_MANIFEST=$KILN_ROOT/scripts/collector

collector_directory() { echo "$KILN_CACHE/collector-$COLLECTOR_VERSION"; }

collector_command() { echo "$(collector_directory)/otelcol"; }

# Copies of what it was made from lie beside it, so that a change of them builds another one.
collector_present() {
  local part
  [ -x "$(collector_command)" ] || return 1
  for part in builder.yaml go.mod go.sum; do
    cmp -s "$COLLECTOR_MANIFEST/$part" "$(collector_directory)/$part" || return 1
  done
}

collector_what() {
  say "the OpenTelemetry Collector $COLLECTOR_VERSION, built by its builder into $(collector_directory): has to take what Kiln sends (600 MB to download, minutes to compile)"
}

collector_install() {
  step "build the OpenTelemetry Collector $COLLECTOR_VERSION" \
    "mend what Go says above; it takes Go $GO_MINIMUM or later and a Go module proxy that can be reached, which GOPROXY names, then run $0 again" \
    collector_build
}

# Modules and objects are thrown away with the sources: they take thirty times the room of what is made of them.
collector_build() {
  local directory part
  directory=$(collector_directory)
  part=$directory.part
  rm -rf "$part" "$directory"
  mkdir -p "$part/source"
  cp "$COLLECTOR_MANIFEST"/{builder.yaml,go.mod,go.sum} "$part/source"
  (
    cd "$part/source" || exit
    # Without -modcacherw not even their owner can delete what was downloaded.
    env PATH="$TOOLS_ON_PATH:$PATH" GOMODCACHE="$part/modules" GOCACHE="$part/objects" GOFLAGS=-modcacherw GOTOOLCHAIN=local GOWORK=off \
      go run "go.opentelemetry.io/collector/cmd/builder@v$COLLECTOR_VERSION" --config builder.yaml --skip-get-modules
  )
  "$part/source/otelcol" --version
  mkdir "$part/complete"
  mv "$part/source"/{otelcol,builder.yaml,go.mod,go.sum} "$part/complete"
  mv "$part/complete" "$directory"
  rm -rf "$part"
}
