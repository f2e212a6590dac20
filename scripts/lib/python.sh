# shellcheck shell=bash
# Python environments, one per requirements file, kept in the cache and rebuilt when the file changes.

PYTHON_TOOLS=$KILN_CACHE/venvs/tools
# The tools alone, without the Python beside them, so that this can be put on the PATH.
TOOLS_ON_PATH=$KILN_CACHE/bin
PYTHON_SPARK=$KILN_CACHE/venvs/pyspark
PYTHON_SPARK_3=$KILN_CACHE/venvs/pyspark-3.5
PYTHON_DATABRICKS=$KILN_CACHE/venvs/databricks-sdk
PYTHON_GRPC=$KILN_CACHE/venvs/grpc

readonly REQUIREMENTS_TOOLS=$KILN_ROOT/scripts/requirements/tools.txt
readonly REQUIREMENTS_SPARK=$KILN_ROOT/scripts/requirements/pyspark.txt
readonly REQUIREMENTS_SPARK_3=$KILN_ROOT/scripts/requirements/pyspark-3.5.txt
readonly REQUIREMENTS_DATABRICKS=$KILN_ROOT/tests/databricks-sdk/requirements.txt
readonly REQUIREMENTS_GRPC=$KILN_ROOT/tests/grpc/requirements.txt

python_has_pip() { python3 -c 'import venv, ensurepip' 2>/dev/null; }

# venv_ready DIRECTORY REQUIREMENTS: the copy of the requirements is written last, so it marks a whole environment.
venv_ready() { cmp -s "$2" "$1/requirements.txt" && "$1/bin/python" -c '' 2>/dev/null; }

# venv_build DIRECTORY REQUIREMENTS
venv_build() {
  rm -rf "$1"
  python3 -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$2"
  cp "$2" "$1/requirements.txt"
}

# venv_install DIRECTORY REQUIREMENTS
venv_install() {
  python_has_pip || debian_install python3 python3-venv
  step "pip install $(venv_packages "$2")" "mend what pip says above, then run $0 again" venv_build "$1" "$2"
}

venv_packages() { sed -e 's/[[:space:]]*#.*//' -e '/^$/d' "$1" | paste -s -d ' '; }

tools_present() { [ -x "$TOOLS_ON_PATH/just" ] && [ -x "$TOOLS_ON_PATH/shellcheck" ] && venv_ready "$PYTHON_TOOLS" "$REQUIREMENTS_TOOLS"; }
tools_what() { say "$(venv_packages "$REQUIREMENTS_TOOLS"), from PyPI linked in $TOOLS_ON_PATH: just and shellcheck"; }
tools_install() {
  local tool
  venv_install "$PYTHON_TOOLS" "$REQUIREMENTS_TOOLS"
  mkdir -p "$TOOLS_ON_PATH"
  for tool in just shellcheck; do ln -sf "$PYTHON_TOOLS/bin/$tool" "$TOOLS_ON_PATH/$tool"; done
}

pyspark_present() { venv_ready "$PYTHON_SPARK" "$REQUIREMENTS_SPARK"; }
pyspark_what() { say "$(venv_packages "$REQUIREMENTS_SPARK"), from PyPI into $PYTHON_SPARK: a real Spark (460 MB to download)"; }
pyspark_install() { venv_install "$PYTHON_SPARK" "$REQUIREMENTS_SPARK"; }

pyspark_3_present() { venv_ready "$PYTHON_SPARK_3" "$REQUIREMENTS_SPARK_3"; }
pyspark_3_what() { say "$(venv_packages "$REQUIREMENTS_SPARK_3"), from PyPI into $PYTHON_SPARK_3: a real Spark of the line before (320 MB to download)"; }
pyspark_3_install() { venv_install "$PYTHON_SPARK_3" "$REQUIREMENTS_SPARK_3"; }

databricks_sdk_present() { venv_ready "$PYTHON_DATABRICKS" "$REQUIREMENTS_DATABRICKS"; }
databricks_sdk_what() { say "$(venv_packages "$REQUIREMENTS_DATABRICKS"), from PyPI into $PYTHON_DATABRICKS: the client whose answers ours are compared with"; }
databricks_sdk_install() { venv_install "$PYTHON_DATABRICKS" "$REQUIREMENTS_DATABRICKS"; }

grpc_present() { venv_ready "$PYTHON_GRPC" "$REQUIREMENTS_GRPC"; }
grpc_what() { say "$(venv_packages "$REQUIREMENTS_GRPC"), from PyPI into $PYTHON_GRPC: the server that has to understand our calls"; }
grpc_install() { venv_install "$PYTHON_GRPC" "$REQUIREMENTS_GRPC"; }
