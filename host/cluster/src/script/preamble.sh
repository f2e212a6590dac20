# It never fails a cluster start and never delays one: it exits 0 whatever happens, and whatever can be slow or can
# fail runs in a detached process with its own log, /var/log/kiln/init.log. It holds no secrets.
#
# shellcheck disable=SC2317,SC2329 # the functions below `main` are called by the detached process

# Databricks honours the first line; a caller that does not must not turn it into a syntax error.
[ -n "${BASH_VERSION:-}" ] || { bash "$0"; exit 0; }
set +euCf +o pipefail +o posix
trap 'exit 0' EXIT HUP INT TERM

