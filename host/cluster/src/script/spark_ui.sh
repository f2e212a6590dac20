
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
