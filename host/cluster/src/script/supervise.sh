
# --- Kiln -------------------------------------------------------------------------------------------------------------

start_kiln() {
  local config="$home/current/kiln.yaml" bundle=()
  [[ -n $bundle_digest ]] && bundle=(--bundle "$home/current" --bundle-digest "$bundle_digest")
  [[ $node = worker ]] && config="$home/current/kiln-worker.yaml"
  say "starting kiln"
  (
    local i
    for i in "${!env_names[@]}"; do
      # What is set on the cluster is the more specific of the two.
      [[ -v ${env_names[i]} ]] || export "${env_names[i]}=${env_values[i]}"
    done
    # Where Databricks says on which port Spark's UI is, once there is one.
    export KILN_DRIVER_ENV="${KILN_ROOT:-}/tmp/driver-env.sh"
    unset KILN_SOURCE_TOKEN
    be_modest
    exec nice -n 5 "$home/current/kiln" run --config "$config" "${bundle[@]}" >>"$kiln_log" 2>&1
  ) &
  kiln_pid=$!
}

# Data, not address space: what a sandbox reserves and does not use costs nothing. On a driver with many cores a thread
# for each of them would take most of it, and so would what the C library keeps for each thread of what was freed.
be_modest() {
  # When memory runs short, the kernel takes Kiln and not the driver.
  echo 500 2>/dev/null >/proc/self/oom_score_adj
  ulimit -S -d "$((memory_limit / 1024))"
  export TOKIO_WORKER_THREADS=2 MALLOC_ARENA_MAX=1
}

# Returns when Kiln has ended, its status in `status`.
watch_kiln() {
  while kill -0 "$kiln_pid" 2>/dev/null; do
    sleep 5 &
    # bash has a page to say about a job that was killed.
    wait -n 2>/dev/null
    bound_logs
    kill -0 "$kiln_pid" 2>/dev/null && verdict "kiln runs as process $kiln_pid"
  done
  wait "$kiln_pid" 2>/dev/null
  status=$?
}

keep_kiln_running() {
  local delay=1 started
  while true; do
    start_kiln
    started=$SECONDS
    watch_kiln
    kiln_pid=
    ((SECONDS - started >= 60)) && delay=1
    verdict "kiln does not stay: it ended with status $status"
    say "kiln ended with status $status (its log is $kiln_log); starting it again in $delay s"
    pause "$delay"
    ((delay = delay * 2 > 300 ? 300 : delay * 2))
  done
}

pause() {
  patiently sleep "$1"
}
