#!/usr/bin/env bash
# Proves that the article's program succeeds and prints only its two lines, parent after child.
# The program is examples/article.rs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

expected=$'Child setting anInt to 1\nanInt is 1 in parent\nend'
printed=$(cargo run --locked --quiet --example article && echo end)
diff <(echo "$expected") <(echo "$printed") ||
    { echo "examples/article.rs printed something else: lines with > are its own" >&2; exit 1; }
echo "${printed%$'\n'end}"
