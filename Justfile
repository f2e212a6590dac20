# What can be done here; each recipe is a script that can be run by itself.
_default:
    @{{ just_executable() }} --list

# Install what building, testing and the demo need
setup *arguments:
    ./scripts/setup {{ arguments }}

# Build the release binary
build:
    ./scripts/setup --for build
    cargo build --release --package kiln

# Build and pack the plugins and the test guests
plugins:
    ./scripts/setup --for build
    ./scripts/build-plugins

# Make the bundle that clusters install, with a kiln that needs no compiler
bundle *arguments:
    ./scripts/bundle {{ arguments }}

# Run every check, or the stages named: fmt scripts clippy build plugins reference examples unit fuzz cases attacks
test *stages:
    ./scripts/test {{ stages }}

# Write docs/reference from the manifests of the packed plugins
reference *arguments:
    ./scripts/reference {{ arguments }}

# Watch a workspace and a Spark application arrive in one metrics backend
demo *arguments:
    ./scripts/demo {{ arguments }}

# Measure Kiln at a size that no test has, and check that what it says is true
bench *arguments:
    ./scripts/bench {{ arguments }}

# Run Kiln for half an hour beside a backend that fails at random, and see that it stays as it is
soak *arguments:
    ./scripts/soak {{ arguments }}

# Check licences, advisories and bans (installs cargo-deny the first time)
deny:
    ./scripts/deny

# Format the Rust code and this file
fmt:
    cargo fmt --all
    {{ just_executable() }} --unstable --fmt
