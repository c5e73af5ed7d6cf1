#!/usr/bin/env bash
# Proves what takes too long for `cargo test`: all cells of the structures that attack, of which it tries a part, and rounds of
# checks in one process, which leave nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

HOSTILE=all cargo test --locked --test hostile --test soak
