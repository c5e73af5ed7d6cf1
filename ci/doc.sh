#!/usr/bin/env bash
# Proves that the documentation builds without a warning: no broken link, no missing page, few public items.
# The samples in it are run by ci/test.sh, and those of the core alone by ci/core.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features

# Items that a reader of the documentation meets. A new one that no user calls is `#[doc(hidden)]`, or not public.
items=$(grep -o '<li><a href=' "${CARGO_TARGET_DIR:-target}/doc/forkcheck/all.html" | wc -l)
most=150
if ((items == 0 || items > most)); then
    echo "the library has $items public items, of at most $most: hide those that no user calls" >&2
    exit 1
fi
echo "the library has $items public items"
