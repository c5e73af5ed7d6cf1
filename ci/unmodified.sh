#!/usr/bin/env bash
# Proves that `cargo forkcheck test` sees the accesses of unmodified code: the releases of published crates with a known
# defect are found out, at a line of theirs, and come again by their tokens; the others pass; a ring in C and a stack in C++ are found out too.
# Without the pass, in all crates or in the user's, nothing passes. The command is the one that `cargo install --path .` installs.
set -euo pipefail
# Each headline on one line.
export COLUMNS=1000
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# They would take the place of the flags that are given here.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

# Unit tests of what is built for instrumented code alone. With a target, build scripts and procedural macros are those of the other tests.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo test --locked --target "$host" --config "target.$host.rustflags = ['--cfg', 'forkcheck_instrumented']" \
    --no-default-features --features harness --lib -- instrumented

installed=${CARGO_TARGET_DIR:-$PWD/target}/installed
rm -rf "$installed"
cargo install --path . --locked --debug --quiet --root "$installed"
PATH="$installed/bin:$PATH"
output=$(mktemp)
trap 'rm -f "$output"' EXIT

fail() {
    cat "$output"
    echo "$1" >&2
    exit 1
}
# The tests of the program `$1` of the package `$2` whose names have `$3` in them, whatever comes of them.
run() {
    cargo forkcheck test --locked -p "$2" --test "$1" -- "$3" --test-threads 1 >"$output" 2>&1 || true
}
has() {
    grep -Eq "$1" "$output" || fail "there is no line $1"
}

[[ $(command -v forkcheck) == "$installed/bin/forkcheck" ]] || fail "forkcheck is not installed"
forkcheck --version | grep -Ex "forkcheck [0-9.]+" >/dev/null || fail "forkcheck has no version"
cargo forkcheck --help | grep "cargo forkcheck test" >/dev/null || fail "cargo forkcheck has no help"

for engine in stepped kills; do
    run published unmodified "::$engine"
    # The slots of its ring are mixed up: which of the two comes first depends on the seed.
    has "^(NOT LINEARIZABLE|DATA RACE)  published::heapless_0_6_1::$engine  "
    has "^ +[0-9]+ .*  (sealed|split|mod)\.rs:[0-9]+$"
    has "^DATA RACE  published::triple_buffer_5_0_5::$engine  .*triple_buffer-5\.0\.5/src/lib\.rs:[0-9]+"
    has "^DATA RACE  published::spmc_0_2_3::$engine  .*spmc-0\.2\.3/src/channel\.rs:[0-9]+"
    for passes in heapless_0_9 triple_buffer_9 spmc_0_3_0; do
        has "^test $passes::$engine "
    done
    has "^test result: FAILED\. 3 passed; 3 failed"
    [ "$(grep -c '; replayed 10 of 10 times' "$output")" = 3 ] || fail "a finding does not come again ten times of ten"
    # Each token in a program of its own.
    grep '^ replay: ' "$output" | sed 's/^ replay: *//' | while read -r command; do
        if eval "$command" >"$output.replay" 2>&1; then
            fail "this replays nothing: $command"
        fi
        grep -q 'replayed 10 of 10 times' "$output.replay" || { cat "$output.replay"; fail "this does not come again: $command"; }
    done
    rm -f "$output.replay"
done

run waits unmodified "::stepped"
has '^test result: ok\.'
# Statics, thread-locals, where a finding shows, and what is refused or named.
run scopes unmodified "::"
has '^test result: ok\.'
FORKCHECK_SEED=1 run ring c-ring "::stepped"
has '^test result: ok\. 2 passed'
run stack cpp-stack "::stepped"
has '^test result: ok\. 2 passed'

# Their broken twins: without the pass in any crate, and without it in the user's.
cargo test --locked -p forkcheck -p unmodified --test published -- --ignored --test-threads 1 ::stepped ::kills >"$output" 2>&1 || true
[ "$(grep -Ec '^UNAVAILABLE  published::.* was not; run cargo forkcheck test$' "$output")" = 11 ] || fail "something passes unseen"
touch examples/unmodified/tests/published.rs
CARGO_FORKCHECK_PLAIN=published run published unmodified "::stepped"
touch examples/unmodified/tests/published.rs
[ "$(grep -c '^UNAVAILABLE  published::.*  no access of this crate arrives' "$output")" = 6 ] || fail "something passes unseen"
