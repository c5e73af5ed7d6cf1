//! The house rules as tests: the layers, the files with `unsafe`, and the rules of every file and
//! script.
//!
//! A rule is a function from the repository's text to complaints. Each is called on the repository
//! as it is, and once for each planted offence, which it has to name: a rule that cannot fail is no
//! rule. A rule that has to change is changed here, with the reason.

mod circles;
mod code;
mod guide;
mod house;
mod imports;
mod layers;
mod source;
mod vocabulary;

use source::{Repository, Token};

/// The modules of `src/` that each module may import; all may import `error`. A comment gives the
/// reason of a row that goes beyond the chain of CONTRIBUTING.md. A row names only rows below it,
/// so there is no cycle.
const LAYERS: &[(&str, &str)] = &[
    ("main", "command"),
    // It is `cargo forkcheck`, which cargo also runs as its compiler wrapper, and the functions
    // that it compiles for programs without this crate.
    ("wrapper", ""),
    // The table of built-in structures shows what an engine covered. A history from a file is
    // judged by a ready spec, without an engine. The command prints reports.
    (
        "command",
        "builtin recorded report engine check case structure spec",
    ),
    // `site!` of `report` gives the location of a suite. The built-in structures run on every
    // engine and are reported without their types. The suite of a saved case is looked up here.
    (
        "builtin",
        "suite report search engine regression check case structure spec publish memory",
    ),
    // A suite refuses to excuse a label that no mark of the program has.
    (
        "suite",
        "report search engine settings regression check case structure spec reached memory",
    ),
    // A history that was recorded elsewhere is judged and reported without a suite.
    ("recorded", "report check case structure spec"),
    // A report shows the outcome of a search, which has what an engine covered. Words have the
    // names of their source lines, in reports and in saved cases.
    (
        "report",
        "search engine check case source structure spec reached",
    ),
    (
        "search",
        "engine regression settings check case source structure spec memory",
    ),
    // An engine owns regions and processes: that of loom runs a whole search in a child.
    (
        "engine",
        "workers heap schedule check case source structure spec reached region process memory",
    ),
    // A saved case names the verdict for which it was saved.
    ("regression", "check case structure spec"),
    // The limits of the suite and of the environment are plain numbers, without dependencies.
    ("settings", ""),
    // The room that engines share knows no engine, no case and no strategy but the most processes. Code under test allocates in
    // the heap.
    ("workers", "heap schedule region process memory"),
    // An allocator, whose memory is a region.
    ("heap", "region"),
    ("schedule", ""),
    ("check", "case structure spec"),
    // The name of a step comes from its source line.
    ("case", "source structure spec"),
    ("source", ""),
    ("structure", "spec memory"),
    // A spec is a state machine, and no more.
    ("spec", ""),
    ("publish", "memory"),
    // Macros that structures call, with the harness or without.
    ("marks", "reached"),
    // Flags lie in a region that forked processes share.
    ("reached", "region"),
    // Its own tests have a word that two processes share.
    ("process", "region memory"),
    // A region's typed views are of residents, whose contract is in `memory`.
    ("region", "memory"),
    ("memory", ""),
    ("error", ""),
];

/// Modules that only compute, and the names that they therefore never use.
const PURE: &[&str] = &["check", "schedule"];
const IMPURE: &str =
    "std::process std::time std::fs std::net std::env std::io std::os std::thread nix libc";

/// The files with `unsafe` in them, each with the reason.
const UNSAFE: &[(&str, &str)] = &[
    (
        "src/memory/hardware.rs",
        "payloads in place are viewed as atomic words; futex has no safe wrapper",
    ),
    ("src/memory/pidfd.rs", "pidfd_open and pidfd_send_signal"),
    (
        "src/memory/resident.rs",
        "Resident is the contract of a region's typed view",
    ),
    (
        "src/marks.rs",
        "each mark is a static in a section of the program",
    ),
    (
        "src/reached.rs",
        "marks lie in a section of the program, and flags behind a pointer to a page",
    ),
    ("src/report/screen.rs", "the size of a terminal"),
    ("src/publish/event_count.rs", "unsafe impl Resident"),
    ("src/publish/latest.rs", "unsafe impl Resident"),
    ("src/publish/one_shot.rs", "unsafe impl Resident"),
    ("src/publish/ring.rs", "unsafe impl Resident"),
    ("src/publish/seq_lock.rs", "unsafe impl Resident"),
    (
        "src/suite/debugger.rs",
        "gdb gets the terminal between fork and exec",
    ),
    ("src/region/mod.rs", "typed views of mapped bytes"),
    ("src/region/view.rs", "typed views of mapped bytes"),
    ("src/region/pages.rs", "addresses inside a mapping"),
    ("src/region/mapping.rs", "mmap, mremap and munmap"),
    ("src/region/header.rs", "unsafe impl Resident"),
    (
        "src/region/layout.rs",
        "layout! makes a Resident of residents",
    ),
    ("src/region/memfd.rs", "descriptors that the kernel made"),
    ("src/region/sysv.rs", "shmget, shmat and shmctl"),
    ("src/process/fork.rs", "fork and _exit"),
    (
        "src/process/backtraces.rs",
        "the environment of a process with one thread is changed",
    ),
    ("src/process/child.rs", "waitid"),
    (
        "src/process/fresh.rs",
        "a zero-sized closure is made from nothing",
    ),
    (
        "src/process/guardian.rs",
        "fork, and waitpid for the signals that nix does not know",
    ),
    (
        "src/process/job.rs",
        "a job is found by its place in the image",
    ),
    (
        "src/process/takeover.rs",
        "a constructor, inherited descriptors and the environment",
    ),
    (
        "src/engine/stepped/board.rs",
        "the plan is lent to the process that has the turn",
    ),
    (
        "src/engine/stepped/coroutine.rs",
        "the yielder of the coroutine that runs",
    ),
    (
        "src/engine/stepped/execution.rs",
        "the structure is built in place in a shared region",
    ),
    (
        "src/engine/stepped/host/mod.rs",
        "coroutines that are reset and the way back out of them",
    ),
    (
        "src/engine/stepped/host/statics.rs",
        "the program's own writable segments are read as bytes",
    ),
    (
        "src/engine/stepped/pieces.rs",
        "the loader's list of the program's writable segments",
    ),
    (
        "src/heap.rs",
        "an allocator, whose bytes lie in a region that lives as long as the program",
    ),
    (
        "src/engine/stepped/instrumented/accesses.rs",
        "bytes of the arena are read and copied",
    ),
    (
        "src/engine/stepped/instrumented/arena.rs",
        "bytes of the arena are set to zero",
    ),
    (
        "src/engine/stepped/instrumented/atomics.rs",
        "functions of fixed names that instrumented code calls",
    ),
    (
        "src/engine/stepped/instrumented/blocks.rs",
        "threads of the C library, and the register of thread-locals",
    ),
    (
        "src/engine/stepped/instrumented/callers.rs",
        "a symbol of the linker, and the unwinder of the compiler's library",
    ),
    (
        "src/engine/stepped/instrumented/globals.rs",
        "the program's own writable segments are compared and copied as bytes",
    ),
    (
        "src/engine/stepped/instrumented/heap.rs",
        "functions of fixed names, and those of the C library behind them",
    ),
    (
        "src/engine/stepped/instrumented/hooks.rs",
        "functions of fixed names that instrumented code calls",
    ),
    (
        "src/engine/stepped/instrumented/keys.rs",
        "pthread_key_delete",
    ),
    (
        "src/engine/stepped/instrumented/leaves.rs",
        "functions of fixed names, and those of the C library behind them",
    ),
    (
        "src/engine/stepped/instrumented/runs.rs",
        "a function that the loader calls before the program begins",
    ),
    (
        "src/engine/stepped/instrumented/runtime.rs",
        "the state is lent to the process that has the turn",
    ),
    (
        "src/engine/stepped/instrumented/shadow.rs",
        "unsafe impl Table",
    ),
    (
        "src/engine/stepped/instrumented/touched.rs",
        "unsafe impl Table",
    ),
    (
        "src/engine/stepped/instrumented/uninstrumented.rs",
        "bytes of the arena are read",
    ),
    (
        "src/engine/stepped/instrumented/waits.rs",
        "functions of fixed names, and system calls as they are",
    ),
    (
        "src/engine/stepped/instrumented/zeroed.rs",
        "a table of zeros is placed in a region",
    ),
    (
        "src/wrapper/alone.rs",
        "functions of fixed names that instrumented code calls",
    ),
    (
        "examples/unmodified/tests/published.rs",
        "each half of a queue is lent to the one process that has its role",
    ),
    (
        "examples/unmodified/tests/scopes.rs",
        "a value is freed twice, to be found",
    ),
    (
        "examples/unmodified/tests/waits.rs",
        "a stack of raw pointers, as C++ has it",
    ),
    (
        "examples/cpp-stack/src/lib.rs",
        "functions of a C++ library",
    ),
    (
        "examples/crash_tolerance/src/adapters.rs",
        "each end of a queue is lent to the one process that has its role",
    ),
    (
        "examples/crash_tolerance/src/queues.rs",
        "a handle of a process that was killed is taken over",
    ),
    (
        "examples/crash_tolerance/src/locks.rs",
        "glibc's robust mutex is functions of a C library",
    ),
    ("examples/crash_tolerance/src/measures.rs", "getrusage"),
    ("src/engine/processes/control.rs", "unsafe impl Resident"),
    ("src/workers/log.rs", "unsafe impl Resident"),
    (
        "src/workers/original.rs",
        "a page that the kernel wipes in a child",
    ),
    (
        "src/engine/private/placed.rs",
        "the structure is built in place in a shared region",
    ),
    (
        "src/engine/processes/breakpoint.rs",
        "a byte of code is written; prctl",
    ),
    (
        "src/engine/processes/code.rs",
        "the bytes of instructions are read",
    ),
    ("src/engine/processes/disposition.rs", "sigaction"),
    (
        "src/engine/processes/learnt.rs",
        "one `unsafe impl Resident`",
    ),
    (
        "src/engine/processes/trap.rs",
        "the trap flag, and a handler of its signal",
    ),
    (
        "src/engine/processes/trap/tests.rs",
        "a breakpoint, and handlers of a signal",
    ),
    (
        "src/engine/processes/worker.rs",
        "the structure is built in place in a shared region",
    ),
    (
        "benches/measured/engines.rs",
        "fork, _exit and wait, bare: the floor",
    ),
    (
        "benches/measured/backings.rs",
        "the bare system calls, as a C program makes them",
    ),
    (
        "benches/same_code.rs",
        "names that can be found in the assembly",
    ),
    ("examples/c-ring/src/lib.rs", "functions of a C library"),
    (
        "tests/isolated.rs",
        "a jump into memory that must not be executable",
    ),
    ("tests/process/values.rs", "a signal that nix does not know"),
    ("tests/coroutines.rs", "a stored address is followed"),
    ("tests/fuzz/counted.rs", "an allocator that counts"),
    ("tests/sandbox/mod.rs", "seccomp, which nix has no call for"),
    (
        "tests/threads.rs",
        "the three mistakes that the sanitizers have to find",
    ),
    ("src/main.rs", "SIGPIPE as other commands have it"),
    ("tests/region/main.rs", "a private mapping to compare with"),
    (
        "tests/hostile/raw.rs",
        "fork, handlers, mappings and the environment, as misdeeds",
    ),
    (
        "tests/region/hostile.rs",
        "the header of a region lies in front of what it hands out",
    ),
    (
        "tests/structures/signals.rs",
        "a handler of a signal, and a timer",
    ),
    (
        "tests/region/neighbours.rs",
        "dup2 over descriptors that regions own",
    ),
    (
        "tests/region/segments.rs",
        "System V segments of other programs, which nix has no calls for",
    ),
    (
        "tests/region/scratch.rs",
        "a byte of memory that may not be there",
    ),
    (
        "tests/guide/spsc.rs",
        "each half of a split queue is used by one process",
    ),
    (
        "tests/zoo/index_not_wrapped.rs",
        "each half of a split queue is used by one process",
    ),
    (
        "src/engine/loom/memory.rs",
        "loom's cell is Sync, as far as one thread of the system goes",
    ),
];

/// The names that the top level of the repository may have. Everything else has a folder, or is
/// ignored by git.
const TOP_LEVEL: &str = "Cargo.toml Cargo.lock src tests examples benches docs fuzz proptest-regressions ci \
    README.md CHANGELOG.md CONTRIBUTING.md LICENSE-MIT LICENSE-APACHE .ci .config .git .github .gitignore";

/// The README's commands, and the script that runs each.
const COMMANDS: &[(&str, &str)] = &[
    ("cargo run --release", "ci/run-release.sh"),
    ("cargo test", "ci/test.sh"),
];

/// The most lines of a file of `src/`.
const LONGEST_FILE: usize = 500;

/// Asserts that the repository keeps `rule`, and that `rule` objects to each planted file `(path, text)`.
#[track_caller]
fn holds(rule: impl Fn(&Repository) -> Vec<String>, planted: &[(&str, &str)]) {
    let repository = Repository::read();
    let complaints = rule(&repository);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    assert!(
        !planted.is_empty(),
        "plant an offence, or this rule may not be able to fail"
    );
    for (path, text) in planted {
        let complaints = rule(&repository.with(path, text));
        assert!(
            complaints.iter().any(|c| c.contains(path)),
            "no word about the planted {path}:\n{text}\n{complaints:?}"
        );
    }
}

/// Returns whether these tokens follow one another somewhere.
fn has(tokens: &[Token], sequence: &[&str]) -> bool {
    tokens.windows(sequence.len()).any(|window| {
        window
            .iter()
            .zip(sequence)
            .all(|(token, text)| token.text == *text)
    })
}
