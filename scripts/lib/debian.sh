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
