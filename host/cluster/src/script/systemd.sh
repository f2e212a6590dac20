
# --- systemd ----------------------------------------------------------------------------------------------------------

# Where systemd runs, it looks after the process that looks after Kiln: it starts that again should it be killed, bounds
# what both use up, and stops them in an orderly way with the machine. The unit is gone with the next start.
systemd_runs() {
  [[ -d ${KILN_ROOT:-}/run/systemd/system ]] && command -v systemctl >/dev/null
}

hand_over_to_systemd() {
  local unit="${KILN_ROOT:-}/run/systemd/system/kiln.service"
  systemd_runs || return
  # The environment has secrets in it: it goes to a file for root alone, and on no command line.
  {
    exported_variables
    declare -p home node memory_limit bundle_digest env_names env_values
    declare -f
    echo "supervise"
  } >"$home/supervise" &&
    (umask 022 && describe_unit >"$unit") || return
  # The other one has to be the only one.
  exec {lock}>&-
  if ask_systemd daemon-reload && ask_systemd start kiln.service; then
    say "handed over to systemd as kiln.service"
    return
  fi
  say "systemd does not start kiln.service: looking after Kiln without it"
  rm -f -- "$unit"
  become_the_only_one && return 1
  # It did start after all.
  return 0
}

# All but those that bash keeps to itself.
exported_variables() {
  local name
  for name in $(compgen -e); do
    [[ $name = SHELLOPTS || $name = BASHOPTS ]] || declare -p "$name"
  done
}

describe_unit() {
  cat <<UNIT
[Unit]
Description=Kiln, an OpenTelemetry collector
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/bash "$home/supervise" kiln-init
Restart=always
RestartSec=5
KillMode=mixed
TimeoutStopSec=60
MemoryMax=$memory_limit
CPUQuota=$cpu_limit%
OOMScoreAdjust=500
UNIT
}

# What the unit runs.
supervise() {
  set +euCf +o pipefail +o posix
  umask 077
  cd /
  judged='' kiln_pid=''
  open_logs
  become_the_only_one || exit 0
  keep_kiln_running
}
