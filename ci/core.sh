#!/usr/bin/env bash
# Proves that the core is complete without the harness: it builds, its tests and samples pass, the article's program runs.
# Prints how many crates such a user compiles.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo build --locked --no-default-features
cargo test --locked --no-default-features --lib
cargo test --locked --no-default-features --doc
cargo run --locked --no-default-features --example article
crates=$(cargo tree --locked --no-default-features --edges normal,build --prefix none | sed 's/ (.*//' | sort -u | wc -l)
echo "the core alone: $crates crates, this one included"
