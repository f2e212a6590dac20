# shellcheck shell=bash
# VictoriaMetrics, the demo's backend: Debian's package, verified with Debian's keyring and unpacked
# into the cache with an apt state of its own, so that nothing on the system changes and no root is needed.

# Older packages (Debian 13 and before) are not known to take OTLP metrics as this demo sends them.
readonly VICTORIA_METRICS_SUITE=sid
readonly VICTORIA_METRICS_VERSION=1.145.0+ds1-2
readonly DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

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
  say "victoria-metrics, Debian package unpacked into $(victoria_metrics_directory): the demo's metrics backend (90 MB to download)"
}

victoria_metrics_install() {
  local command
  for command in apt-get dpkg; do
    command -v "$command" >/dev/null ||
      fail --code "$EXIT_UNAVAILABLE" "there is no $command here to unpack Debian's victoria-metrics with; put a victoria-metrics of your own on the PATH, then run $0 again"
  done
  [ -r "$DEBIAN_KEYRING" ] ||
    fail --code "$EXIT_UNAVAILABLE" "$DEBIAN_KEYRING is missing, so Debian's packages cannot be verified; install debian-archive-keyring, or put a victoria-metrics of your own on the PATH"
  step 'unpack victoria-metrics from its Debian package' \
    'mend what apt-get says above, or put a victoria-metrics of your own on the PATH' \
    victoria_metrics_unpack
}

# The mirror this machine is set up to use, and no other: where its own release comes from. Asked for by URI because
# that needs no package lists, which container images are shipped without.
debian_mirror() {
  local release
  release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  apt-get --print-uris update |
    sed -n "s#^'\(.*\)/dists/\($release\|oldstable\|stable\|testing\|unstable\|sid\)/InRelease'.*#\1#p" |
    sed -n 1p
}

victoria_metrics_unpack() {
  local state directory mirror
  state=$KILN_CACHE/victoria-metrics/apt
  directory=$(victoria_metrics_directory)
  mirror=$(debian_mirror)
  if [ -z "$mirror" ]; then
    echo "apt-get is set up with no Debian mirror" >&2
    return 1
  fi
  rm -rf "$state" "$directory" "$directory.part"
  mkdir -p "$state/lists/partial" "$state/archives/partial" "$directory.part"
  printf 'deb [signed-by=%s] %s %s main\n' "$DEBIAN_KEYRING" "$mirror" "$VICTORIA_METRICS_SUITE" >"$state/sources.list"

  private_apt "$state" update
  (
    cd "$state" || exit
    # The suite moves on; a later version is better than none.
    private_apt "$state" download "victoria-metrics=$VICTORIA_METRICS_VERSION" ||
      private_apt "$state" download victoria-metrics
  )
  dpkg -x "$state"/victoria-metrics_*.deb "$directory.part"
  "$directory.part/usr/bin/victoria-metrics" -version
  mv "$directory.part" "$directory"
  rm -rf "$state"
}

# private_apt STATE ARGS...: apt-get with lists, cache and sources in STATE and the system's transport settings.
private_apt() {
  local state=$1
  shift
  apt-get -q \
    -o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::State::status=/dev/null \
    -o Dir::Cache="$state" -o Dir::Cache::archives="$state/archives" \
    -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Acquire::Languages=none -o APT::Sandbox::User=root \
    "$@"
}
