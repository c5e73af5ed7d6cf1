#!/usr/bin/env bash
# Proves what takes too long for `cargo test`: all cells of the structures that attack, of which it tries a part, rounds of checks in
# one process, which leave nothing behind, and the zoo: bugs of other projects are found on each engine, and their fixes pass.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

HOSTILE=all cargo test --locked --test hostile --test soak --test zoo
