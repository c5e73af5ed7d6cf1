#!/usr/bin/env bash
# Proves that the tests also pass with a process for each of them, and that none of them hangs; those that .config/nextest.toml
# leaves out run in ci/test.sh alone.
# Installs the runner if it is missing; unoptimised, because it compiles in a fraction of the time and runs as well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo nextest --version >/dev/null 2>&1 || cargo install --locked --debug cargo-nextest
cargo nextest run --locked --profile ci

# The tests are built without debug information, which one of them needs.
line_tables='profile.dev.package.forkcheck.debug = "line-tables-only"'
printed=$(cargo test --locked --config "$line_tables" --no-default-features --features harness --test pages the_real_gdb -- --nocapture 2>&1) ||
    { echo "$printed"; exit 1; }
echo "$printed"
grep -q "^test result: ok\. 1 passed" <<<"$printed" || { echo "the test with gdb is gone" >&2; exit 1; }
! grep -q "^not run: build" <<<"$printed" || { echo "the test with gdb has no line tables" >&2; exit 1; }
