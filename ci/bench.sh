#!/usr/bin/env bash
# Proves, when it is called as `ci/bench.sh quick`, that every figure can still be measured; those numbers mean nothing.
# Without `quick` it prints the ratios in the docs, measured interleaved in one run, with the load of the machine and the
# processor time, which says more under load; a number is the rounds (`ci/bench.sh 3 random`).
# If FORKCHECK_HISTORIES names a directory of recorded histories (tests/histories/main.rs), those are measured too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Unoptimised, to see that they run: the tests have already built the library without optimisation.
profile=bench
[[ ${1-} != quick ]] || profile=dev
cargo bench --locked --profile "$profile" -p benches --bench table -- "$@"
