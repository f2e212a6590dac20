
main() {
  export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
  detach "removing Kiln"
}

in_background() {
  enter_background
  open_logs
  have_tools || return
  remove_spark_settings
  remove_unit
  if [[ ! -e $home ]]; then
    verdict "nothing to remove: there is no $home"
    return
  fi
  stop_whatever_runs
  if rm -rf -- "$home"; then
    verdict "removed; the logs in $log_directory are left"
  else
    verdict "not removed: cannot delete $home"
  fi
}

remove_unit() {
  local unit="${KILN_ROOT:-}/run/systemd/system/kiln.service"
  [[ -e $unit ]] || return
  ask_systemd stop kiln.service
  rm -f -- "$unit"
  ask_systemd daemon-reload
}

# The supervisor, which stops its Kiln; and then a Kiln that has lost its supervisor.
stop_whatever_runs() {
  local pid
  pid=$(head -c 16 -- "$home/supervisor.pid" 2>/dev/null)
  # A number outlives its process, and may be somebody else's by now.
  if [[ $pid =~ ^[0-9]+$ && $(command_of "$pid") = *" kiln-init " ]]; then
    say "stopping process $pid"
    kill -TERM "$pid"
    timeout 60 tail --pid="$pid" -s 0.1 -f /dev/null
  fi
  for pid in /proc/[0-9]*; do
    pid=${pid##*/}
    [[ $(command_of "$pid") = *" $home/current/kiln run "* ]] || continue
    say "stopping process $pid"
    kill_politely "$pid"
  done
}

# The words a process was started with, each between spaces.
command_of() {
  local words
  mapfile -d '' words 2>/dev/null <"/proc/$1/cmdline"
  printf ' %s ' "${words[*]}"
}

kill_politely() {
  kill -TERM "$1" 2>/dev/null
  timeout 40 tail --pid="$1" -s 0.1 -f /dev/null || kill -KILL "$1" 2>/dev/null
}

# A file that held nothing but our lines was not there before.
remove_spark_settings() {
  local metrics="${KILN_ROOT:-}/databricks/spark/conf/metrics.properties" rest
  rm -f -- "${KILN_ROOT:-}/databricks/driver/conf/00-kiln.conf"
  [[ -f $metrics && $(<"$metrics") = *'# kiln: begin'* ]] || return
  rest=$(without_our_lines "$metrics")
  if [[ -n $rest ]]; then
    printf '%s\n' "$rest" | replace_file "$metrics"
  else
    rm -f -- "$metrics"
  fi
}
