#!/usr/bin/env bash
# Proves that one process can check suites for an hour, each round with another seed: no verdict is wrong, and no process,
# descriptor, name, segment, mapping or memory is left. Prints each round and its coverage. Not part of .ci/run.
# FORKCHECK_SOAK=N: N seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export FORKCHECK_SOAK=${FORKCHECK_SOAK:-3600}
cargo test --locked --test soak -- --nocapture
echo "$FORKCHECK_SOAK seconds of rounds: nothing was left, and no verdict was wrong"
