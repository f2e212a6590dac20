# shellcheck shell=bash
# Whether a Spark can run here. The demo does without one rather than install a Java.

# Prints what is missing and the package that has it, or nothing.
spark_obstacle() {
  if ! java_present; then
    say "Java $JAVA_MINIMUM or later is missing; install Debian's package $JAVA_PACKAGE, or set JAVA_HOME"
  elif ! python_has_pip; then
    say "Python's venv and pip are missing; install Debian's package python3-venv"
  fi
}
