#!/usr/bin/env bash
# Proves that all input from outside (tokens, saved cases, headers of regions, records of children, frames, recorded
# histories, arguments) is understood or refused, without a panic or a wait, in memory in proportion: 100,000 inputs
# of each kind.
# `part`: 5,000. FORKCHECK_INPUTS=N: N.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

inputs=100000
[[ ${1-} != part ]] || inputs=5000
export FORKCHECK_INPUTS=${FORKCHECK_INPUTS:-$inputs}
cargo test --locked --test fuzz
cargo test --locked --lib -- any_bytes_are_frames
cargo test --locked --bin forkcheck -- any_arguments_are
echo "$FORKCHECK_INPUTS inputs of each kind: understood or refused"
