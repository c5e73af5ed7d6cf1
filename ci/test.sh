#!/usr/bin/env bash
# Proves the README's promise that every test and every sample passes with this one command, on stable, in debug.
# tests/tidy/main.rs asserts that the README and this script have the same command.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo test
