#!/usr/bin/env bash
# Proves that a test notices each change that cargo-mutants 27.1.0 makes to the code behind the verdicts; ci/mutants.txt
# argues for those that no test can notice. `part`: a third of the changes to a small file, two minutes; FILE...: these files; no argument: all, which
# takes hours. Works on a copy in target/mutants, which it removes. Installs cargo-mutants if it is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=27.1.0
cargo mutants --version 2>/dev/null | grep -qx "cargo-mutants $version" ||
    cargo install --locked --debug --version "$version" cargo-mutants

root=$PWD
folder="$root/target/mutants"
# A target directory of its own: cargo gives a package in a copy of its workspace the file names that it has in the workspace, so a
# build with a mutant would overwrite the test programs of a run of the tests beside this one.
export CARGO_TARGET_DIR="$root/target/mutated"
rm -rf "$folder"
mkdir -p "$folder"
trap 'rm -rf "$folder"' EXIT
# The place is always the same, so the dependencies of the copy are not built again. Its own files count as new; otherwise the last
# mutant that was built would be taken for this source.
tar --create --exclude=./target --exclude=./.git . | tar --extract --touch --directory "$folder"

# One run: the file, -C with each target that is built for it, and after -- the arguments that select what to run.
mutate() {
    local file=$1 code=0
    shift
    (cd "$folder" && cargo mutants --no-config --in-place --no-times --colors never --timeout 600 \
        --output "$folder/out" --file "$file" "$@") || code=$?
    # 2: some survived, 3: the watchdog ended some. Any other code is an earlier error.
    [[ $code == 0 || $code == 2 || $code == 3 ]] || exit "$code"
    cat "$folder/out/mutants.out/missed.txt" >>"$folder/missed"
}

# A whole file, with the tests that exercise it. Those of the engines and of processes take long and exercise none of it.
of_file() {
    local quick=(-- -- --skip builtin:: --skip engine:: --skip process:: --skip workers:: --skip memory:: --skip settings::)
    case $1 in
        src/publish/*) mutate "$1" -C=--lib -C=--test=publication_models -C=--test=publications ;;
        src/check/*) mutate "$1" -C=--lib -C=--test=check -C=--test=histories "${quick[@]}" ;;
        src/search/*) mutate "$1" -C=--lib -C=--test=suites -C=--test=structures -C=--test=regressions "${quick[@]}" ;;
        src/regression/*) mutate "$1" -C=--lib -C=--test=regressions "${quick[@]}" ;;
        *) echo "ci/mutants.sh looks at no $1: name a file of src/publish, src/check, src/search or src/regression" >&2; exit 1 ;;
    esac
}

touch "$folder/missed"
if [[ ${1-} == part ]]; then
    files=(src/check/bits.rs)
    mutate "${files[0]}" --shard 0/3 --no-default-features --features harness -C=--lib -- check::
else
    files=("$@")
    [[ $# -gt 0 ]] || mapfile -t files < <(find src/publish src/check src/search src/regression -name '*.rs' | sort)
    for file in "${files[@]}"; do of_file "$file"; done
fi

# Survivors and arguments without their positions, which move; one that occurs twice is argued twice.
sed -E 's/^([^:]*):[0-9]+:[0-9]+: /\1: /' "$folder/missed" | sort >"$folder/survived"
for file in "${files[@]}"; do grep "^$file: " ci/mutants.txt || true; done | sed 's/ | .*//' | sort >"$folder/argued"
new=$(comm -23 "$folder/survived" "$folder/argued")
gone=$(comm -13 "$folder/survived" "$folder/argued")
[[ -z $new ]] || printf 'survived, and ci/mutants.txt has no argument for it:\n%s\n' "$new" >&2
[[ -z $gone ]] || printf 'in ci/mutants.txt, and survives no more:\n%s\n' "$gone" >&2
[[ -z $new && -z $gone ]]
printf '%s: %s survived, each argued\n' "${files[*]}" "$(wc -l <"$folder/survived")"
