#!/usr/bin/env bash
# Proves, when it is called as `ci/bench.sh quick`, that every figure can still be measured; those numbers mean nothing.
# Without it: prints the ratios that the docs name, measured side by side in one run, with the load of the machine.
# Where FORKCHECK_HISTORIES names a directory of recorded histories (tests/histories/main.rs), those are measured too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo bench --locked --bench table -- "$@"
