#!/usr/bin/env bash
# Proves that memcheck (valgrind) and AddressSanitizer (a nightly compiler) find nothing in the tests that need no fork,
# nor ThreadSanitizer (the same) in the publications between threads. Each has to find a planted mistake first. If one is
# missing, the script says so and skips it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The test binary `$1`, built with the arguments after it.
binary() {
    local name=$1
    shift
    cargo "$@" --locked --no-run --message-format json 2>/dev/null |
        grep -o "\"executable\":\"[^\"]*/${name}-[0-9a-f]*\"" | cut -d'"' -f4 | tail -n 1
}

# The command after it has to report the mistake in the test `$1`.
finds() {
    local planted=$1
    shift
    if "$@" --ignored --exact "$planted" >"$scratch/planted" 2>&1; then
        cat "$scratch/planted"
        echo "$planted was not found out: this run shows nothing" >&2
        exit 1
    fi
}

# Unit tests that neither fork nor start a process.
alone=(check::seen publish::latest structure:: spec:: report:: settings:: source:: engine::processes::start process::record process::frame
    --skip report::page)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if command -v valgrind >/dev/null; then
    threads=$(binary threads test --test threads)
    library=$(binary forkcheck test --lib)
    memcheck=(valgrind --quiet --error-exitcode=9 --exit-on-first-error=yes --fair-sched=yes)
    finds a_byte_that_was_never_written "${memcheck[@]}" "$threads"
    "${memcheck[@]}" "$threads"
    "${memcheck[@]}" "$library" "${alone[@]}"
    echo "memcheck: nothing found, and the planted mistake was"
else
    echo "SKIPPED: memcheck: no valgrind here; install it"
fi

# The reports and the suppressions of the compiler's sanitizers name functions by debug information.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only
host=$(rustc -vV | sed -n 's/^host: //p')
# Whether there is a nightly compiler with the runtime `$1`.
has_runtime() {
    local nightly
    nightly=$(rustc +nightly --print sysroot 2>/dev/null) && compgen -G "$nightly/lib/rustlib/$host/lib/*$1*" >/dev/null
}

if has_runtime asan; then
    # In a subshell, so that its flags and its folder do not apply to the next.
    (
        export RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR=target/asan
        threads=$(binary threads +nightly test --test threads --no-default-features --target "$host")
        library=$(binary forkcheck +nightly test --lib --no-default-features --features harness --target "$host")
        finds a_byte_behind_an_allocation "$threads"
        "$threads"
        "$library" "${alone[@]}"
    )
    echo "AddressSanitizer: nothing found, and the planted mistake was"
else
    echo "SKIPPED: AddressSanitizer: no nightly compiler here with its runtime; rustup toolchain install nightly"
fi

if has_runtime tsan; then
    # The standard library was not built for it, so the fences by which it drops an Arc, and libtest's channel, are not checked.
    printf 'race:alloc::sync::Arc\nrace:test::event::CompletedTest\n' >"$scratch/known"
    export TSAN_OPTIONS="suppressions=$scratch/known"
    export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" CARGO_TARGET_DIR=target/tsan
    threads=$(binary threads +nightly test --test threads --no-default-features --target "$host")
    finds a_data_race "$threads"
    "$threads"
    echo "ThreadSanitizer: nothing found, and the planted mistake was"
else
    echo "SKIPPED: ThreadSanitizer: no nightly compiler here with its runtime; rustup toolchain install nightly"
fi
