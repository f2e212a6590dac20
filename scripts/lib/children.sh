# shellcheck shell=bash
# Programs started by a script: each with a log of its own, waited for on conditions, and ended with it.

# "PID NAME", in the order they were started.
children=()

child_log() { echo "$SCRATCH/$1.log"; }

# start NAME COMMAND...: as the head of a process group, so that what the program itself starts ends with it.
start() {
  local name=$1
  shift
  : >"$(child_log "$name")"
  setsid "$@" >"$(child_log "$name")" 2>&1 </dev/null &
  children+=("$! $name")
}

child_alive() {
  local child
  for child in "${children[@]}"; do
    if [ "${child#* }" = "$1" ]; then
      kill -0 "${child%% *}" 2>/dev/null
      return
    fi
  done
  return 1
}

# await NAME SECONDS WHAT CONDITION...: until the condition holds; gives up when the program ends or the time is over.
await() {
  local name=$1 limit=$2 what=$3 started=$SECONDS
  shift 3
  until "$@"; do
    child_alive "$name" || give_up "$name" "$name ended before there was $what"
    [ "$((SECONDS - started))" -lt "$limit" ] || give_up "$name" "$name showed no $what within $limit s"
    sleep 0.2
  done
  printf '  %-62s %4d s\n' "$name: $what" "$((SECONDS - started))"
}

# give_up NAME SENTENCE: with the end of that program's log, which says why.
give_up() {
  printf '  the end of the log of %s:\n' "$1" >&2
  tail -n 25 "$(child_log "$1")" | sed 's/^/    /' >&2
  fail "$2; the reason is in the log above"
}

# The address that a program prints in its log as "listening on URL".
listening_url() { sed -n 's/.*listening on \(http[^ ]*\).*/\1/p' "$(child_log "$1")" | head -n 1; }

is_listening() { [ -n "$(listening_url "$1")" ]; }

# The last started first: who sends is stopped before who receives.
stop_children() {
  local index
  for ((index = ${#children[@]} - 1; index >= 0; index--)); do
    stop_group "${children[index]%% *}"
  done
  children=()
}

stop_group() {
  local deadline=$((SECONDS + 15))
  kill -TERM -- "-$1" 2>/dev/null || return 0
  while kill -0 -- "-$1" 2>/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      kill -KILL -- "-$1" 2>/dev/null || true
      # Or the shell says "Killed", of what nobody has asked about.
      wait "$1" 2>/dev/null || true
      return
    fi
    sleep 0.1
  done
}
