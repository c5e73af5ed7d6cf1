//! Tokens and files of saved cases, of built-in suites and of a suite whose operations take no bytes.

use crate::inputs::{bytes, text, varint};
use crate::{count, each, in_proportion};
use forkcheck::Suite;
use forkcheck::builtin::known;
use forkcheck::case::{Case, Kill, Place, Schedule, Turn, Until};
use forkcheck::engine::{Engine, Stepped};
use forkcheck::prelude::*;
use forkcheck::spec::{Queue, QueueOp};
use std::fs;

/// A spec of a counter that no operation reads; its only operation is `()`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Nothing;
impl Spec for Nothing {
    type Setup = ();
    type Op = ();
    type Ret = ();
    fn start(_: &()) -> Self {
        Nothing
    }
    fn step(&mut self, _: usize, _: &()) {}
}
struct Counter<M: Memory>(M::AtomicU32);
impl<M: Memory> Structure for Counter<M> {
    type Memory = M;
    type Spec = Nothing;
    fn new(_: &()) -> Self {
        Counter(Atomic::new(0))
    }
    fn apply(&self, (): &()) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn suite() -> Suite<Nothing> {
    Suite::new(forkcheck::site!(), "nothing")
        .role("one", 2, 1..=3, Just(()))
        .cases(1)
        .executions(1)
        .regressions(None)
}

fn place() -> Place {
    Place::new(Some(0), "0", 1)
}
fn case<S: Spec>(setup: S::Setup, program: Vec<Vec<S::Op>>) -> Case<S> {
    let turns = vec![
        Turn::new(0, Until::Before(place())),
        Turn::new(1, Until::End),
    ];
    let mut case = Case::free(setup, program);
    case.schedule = Schedule::Turns(turns);
    case.kills = vec![Kill::new(0, 0, place())];
    case
}
fn of_nothing() -> Case<Nothing> {
    case((), vec![vec![(); 3], vec![()]])
}
fn of_queue() -> Case<Queue<u32>> {
    let push = vec![QueueOp::Push(7), QueueOp::Push(u32::MAX)];
    case(3, vec![push, vec![QueueOp::Pop]])
}

/// Returns the bytes as a token with the right checksum.
fn token(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0x811c_9dc5u32, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("fk1:{digits}{sum:08x}")
}

/// The name of the suite in this file.
const OF: &str = "fuzz::tokens::nothing";

/// Returns the bytes of valid tokens.
fn valid() -> Vec<Vec<u8>> {
    vec![
        postcard::to_stdvec(&(OF, "stepped", of_nothing())).unwrap(),
        postcard::to_stdvec(&("forkcheck::builtin::ring", "stepped", of_queue())).unwrap(),
    ]
}

#[test]
fn any_token_is_refused_in_words_or_names_its_suite() {
    each(bytes(valid()), count(), |bytes| {
        let token = token(bytes);
        let known = in_proportion(token.len(), || known(&token, &[]));
        match known {
            Ok(known) => assert_eq!(known.len(), 1),
            Err(why) => assert!(why.to_string().contains("paste the whole token"), "{why}"),
        }
    });
    each(text(&[&token(&valid()[0])]), count(), |text| {
        let _ = in_proportion(text.len(), || known(&format!("fk1:{text}"), &[]));
        let _ = in_proportion(text.len(), || known(&format!("fk{text}:"), &[]));
    });
}

#[test]
fn any_case_in_a_token_is_read_or_refused() {
    let cases = vec![
        postcard::to_stdvec(&of_nothing()).unwrap(),
        postcard::to_stdvec(&of_queue()).unwrap(),
    ];
    each(bytes(cases), count(), |bytes| {
        let _ = in_proportion(bytes.len(), || postcard::from_bytes::<Case<Nothing>>(bytes));
        let _ = in_proportion(bytes.len(), || {
            postcard::from_bytes::<Case<Queue<u32>>>(bytes)
        });
    });
}

#[test]
fn operations_that_take_no_bytes_are_counted() {
    // A process with 2^64 - 1 operations.
    let bytes = [[1].to_vec(), varint(u64::MAX)].concat();
    let read = postcard::from_bytes::<Case<Nothing>>(&bytes);
    assert!(read.is_err(), "{read:?}");
    let text = format!("(setup: (), program: [[{}]])", "(),".repeat(65_536));
    let why = ron::from_str::<Case<Nothing>>(&text)
        .unwrap_err()
        .to_string();
    assert!(why.contains("at most 65535 operations"), "{why}");
}

#[test]
fn a_token_that_names_a_process_that_it_has_not_is_refused() {
    let mut case = of_nothing();
    case.kills[0].process = 32;
    let of = (OF, "stepped", case);
    let suite = suite().replay(&token(&postcard::to_stdvec(&of).unwrap()));
    let why = suite.check::<Stepped, Counter<<Stepped as Engine>::Memory>>();
    let why = why.unwrap_err().to_string();
    assert!(why.contains("`process: 32` in its kills"), "{why}");
}

/// Replays tokens as a test does: each is refused or run. Each input takes a whole check, so there
/// are fewer.
#[test]
fn a_suite_replays_or_refuses_any_token() {
    let replay = |bytes: &Vec<u8>| {
        let suite = suite().replay(&token(bytes));
        suite.check::<Stepped, Counter<<Stepped as Engine>::Memory>>()
    };
    let outcome = replay(&valid()[0]).unwrap();
    assert!(outcome.covered.executions > 0, "{:?}", outcome.verdict);
    each(bytes(valid()[..1].to_vec()), count() / 20, move |bytes| {
        let _ = replay(bytes);
    });
}

/// Returns a file with two saved cases.
fn file_of_cases() -> String {
    let entry = |case: String| format!("(found: \"x\", engine: \"stepped\", case: {case})");
    let cases = [
        entry(ron::to_string(&of_nothing()).unwrap()),
        entry("(setup: (), program: [[()], [()]])".into()),
    ];
    format!("// Saved\n(forkcheck: 1, cases: [{}])\n", cases.join(", "))
}

#[test]
fn any_file_of_saved_cases_is_read_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fuzz-tokens-nothing.ron");
    let valid = file_of_cases();
    fs::write(&file, &valid).unwrap();
    assert_eq!(known(file.to_str().unwrap(), &[]).unwrap().len(), 2);
    let file = (directory, file);
    each(text(&[&valid]), count(), move |text| {
        let (_kept, path) = &file;
        fs::write(path, text).unwrap();
        let known = in_proportion(text.len(), || known(path.to_str().unwrap(), &[]));
        if let Err(why) = known {
            let why = why.to_string();
            assert!(why.contains("nothing in it was changed"), "{why}");
        }
        let _ = in_proportion(text.len(), || ron::from_str::<Case<Nothing>>(text));
    });
}

#[test]
fn a_suite_runs_or_refuses_any_saved_cases() {
    let directory = tempfile::tempdir().unwrap();
    let check = move |text: &String| {
        let path = directory.path().join("fuzz-tokens-nothing.ron");
        fs::write(&path, text).unwrap();
        let suite = suite().regressions(Some(directory.path()));
        suite.check::<Stepped, Counter<<Stepped as Engine>::Memory>>()
    };
    let outcome = check(&file_of_cases()).unwrap();
    assert!(outcome.covered.executions > 1, "{:?}", outcome.verdict);
    each(text(&[&file_of_cases()]), count() / 20, move |text| {
        let _ = check(text);
    });
}
