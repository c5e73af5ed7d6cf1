#!/usr/bin/env bash
# Proves that each bug of the structures in examples/ is found on each engine that its structure runs on, and that each fix
# passes. Their own tests run in ci/test.sh, except for those of the C ring and the two programs, which are separate packages.
set -euo pipefail
# Each headline on one line.
export COLUMNS=1000
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Beside the library's own package, its features are those of the other tests, and it is not built again.
cargo test --locked -p forkcheck -p c-ring --test ring
cargo test --locked -p two-programs
for example in config_page mpsc_ring; do
    reports=$(cargo run --locked --quiet --example "$example")
    for line in "NOT LINEARIZABLE  $example::.*::processes  " "NOT SEQUENTIALLY CONSISTENT  $example::.*::loom  " \
        "ok  $example::fixed::processes  " "ok  $example::fixed::loom  "; do
        grep "^$line" <<<"$reports" ||
            { printf '%s\nexamples/%s.rs printed no line %s\n' "$reports" "$example" "$line" >&2; exit 1; }
    done
done
