#!/bin/bash
# Kiln on the driver of this cluster. Rendered by `kiln init-script`: change the bundle and render again.
#
# It never fails a cluster start and never delays one: it exits 0 whatever happens, and whatever can be slow or can
# fail runs in a detached process with its own log, /var/log/kiln/init.log. It holds no secrets.
#
# shellcheck disable=SC2317,SC2329 # the functions below `main` are called by the detached process

# Databricks honours the first line; a caller that does not must not turn it into a syntax error.
[ -n "${BASH_VERSION:-}" ] || { bash "$0"; exit 0; }
set +euCf +o pipefail +o posix
trap 'exit 0' EXIT HUP INT TERM

bundle_source='' bundle_files=() # what `kiln init-script` fills in

main() {
  # DB_IS_DRIVER is "FALSE" on workers, not empty: only its value says where this runs.
  [[ ${DB_IS_DRIVER:-} = TRUE ]] || return
  export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
  if ! command -v setsid >/dev/null; then
    echo "kiln: not started: setsid is missing on this image; install util-linux"
    return
  fi
  local program copied
  # The functions travel as text, because this file may be on a volume that is unmounted once the script has returned;
  # and in the environment, so that `ps` shows a line and not a page.
  program=$(
    echo "unset kiln_program; set +euCf +o pipefail +o posix"
    declare -p bundle_source bundle_files
    declare -f
    echo in_background
  )
  # shellcheck disable=SC2016 # expanded by the shell that is started
  exec {copied}< <(kiln_program=$program exec setsid bash -c 'eval "$kiln_program"' kiln-init </dev/null 2>/dev/null)
  # Credentials for a Unity Catalog volume are promised to init scripts only, so a fast copy is given its chance to
  # finish first. The other end is closed when the copy is over.
  read -r -t 1 -u "$copied"
  trap '' PIPE
  echo "kiln: starting in the background; see ${KILN_ROOT:-}/var/log/kiln/init.log"
}

in_background() {
  local descriptor
  # Whoever started the script may wait for the end of a pipe it handed down.
  for descriptor in "/proc/$$/fd/"*; do
    descriptor=${descriptor##*/}
    [[ $descriptor =~ ^[0-9]+$ ]] && ((descriptor > 2)) && exec {descriptor}>&-
  done
  exec {copied}>&1 >/dev/null
  umask 077
  cd / || return
  declare -gA said=()
  kiln_pid=
  home="${KILN_ROOT:-}/opt/kiln"
  open_logs
  have_tools || return
  if ! private_directory "$home"; then
    say "not started: cannot write to $home"
    return
  fi
  become_the_only_one || return
  if choose_files && install_bundle; then
    keep_kiln_running
  fi
  rm -f -- "$home/supervisor.pid"
}

# Lets the script return, if it still waits.
release_caller() {
  [[ -n $copied ]] && exec {copied}>&-
  copied=
}

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

# --- one Kiln per driver ----------------------------------------------------------------------------------------------

have_tools() {
  local tool missing=()
  for tool in chmod curl flock head mkdir mktemp mv nice rm sha256sum sleep stat tail timeout tr uname; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) && return
  say "not started: missing on this image: ${missing[*]}"
  return 1
}

# Its parents keep the permissions everybody else expects of them.
private_directory() {
  (umask 022 && mkdir -p -- "${1%/*}") && mkdir -p -- "$1" && chmod 700 -- "$1"
}

# Kiln inherits the lock: even if this process is killed, a second Kiln cannot start while the first one lives.
become_the_only_one() {
  local lock
  exec {lock}>>"$home/lock" || return
  if ! flock --nonblock "$lock"; then
    say "nothing to do: Kiln is already looked after by process $(head -c 16 -- "$home/supervisor.pid" 2>/dev/null)"
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

# --- bundle -----------------------------------------------------------------------------------------------------------

# Sets `wanted`, of the same shape as `bundle_files`: what this machine needs.
choose_files() {
  local machine architecture i has=() has_ours=
  machine=$(uname -m)
  wanted=()
  for ((i = 0; i < ${#bundle_files[@]}; i += 4)); do
    architecture=${bundle_files[i]}
    if [[ $architecture = any || $architecture = "$machine" ]]; then
      wanted+=("${bundle_files[@]:i:4}")
    fi
    [[ $architecture = any ]] || has+=("$architecture")
    [[ $architecture = "$machine" ]] && has_ours=yes
  done
  [[ -n $has_ours ]] && return
  say "not started: this machine is $machine and the bundle in $bundle_source has kiln for ${has[*]} only:" \
    "add a kiln-$machine to the bundle and render the init script again"
  return 1
}

install_bundle() {
  local attempt status delay=1
  for ((attempt = 1; attempt <= 12; attempt++)); do
    fetch_bundle
    status=$?
    release_caller
    case $status in
      0)
        say "installed from $bundle_source"
        return
        ;;
      2)
        say "not started: the bundle is not the one this init script was rendered for; render it again"
        rm -rf -- "$home/incoming"
        return 1
        ;;
    esac
    say "trying again in $delay s"
    pause "$delay"
    ((delay = delay * 2 > 60 ? 60 : delay * 2))
  done
  say "not started: gave up on $bundle_source"
  rm -rf -- "$home/incoming"
  return 1
}

# Status 1: worth another try. Status 2: refused.
fetch_bundle() {
  local i digest size name target found
  rm -rf -- "$home/incoming"
  mkdir -p -- "$home/incoming/plugins" || return 1
  for ((i = 0; i < ${#wanted[@]}; i += 4)); do
    digest=${wanted[i + 1]} size=${wanted[i + 2]} name=${wanted[i + 3]}
    target="$home/incoming/$name"
    [[ ${wanted[i]} = any ]] || target="$home/incoming/kiln"
    # One byte more than expected is enough to know that a file is too long, however long it is.
    if ! patiently read_source "$name" "$((size + 1))" >"$target"; then
      say "cannot read $bundle_source/$name, or cannot write it to $home"
      return 1
    fi
    found=$(stat -c %s -- "$target")
    if [[ $found != "$size" ]]; then
      ((found > size)) && found='more'
      say "refused $bundle_source/$name: it should have $size bytes and has $found"
      return 2
    fi
    found=$(sha256sum <"$target")
    if [[ ${found%% *} != "$digest" ]]; then
      say "refused $bundle_source/$name: its sha256 should be $digest and is ${found%% *}"
      return 2
    fi
  done
  chmod 700 -- "$home/incoming/kiln" && read_env_file && rm -rf -- "$home/current" &&
    mv -- "$home/incoming" "$home/current" && mkdir -p -- "$home/data"
}

read_source() {
  set -o pipefail
  case $bundle_source in
    https://*)
      curl -q --fail --silent --show-error --location --max-redirs 3 --proto-redir =https \
        --connect-timeout 10 --max-time 300 --url "$bundle_source/$1" | head -c "$2"
      ;;
    *) timeout --foreground 300 head -c "$2" -- "$bundle_source/$1" ;;
  esac
}

# Runtimes that keep custom cluster variables from init scripts leave a file beside the bundle as the only way in. It is
# not pinned, because secrets change; so it may name what Kiln reads and not what changes how a program is loaded.
# A line is never logged: it may hold a secret.
read_env_file() {
  local LC_ALL=C file="$bundle_source/kiln.env" line number=0
  env_names=() env_values=()
  [[ $bundle_source = /* && -f $file ]] || return 0
  if (($(stat -Lc %s -- "$file") > 65536)); then
    say "kiln.env left out: it is longer than 64 KiB"
    return 0
  fi
  while IFS= read -r line || [[ -n $line ]]; do
    ((++number))
    line=${line%$'\r'}
    [[ -z $line || $line = '#'* ]] && continue
    if ! [[ $line =~ ^([A-Z][A-Z0-9_]*)=([^\"\'].*)?$ ]]; then
      say "kiln.env line $number left out: write it as NAME=value, without quotes or export"
      continue
    fi
    case ${BASH_REMATCH[1]} in
      OTEL_* | OTLP_* | KILN_* | DATABRICKS_* | HTTP_PROXY | HTTPS_PROXY | NO_PROXY)
        env_names+=("${BASH_REMATCH[1]}")
        env_values+=("${BASH_REMATCH[2]}")
        ;;
      *)
        say "kiln.env line $number left out: names start with OTEL_, OTLP_, KILN_ or DATABRICKS_, or are" \
          "HTTP_PROXY, HTTPS_PROXY or NO_PROXY"
        ;;
    esac
  done < <(timeout 10 head -c 65536 -- "$file")
}

# --- Spark UI ---------------------------------------------------------------------------------------------------------

# Sets `candidates`, best first. Databricks writes the port of the UI to driver-env.sh when it starts the driver; that
# file is in a directory everybody can write to, so it is read for one number and never sourced.
list_candidates() {
  local host='' port='' line file="${KILN_ROOT:-}/tmp/driver-env.sh"
  candidates=()
  [[ ${DB_DRIVER_IP:-} =~ ^[A-Za-z0-9][A-Za-z0-9.-]*$ ]] && host=$DB_DRIVER_IP
  if [[ -f $file ]]; then
    while IFS= read -r line; do
      [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?CONF_UI_PORT=[\"\']?([1-9][0-9]{0,4})[\"\']?[[:space:]]*$ ]] &&
        port=${BASH_REMATCH[2]}
    done < <(timeout 5 head -c 65536 -- "$file")
  fi
  if [[ -n $port ]] && ((port < 65536)); then
    [[ -n $host ]] && candidates+=("$host:$port")
    candidates+=("127.0.0.1:$port")
  fi
  [[ -n $host ]] && candidates+=("$host:40001")
  for port in 4040 4041 4042 4043 4044 4045 4046 4047 4048 4049 4050; do
    candidates+=("127.0.0.1:$port")
  done
}

# Sets `found` to the first candidate that is a ready Spark UI.
find_spark_ui() {
  local candidate
  list_candidates
  for candidate in "${candidates[@]}"; do
    if answers_like_spark "$candidate"; then
      found=$candidate
      return
    fi
  done
  return 1
}

# A Spark that is starting answers 200 with a web page on every path, so a status alone says nothing.
answers_like_spark() {
  local path shape reply head
  for path in version applications; do
    reply=$(curl -q --silent --include --noproxy '*' --connect-timeout 2 --max-time 5 --header 'Accept: application/json' \
      --url "http://$1/api/v1/$path" 2>/dev/null | head -c 65536 | tr -d '\0')
    [[ -n $reply ]] || return
    head=${reply%%$'\r\n\r\n'*}
    case $path in
      version) shape='^[[:space:]]*[{][[:space:]]*"spark"[[:space:]]*:' ;;
      applications) shape='^[[:space:]]*\[.*"attempts"[[:space:]]*:' ;;
    esac
    [[ $head =~ ^HTTP/[0-9.]+\ 200[[:space:]] && ${head,,} =~ content-type:[[:space:]]*application/json &&
      ${reply#*$'\r\n\r\n'} =~ $shape ]] && return
  done
  head=${head%%$'\r'*}
  head=${head//[^A-Za-z0-9 .\/-]/?}
  [[ ${said[$1]:-} = "$head" ]] || say "no Spark UI at $1 yet, although something answers: $head"
  said[$1]=$head
  return 1
}

# The driver starts after init scripts, and may be restarted without them: there is no time after which to give up.
await_spark_ui() {
  local delay=1
  say "looking for the Spark UI"
  until find_spark_ui; do
    pause "$delay"
    ((delay = delay * 2 > 15 ? 15 : delay * 2))
  done
  spark_ui=$found
}

pause() {
  patiently sleep "$1"
}

# --- Kiln -------------------------------------------------------------------------------------------------------------

start_kiln() {
  say "starting kiln for the Spark UI at http://$spark_ui"
  (
    local i
    for i in "${!env_names[@]}"; do
      # What is set on the cluster is the more specific of the two.
      [[ -v ${env_names[i]} ]] || export "${env_names[i]}=${env_values[i]}"
    done
    export KILN_SPARK_ENDPOINT="http://$spark_ui" KILN_SPARK_ORIGIN="http://$spark_ui"
    unset KILN_JOB_ID KILN_RUN_ID
    if [[ ${DB_CLUSTER_NAME:-} =~ ^job-([0-9]+)-run-([0-9]+)(-|$) ]]; then
      export KILN_JOB_ID=${BASH_REMATCH[1]} KILN_RUN_ID=${BASH_REMATCH[2]}
    fi
    # When memory runs short, the kernel takes Kiln and not the driver.
    echo 500 2>/dev/null >/proc/self/oom_score_adj
    exec nice -n 5 "$home/current/kiln" run --config "$home/current/kiln.yaml" >>"$kiln_log" 2>&1
  ) &
  kiln_pid=$!
}

# Returns when Kiln has ended (its status in `status`) or when the Spark UI has moved (`moved`).
watch_kiln() {
  local ticks=0
  moved=''
  while kill -0 "$kiln_pid" 2>/dev/null; do
    sleep 5 &
    # bash has a page to say about a job that was killed.
    wait -n 2>/dev/null
    bound_logs
    ((++ticks % 2 == 0)) || continue
    answers_like_spark "$spark_ui" && continue
    if find_spark_ui && [[ $found != "$spark_ui" ]]; then
      say "the Spark UI has moved to http://$found"
      moved=yes
      stop_kiln
      return
    fi
  done
  wait "$kiln_pid" 2>/dev/null
  status=$?
}

keep_kiln_running() {
  local delay=1 started
  while true; do
    await_spark_ui
    start_kiln
    started=$SECONDS
    watch_kiln
    [[ -n $moved ]] && continue
    kiln_pid=
    ((SECONDS - started >= 60)) && delay=1
    say "kiln ended with status $status (its log is $kiln_log); starting it again in $delay s"
    pause "$delay"
    ((delay = delay * 2 > 300 ? 300 : delay * 2))
  done
}

main
exit 0
