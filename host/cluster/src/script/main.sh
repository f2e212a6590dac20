
main() {
  # DB_IS_DRIVER is "FALSE" on workers, not empty: only its value says where this runs.
  case ${DB_IS_DRIVER:-} in
    TRUE) node=driver ;;
    FALSE)
      [[ $nodes = all ]] || return
      node=worker
      ;;
    *) return ;;
  esac
  export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
  # Spark reads them when it starts, which is as soon as this has returned.
  [[ $node = driver && -n $spark_conf ]] && write_spark_settings
  detach "starting" node bundle_source bundle_files memory_limit cpu_limit
}

in_background() {
  enter_background
  open_logs
  have_tools || return
  if ! private_directory "$home"; then
    verdict "not started: cannot write to $home"
    return
  fi
  become_the_only_one || return
  if choose_files && install_bundle; then
    hand_over_to_systemd && return
    keep_kiln_running
  fi
  rm -f -- "$home/supervisor.pid"
}
