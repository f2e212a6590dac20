# shellcheck shell=bash
# The Java that Spark runs on.

readonly JAVA_MINIMUM=17

# Debian's name for a Java that Spark 4 accepts, on every release since bookworm.
readonly JAVA_PACKAGE=default-jre-headless

java_command() {
  if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then
    echo "$JAVA_HOME/bin/java"
  else
    echo java
  fi
}

java_major() { "$(java_command)" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1; }

java_present() { [ "$(java_major)" -ge "$JAVA_MINIMUM" ] 2>/dev/null; }
java_what() { say "$JAVA_PACKAGE, Debian package: Java $JAVA_MINIMUM or later, for Spark"; }
java_install() { debian_install "$JAVA_PACKAGE"; }
