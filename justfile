# Recipes for development; `just` lists them. https://just.systems

_default:
    @just --list --unsorted

# Run every function locally on http://127.0.0.1:9000
serve *args:
    cargo run -- serve {{ args }}

# Simulate the providers against the local instance and reconcile
simulate *args:
    cargo run -q -- simulate {{ args }}

# Format, lint and build the documentation
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

# Run all tests, or those of one file: just test redrive
test file="":
    cargo test --workspace --locked {{ if file == "" { "" } else { "--test '*' " + file + "::" } }}

# Test the page in Chromium
browser:
    tests/browser/run

# Read exports with DuckDB, and test the API against its own description
exports:
    tests/export/run

# Deploy the template to an AWS emulator and test it there
deployed:
    tests/deployed/run

# Lint the template
template:
    infra/lint.sh

# Fuzz each target for this many seconds (nightly toolchain and cargo-fuzz)
fuzz seconds="60":
    fuzz/run {{ seconds }}

# Benchmark the work before the first call to AWS
bench:
    cargo bench -p webhook-ingest

# Everything that CI runs
ci:
    .ci/run
