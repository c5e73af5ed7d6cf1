#!/usr/bin/env bash
# Proves that the rust-version which Cargo.toml states is no lower than that of any locked dependency.
# `ci/msrv.sh lowest` also builds the library with the lowest releases that Cargo.toml accepts, with the stated Rust too where rustup
# has it; `ci/msrv.sh ranges` with the newest as well, which may fail for a release of today.
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

[[ -n ${1-} ]] || exit 0
[[ $1 == lowest || $1 == ranges ]] || { echo "usage: ci/msrv.sh [lowest | ranges]" >&2; exit 2; }

# A copy without what only the tests need, since cargo would resolve that too.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r src docs README.md "$copy"
awk '/^\[/ { left_out = $0 ~ /^\[(\[example|\[bench|\[test|dev-dependencies)/ } !left_out && !/^(default-)?members/' \
    Cargo.toml >"$copy/Cargo.toml"
cd "$copy"
export CARGO_TARGET_DIR=$copy/target CARGO_PROFILE_DEV_DEBUG=false

# An unstable option, and no other Rust than the default one.
RUSTC_BOOTSTRAP=1 cargo update --quiet -Z direct-minimal-versions
cargo check --quiet --locked --all-features
echo "it builds with the lowest releases of its dependencies"
if rustup run "$stated" cargo --version >/dev/null 2>&1; then
    rustup run "$stated" cargo check --quiet --locked --all-features
    echo "it builds with them and Rust $stated"
else
    echo "not run: Rust $stated (rustup toolchain install $stated --profile minimal)"
fi
[[ $1 == ranges ]] || exit 0
rm Cargo.lock
CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=allow cargo update --quiet
cargo check --quiet --locked --all-features
newest=$(cargo metadata --locked --format-version 1 --filter-platform "$host" |
    grep -o '"rust_version":"[^"]*"' | cut -d'"' -f4 | sort -V | tail -n 1)
echo "it builds with the newest; the highest rust-version among them is $newest"
