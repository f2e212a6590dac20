# shellcheck shell=bash
# Whether a Spark can run here, and whether it shall. The demo does without one rather than install a Java; the tests
# do without one when told to, and never on a CI machine: what nobody sees skipped is not skipped.

# Whether the tests may run real Sparks.
spark_is_tested() {
  case ${KILN_TEST_SPARK:-1} in
    1) return 0 ;;
    0) ;;
    *) fail --code "$EXIT_USAGE" "KILN_TEST_SPARK is '$KILN_TEST_SPARK'; it is 0 for tests without a real Spark, 1 or unset for all of them" ;;
  esac
  [ -z "${CI:-}" ] || fail --code "$EXIT_USAGE" 'KILN_TEST_SPARK=0 leaves out tests that CI has to run; unset it'
  return 1
}

# Prints what is missing and the package that has it, or nothing.
spark_obstacle() {
  if ! java_present; then
    say "Java $JAVA_MINIMUM or later is missing; install Debian's package $JAVA_PACKAGE, or set JAVA_HOME"
  elif ! python_has_pip; then
    say "Python's venv and pip are missing; install Debian's package python3-venv"
  fi
}
