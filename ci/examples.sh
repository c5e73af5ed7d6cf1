#!/usr/bin/env bash
# Proves that the structures in examples/ show what they are there for: each bug is found on each engine that its structure
# runs on, and each fix passes. Their own tests run in ci/test.sh, but for the C ring's and the two programs', which are packages of their own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo test --locked -p c-ring
cargo test --locked -p two-programs
for example in config_page mpsc_ring; do
    reports=$(cargo run --locked --quiet --example "$example")
    for line in "NOT LINEARIZABLE  $example::.*::processes  " "NOT SEQUENTIALLY CONSISTENT  $example::.*::loom  " \
        "ok  $example::fixed::processes  " "ok  $example::fixed::loom  "; do
        grep "^$line" <<<"$reports" ||
            { printf '%s\nexamples/%s.rs printed no line %s\n' "$reports" "$example" "$line" >&2; exit 1; }
    done
done
