#!/usr/bin/env bash
# Proves that every source file is formatted as rustfmt does it.
# Needs the component rustfmt, and fetches it through rustup if it is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo fmt --all --check
