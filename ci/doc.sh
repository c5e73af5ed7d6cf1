#!/usr/bin/env bash
# Proves that the documentation builds without a warning: no broken link, no missing page.
# The samples in it are run by ci/test.sh, and those of the core alone by ci/core.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features
