#!/usr/bin/env bash
# Proves that the publications cost nothing on the machine's own memory: each operation compiles to the same instructions
# as the same protocol written by hand over std's atomics (benches/same_code.rs, benches/measured/by_hand.rs).
# Labels are renamed in order. If the compiler put the same instructions in another order, or in other registers, it
# says so; any other difference fails. Prints the number of instructions of each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The publications are in the core, which builds in a fraction of the time.
cargo rustc --locked --release -p benches --no-default-features --bench same_code -- --emit "asm=$folder/code.s" -C codegen-units=1 -C debuginfo=0

# The instructions of one function, with its labels numbered in order.
body() {
    awk -v name="$1" '
        $0 == name ":" { inside = 1; next }
        inside && /^\.Lfunc_end/ { exit }
        !inside || /^[[:space:]]*\.(cfi|p2align|type|size|section|globl|loc|file)/ { next }
        {
            line = $0
            while (match(line, /\.L[A-Za-z_]*[0-9]+(_[0-9]+)?/)) {
                label = substr(line, RSTART, RLENGTH)
                if (!(label in number)) number[label] = ++labels
                line = substr(line, 1, RSTART - 1) "label" number[label] substr(line, RSTART + RLENGTH)
            }
            print line
        }' "$folder/code.s"
}

# The same, in any order and with any registers.
unordered() {
    sed 's/%[a-z0-9]*/%register/g' "$1" | sort
}

failed=0
for ours in $(sed -n 's/^    \(pair_[a-z_]*\) pair_.*/\1/p' benches/same_code.rs); do
    body "$ours" >"$folder/ours"
    body "${ours}_by_hand" >"$folder/by_hand"
    if [[ ! -s $folder/ours || ! -s $folder/by_hand ]]; then
        echo "$ours: not found in the assembly, so nothing was compared" >&2
        failed=1
    elif diff "$folder/ours" "$folder/by_hand" >"$folder/diff"; then
        echo "$ours: the same $(grep -c '^[[:space:]]' "$folder/ours") instructions"
    elif diff <(unordered "$folder/ours") <(unordered "$folder/by_hand") >/dev/null; then
        echo "$ours: the same $(grep -c '^[[:space:]]' "$folder/ours") instructions, in another order"
    else
        echo "$ours: other instructions than by hand" >&2
        cat "$folder/diff" >&2
        failed=1
    fi
done
exit $failed
