#!/usr/bin/env bash
# Proves that the rust-version which Cargo.toml states is no lower than that of any locked dependency.
# The crate's own code is checked by clippy's lint incompatible_msrv, in ci/clippy.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
stated=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)
asked=$(cargo metadata --locked --format-version 1 --filter-platform "$host" |
    grep -o '"rust_version":"[^"]*"' | cut -d'"' -f4 | sort -V | tail -n 1)
[[ -n $stated && -n $asked ]] || { echo "no rust-version found in Cargo.toml or in cargo metadata" >&2; exit 1; }
if [[ $(printf '%s\n' "$stated" "$asked" | sort -V | tail -n 1) != "$stated" ]]; then
    echo "rust-version is $stated, a dependency asks for $asked: raise it in Cargo.toml, or lock an older release" >&2
    exit 1
fi
echo "rust-version $stated; the highest of the dependencies is $asked"
