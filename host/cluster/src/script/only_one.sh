
# --- one Kiln per node ----------------------------------------------------------------------------------------------

have_tools() {
  local tool missing=() needed=()
  [[ ${bundle_source:-} = *://* ]] && needed+=(curl)
  [[ ${bundle_files[*]:-} = *.tar.gz* ]] && needed+=(tar gzip)
  for tool in "${needed[@]}" chmod flock head mkdir mktemp mv nice readlink rm sha256sum sleep stat tail timeout tr uname; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) && return
  verdict "not started: missing on this image: ${missing[*]}"
  return 1
}

# Its parents keep the permissions everybody else expects of them.
private_directory() {
  (umask 022 && mkdir -p -- "${1%/*}") && mkdir -p -- "$1" && chmod 700 -- "$1"
}

# Kiln inherits the lock: even if this process is killed, a second Kiln cannot start while the first one lives.
become_the_only_one() {
  exec {lock}>>"$home/lock" || return
  if ! flock --nonblock "$lock"; then
    verdict "nothing to do: Kiln is already looked after by process $(head -c 16 -- "$home/supervisor.pid" 2>/dev/null)"
    return 1
  fi
  trap stop TERM INT
  echo "$$" >"$home/supervisor.pid"
}

# setsid made this process the leader of its group, so 0 reaches every tool at work here and nobody else. Kiln goes
# first and gets one signal: to a draining program a second one may mean "at once".
stop() {
  trap '' TERM INT
  say "told to stop"
  verdict "stopped before Kiln was up"
  stop_kiln
  kill -TERM 0
  rm -f -- "$home/supervisor.pid"
  exit 0
}

stop_kiln() {
  [[ -n $kiln_pid ]] || return
  kill -TERM "$kiln_pid" 2>/dev/null
  if ! timeout --signal=KILL 40 tail --pid="$kiln_pid" -s 0.1 -f /dev/null; then
    say "kiln did not stop within 40 s: killed"
    kill -KILL "$kiln_pid"
  fi
  wait "$kiln_pid" 2>/dev/null
  kiln_pid=
}

# bash runs a trap only between commands; `wait` is the one that lets a signal through at once.
patiently() {
  "$@" &
  wait "$!"
}

ask_systemd() {
  timeout 20 systemctl --no-ask-password "$@" </dev/null
}
