# shellcheck shell=bash
# Debian packages: installed when the script may, named with the exact command when it may not.

# debian_install PACKAGE...
debian_install() {
  command -v apt-get >/dev/null ||
    fail --code "$EXIT_UNAVAILABLE" "this system has no apt-get; install what it calls Debian's packages $*, then run $0 again"
  [ "$(id -u)" -eq 0 ] ||
    fail --code "$EXIT_UNAVAILABLE" "run 'sudo apt-get update && sudo apt-get install --no-install-recommends $*', then run $0 again"
  step "apt-get install $*" "mend what apt-get says above, then run $0 again" debian_install_as_root "$@"
}

debian_install_as_root() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -qy --no-install-recommends "$@"
}

readonly DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_unpack SUITE PACKAGE VERSION DIRECTORY PROGRAM ARGS...: a package of any release, verified with Debian's keyring and
# unpacked with an apt state of its own, so that nothing on the system changes and no root is needed. PROGRAM ARGS shows that it
# runs here.
debian_unpack() {
  local package=$2 command
  for command in apt-get dpkg; do
    command -v "$command" >/dev/null ||
      fail --code "$EXIT_UNAVAILABLE" "there is no $command here to unpack Debian's $package with; put a $package of your own on the PATH, then run $0 again"
  done
  [ -r "$DEBIAN_KEYRING" ] ||
    fail --code "$EXIT_UNAVAILABLE" "$DEBIAN_KEYRING is missing, so Debian's packages cannot be verified; install debian-archive-keyring, or put a $package of your own on the PATH"
  step "unpack $package from its Debian package" \
    "mend what apt-get says above, or put a $package of your own on the PATH" \
    debian_unpack_verified "$@"
}

debian_unpack_verified() {
  local suite=$1 package=$2 version=$3 directory=$4 program=$5 state mirror
  shift 5
  state=$(dirname "$directory")/apt
  mirror=$(debian_mirror)
  if [ -z "$mirror" ]; then
    echo "apt-get is set up with no Debian mirror" >&2
    return 1
  fi
  rm -rf "$state" "$directory" "$directory.part"
  mkdir -p "$state/lists/partial" "$state/archives/partial" "$directory.part"
  printf 'deb [signed-by=%s] %s %s main\n' "$DEBIAN_KEYRING" "$mirror" "$suite" >"$state/sources.list"

  private_apt "$state" update
  (
    cd "$state" || exit
    # The suite moves on; a later version is better than none.
    private_apt "$state" download "$package=$version" || private_apt "$state" download "$package"
  )
  dpkg -x "$state/$package"_*.deb "$directory.part"
  "$directory.part/$program" "$@"
  mv "$directory.part" "$directory"
  rm -rf "$state"
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
