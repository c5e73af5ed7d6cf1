#!/usr/bin/env bash
# Proves that neither the compiler nor clippy has a warning, with every feature and with the core alone.
# Clippy also reads rust-version and refuses items that only a newer std has. Fetches the component if it is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# They would take the place of the flags that are given here.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
# Tests that `cargo test` leaves to ci/long.sh are no target of all.
cargo clippy --locked --all-features --test soak --test zoo -- -D warnings
cargo clippy --locked --no-default-features --lib --example article -- -D warnings
cargo clippy --locked --no-default-features --features cli --lib --bins -- -D warnings
# What `cargo forkcheck` builds of the library. With a target, build scripts and procedural macros are those of the rest.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo clippy --locked --target "$host" --config "target.$host.rustflags = ['--cfg', 'forkcheck_instrumented']" \
    --no-default-features --features harness --lib -- -D warnings
