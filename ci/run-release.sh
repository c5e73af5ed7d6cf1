#!/usr/bin/env bash
# Proves that the README's first command builds in release, runs to its end and finds what it should.
# tests/tidy/main.rs asserts that the README and this script have the same command.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo run --release
