# shellcheck shell=bash
# What a script tells its user: one line per step with its time, and one sentence when it fails.

# sysexits.h: what was asked is not understood; something needed is not here and was not installed.
# shellcheck disable=SC2034 # used by those who source this
readonly EXIT_USAGE=64 EXIT_UNAVAILABLE=69

say() { printf '%s\n' "$@"; }

warn() { printf 'note: %s\n' "$*" >&2; }

# fail [--code N] SENTENCE
fail() {
  local code=1
  if [ "$1" = --code ]; then
    code=$2
    shift 2
  fi
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit "$code"
}

# step NAME REMEDY COMMAND...: runs the command with its output in a log; when it fails, shows the end
# of the log and gives up with the remedy. Never call it in a condition (if, &&, ||): there bash
# ignores `set -e` inside a function, and a command of several lines would run on after its failure.
step() {
  local name=$1 remedy=$2 log started=$SECONDS
  shift 2
  log=$(mktemp "${TMPDIR:-/tmp}/kiln-step.XXXXXX")
  if [ -t 1 ]; then printf '  %s ...\r' "$name"; fi
  run_apart "$@" >"$log" 2>&1
  if [ "$status" -ne 0 ]; then
    tail -n 25 "$log" | sed 's/^/    /' >&2
    rm -f "$log"
    fail --code "$EXIT_UNAVAILABLE" "failed after $((SECONDS - started)) s: $name; $remedy"
  fi
  rm -f "$log"
  if [ -t 1 ]; then printf '\033[K'; fi
  printf '  %-62s %4d s\n' "$name" "$((SECONDS - started))"
}

# watched_step NAME REMEDY COMMAND...: the same with the output left visible, for what takes minutes.
watched_step() {
  local name=$1 remedy=$2 started=$SECONDS
  shift 2
  printf '  %s ...\n' "$name"
  run_apart "$@"
  [ "$status" -eq 0 ] || fail "failed after $((SECONDS - started)) s: $name; $remedy"
  printf '  %-62s %4d s\n' "$name" "$((SECONDS - started))"
}

# run_apart COMMAND...: leaves the exit status in $status instead of ending the script.
run_apart() {
  set +e
  (
    set -e
    "$@"
  ) </dev/null
  status=$?
  set -e
}
