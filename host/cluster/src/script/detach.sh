
# --- away from the caller -----------------------------------------------------------------------------------------------

# Has `in_background` run in a session of its own. The first argument is what is told, the others name the variables it
# takes along.
detach() {
  local program copied doing=$1
  shift
  if ! command -v setsid >/dev/null; then
    echo "kiln: not started: setsid is missing on this image; install util-linux"
    return
  fi
  # The functions travel as text, because this file may be on a volume that is unmounted once the script has returned;
  # and in the environment, so that `ps` shows a line and not a page.
  program=$(
    echo "unset kiln_program; set +euCf +o pipefail +o posix"
    (($# > 0)) && declare -p "$@"
    declare -f
    echo in_background
  )
  # shellcheck disable=SC2016 # expanded by the shell that is started
  exec {copied}< <(kiln_program=$program exec setsid bash -c 'eval "$kiln_program"' kiln-init </dev/null 2>/dev/null)
  # Credentials for a Unity Catalog volume are promised to init scripts only, so a fast copy is given its chance to
  # finish first. The other end is closed when the copy is over.
  read -r -t 1 -u "$copied"
  trap '' PIPE
  echo "kiln: $doing in the background; see ${KILN_ROOT:-}/var/log/kiln/init.log"
}

enter_background() {
  local descriptor
  # Whoever started the script may wait for the end of a pipe it handed down.
  for descriptor in "/proc/$$/fd/"*; do
    descriptor=${descriptor##*/}
    [[ $descriptor =~ ^[0-9]+$ ]] && ((descriptor > 2)) && exec {descriptor}>&-
  done
  exec {copied}>&1 >/dev/null
  umask 077
  cd /
  judged='' kiln_pid=''
  home="${KILN_ROOT:-}/opt/kiln"
}

# Lets the script return, if it still waits.
release_caller() {
  [[ -n $copied ]] && exec {copied}>&-
  copied=
}
