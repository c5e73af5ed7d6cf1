//! The recent output of the processes of a suite, without repetitions: each replay of a panic
//! prints the same.

/// The number of last lines that are shown.
const LINES: usize = 20;
/// The longest block of lines in which repetitions are looked for: a panic with a short backtrace.
const BLOCK: usize = 60;

/// Returns the last lines of an output.
pub(super) fn printed(output: &str) -> Vec<String> {
    let mut lines = collapsed(&without_our_frames(output));
    lines.split_off(lines.len().saturating_sub(LINES))
}

/// Returns a text in which backtraces show only the calls of the code under test: not those of this
/// crate, of the crates that it uses, and of the standard library. Calls of this crate outside of
/// those of the code under test end a backtrace: all calls further out led here, and of some of
/// them the compiler keeps only a short name.
fn without_our_frames(output: &str) -> String {
    let mut kept = String::with_capacity(output.len());
    let (mut hides, mut shown, mut over) = (false, false, false);
    for line in output.lines() {
        match call(line) {
            Some(call) => {
                over |= shown && is_of_this_crate(call);
                hides = over || is_ours(call);
                shown |= !hides;
            }
            // The file of the previous call.
            None if line.trim_start().starts_with("at ") => {}
            None => (hides, shown, over) = (false, false, false),
        }
        let hint = line.starts_with("note: Some details are omitted");
        if !hides && !hint {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Returns the function that a line of a backtrace names: `  12: ring::Ring::push`.
fn call(line: &str) -> Option<&str> {
    let (number, call) = line.trim_start().split_once(": ")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(call)
}

/// Returns the crate of a call, and the rest of its path.
fn path(call: &str) -> (&str, &str) {
    // The type that a method or the body of a trait belongs to.
    let path = call.trim_start_matches(['<', '&', '*', '(']);
    let path = ["mut ", "dyn ", "const "]
        .iter()
        .fold(path, |path, word| path.trim_start_matches(word));
    path.split_once("::").unwrap_or((path, ""))
}

fn is_of_this_crate(call: &str) -> bool {
    let (crate_name, rest) = path(call);
    // Publications and built-in structures of this crate are code under test.
    crate_name == "forkcheck" && !(rest.starts_with("publish::") || rest.starts_with("builtin::"))
}

fn is_ours(call: &str) -> bool {
    let (crate_name, rest) = path(call);
    match crate_name {
        "forkcheck" => is_of_this_crate(call),
        "std" | "core" | "alloc" | "test" | "loom" | "generator" | "proptest" | "__rustc" => true,
        // `main`, `_start`, and types without a name, such as `fn() -> u8`.
        _ => rest.is_empty() || crate_name.contains([' ', '(']),
    }
}

/// Keeps a block of lines that repeats at once only once, with the number of times.
fn collapsed(output: &str) -> Vec<String> {
    // Empty lines say nothing, and precede only some of the repetitions.
    let lines: Vec<&str> = output.lines().filter(|l| !l.trim().is_empty()).collect();
    // The process that printed it differs each time.
    let said: Vec<String> = lines.iter().map(|line| without_ids(line)).collect();
    let mut kept: Vec<String> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let times = |block: usize| {
            let again = said[at + block..].chunks_exact(block);
            1 + again
                .take_while(|next| **next == said[at..at + block])
                .count()
        };
        let longest = BLOCK.min((lines.len() - at) / 2);
        let best = (1..=longest)
            .map(|block| (block, times(block)))
            .find(|&(_, times)| times > 1);
        let (block, times) = best.unwrap_or((1, 1));
        kept.extend(lines[at..at + block].iter().map(|line| (*line).to_owned()));
        if times > 1
            && let Some(last) = kept.last_mut()
        {
            let lines = if block > 1 {
                format!("these {block} lines ")
            } else {
                String::new()
            };
            *last = format!("{last}  ({lines}{times} times)");
        }
        at += block * times;
    }
    kept
}

/// Returns a line without numbers in round brackets, by which the standard library names the thread
/// that panicked.
fn without_ids(line: &str) -> String {
    let mut parts = line.split('(');
    let mut without = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        without.push('(');
        without.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    without
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_shows_the_calls_of_the_code_under_test_alone() {
        let output = "\
thread 'main' panicked at src/ring.rs:7:13:
no such slot
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/library/std/src/panicking.rs:689:5
   1: core::panicking::panic_fmt
   2: ring::Ring<M>::push
             at ./src/ring.rs:7:13
   3: <ring::Ring<M> as forkcheck::structure::Structure>::apply
             at ./src/ring.rs:30:9
   4: forkcheck::engine::processes::worker::Worker<S>::operation
             at /forkcheck/src/engine/processes/worker.rs:100:5
   5: <fn() -> core::result::Result<(), alloc::string::String> as core::ops::function::FnOnce<()>>::call_once
             at /rustc/library/core/src/ops/function.rs:250:5
   6: <alloc::boxed::Box<dyn core::ops::function::FnOnce<()>> as core::ops::function::FnOnce<()>>::call_once
   7: catch_unwind<core::result::Result<(), u8>, forkcheck::process::Body>
             at /rustc/library/std/src/panic.rs:359:14
   8: main
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
at last: 3";
        assert_eq!(
            without_our_frames(output),
            "\
thread 'main' panicked at src/ring.rs:7:13:
no such slot
stack backtrace:
   2: ring::Ring<M>::push
             at ./src/ring.rs:7:13
   3: <ring::Ring<M> as forkcheck::structure::Structure>::apply
             at ./src/ring.rs:30:9
at last: 3
"
        );
        let ends = without_our_frames(
            "\
   0: forkcheck::memory::Words::load
   1: forkcheck::publish::ring::Ring<T>::push
   2: mine::push
   3: forkcheck::engine::processes::worker::Worker<S>::operation
   4: start<mine::Mine>
then: 1
   0: mine::pop",
        );
        let kept = "   1: forkcheck::publish::ring::Ring<T>::push\n   2: mine::push\nthen: 1\n   0: mine::pop\n";
        assert_eq!(ends, kept);
    }

    #[test]
    fn a_panic_that_was_replayed_is_printed_once_with_the_number_of_times() {
        let panic =
            |id: u32| format!("\nthread 'main' ({id}) panicked at a.rs:1:2:\nno such slot\n");
        let output: String = (70..80).map(panic).collect();
        let lines = printed(&format!("first\n{output}last\n")).join("\n");
        assert!(lines.starts_with("first\n"), "{lines}");
        assert_eq!(lines.matches("panicked").count(), 1, "{lines}");
        assert!(
            lines.contains("no such slot  (these 2 lines 10 times)\nlast"),
            "{lines}"
        );
        assert!(printed(" \n\n").is_empty());
        assert_eq!(collapsed("a\na\nb\na"), ["a  (2 times)", "b", "a"]);
    }
}
