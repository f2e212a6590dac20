
# --- log ------------------------------------------------------------------------------------------------------------

open_logs() {
  log_directory="${KILN_ROOT:-}/var/log/kiln"
  if ! { private_directory "$log_directory" && : >>"$log_directory/init.log"; } 2>/dev/null; then
    log_directory=$(mktemp -d "${TMPDIR:-/tmp}/kiln-log.XXXXXX" 2>/dev/null) || log_directory=
  fi
  kiln_log=/dev/null
  if [[ -n $log_directory ]]; then
    kiln_log="$log_directory/kiln.log"
    exec >>"$log_directory/init.log" 2>&1
  fi
}

# A full disk silences it and changes nothing else.
say() {
  TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T %s\n' -1 "$*" || true
}

# What became of this run of the script, in one line: the first is the last.
verdict() {
  [[ -n $judged ]] && return
  judged=yes
  say "verdict: $*"
}

# Both logs are opened for appending, so emptying them in place is safe.
bound_logs() {
  local file size
  for file in "$log_directory/init.log" "$kiln_log"; do
    if size=$(stat -c %s -- "$file" 2>/dev/null) && ((size > 16777216)); then
      tail -c 1048576 -- "$file" >"$file.1"
      : >"$file"
    fi
  done
}
