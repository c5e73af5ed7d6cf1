//! The history of a saved case with named steps: found and saved, green when the bug is fixed
//! although the steps are others, refreshed, and red again, from the saved case first, when the fix
//! is lost.

use super::*;
use forkcheck::spec::{Once, OnceOp, OnceRet, Register, RegisterOp, RegisterRet};
use forkcheck::suite::Origin;
use std::path::Path;

/// Two words that belong together. Fixed, they are written in a lock; refactored, the second comes
/// first.
struct Pair<M: Memory, const HOW: u8> {
    lock: M::AtomicU32,
    first: M::AtomicU64,
    second: M::AtomicU64,
}

const BROKEN: u8 = 0;
const MENDED: u8 = 1;

impl<M: Memory, const HOW: u8> Pair<M, HOW> {
    fn locked<R>(&self, body: impl FnOnce() -> R) -> R {
        if HOW == BROKEN {
            return body();
        }
        while self.lock.swap(1, Ordering::Acquire) == 1 {
            M::spin_loop();
        }
        let result = body();
        self.lock.store(0, Ordering::Release);
        result
    }
}

impl<M: Memory, const HOW: u8> Structure for Pair<M, HOW> {
    type Memory = M;
    type Spec = Register<[u64; 2]>;
    fn new(_: &[u64; 2]) -> Self {
        Self {
            lock: Atomic::new(0),
            first: Atomic::new(0),
            second: Atomic::new(0),
        }
    }
    fn apply(&self, op: &RegisterOp<[u64; 2]>) -> RegisterRet<[u64; 2]> {
        match op {
            // In the fixed form, the words are written in the other order: no step of the saved
            // case is where it was.
            RegisterOp::Write([first, second]) => self.locked(|| {
                if HOW == MENDED {
                    let both = [(&self.second, *second), (&self.first, *first)];
                    for (word, value) in both {
                        word.store(value, Ordering::Relaxed);
                    }
                } else {
                    self.first.store(*first, Ordering::Relaxed);
                    self.second.store(*second, Ordering::Relaxed);
                }
                RegisterRet::Written
            }),
            RegisterOp::Read => self.locked(|| {
                let first = self.first.load(Ordering::Relaxed);
                RegisterRet::Value([first, self.second.load(Ordering::Relaxed)])
            }),
        }
    }
}

fn pair(directory: &Path) -> Suite<Register<[u64; 2]>> {
    super::suite("pair")
        .setup(Just([0; 2]))
        .role(
            "writer",
            1,
            1..=2,
            (1u64..9).prop_map(|n| RegisterOp::Write([n, n])),
        )
        .role("reader", 1, 1..=2, Just(RegisterOp::Read))
        .regressions(Some(directory))
}

#[test]
fn save_fix_refactor_refresh_revert() {
    let directory = tempfile::tempdir().unwrap();
    let run = |broken: bool| {
        let suite = pair(directory.path());
        if broken {
            check::<Stepped, Pair<_, BROKEN>>(&suite)
        } else {
            check::<Stepped, Pair<_, MENDED>>(&suite)
        }
    };
    let saved = || std::fs::read_to_string(directory.path().join("zoo-pair.ron")).unwrap();
    let red = run(true);
    let found = red.found.unwrap();
    assert!(matches!(found.origin, Origin::Drawn { .. }));
    let text = saved();
    for part in [
        "Turns([",
        "process:",
        "Before((",
        "operation: Some(0)",
        "word: \"second\"",
        "nth: 1",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    // The second run takes it from the file, with exactly the same steps.
    let again = run(true).found.unwrap();
    assert_eq!((again.origin, &again.run), (Origin::Saved, &found.run));
    // Fixed and rewritten: green, and the output says how much of the case still applies.
    let green = run(false);
    assert_eq!((&green.verdict, green.saved_cases), (&Verdict::Ok, 1));
    assert!(
        green.stale[0].starts_with("0 of 1 steps matched"),
        "{:?}",
        green.stale
    );
    assert!(
        pair(directory.path())
            .report(&green)
            .contains("stale:       0 of 1 steps matched")
    );
    assert_eq!(saved(), text, "nothing is forgotten unasked");
    // The fix is lost: red from the saved case, before anything is drawn.
    let red = run(true);
    assert_eq!(red.found.unwrap().origin, Origin::Saved);
    assert_eq!(red.covered.programs, 1);
    // On request the stale steps are removed; the program is kept, and is still red.
    let this = std::env::current_exe().unwrap();
    let mut refresh = std::process::Command::new(this);
    refresh.args(["--exact", "cycle::what_is_mended_passes_on_what_was_saved"]);
    refresh
        .env("FORKCHECK_REFRESH", "1")
        .env(DIRECTORY, directory.path());
    assert!(refresh.status().unwrap().success());
    assert!(
        saved().contains("schedule: Free") && saved().contains("Write(("),
        "{}",
        saved()
    );
    let green = run(false);
    assert_eq!(
        (green.verdict, green.saved_cases, green.stale),
        (Verdict::Ok, 1, Vec::new())
    );
    assert_eq!(run(true).found.unwrap().origin, Origin::Saved);
}

/// A value behind a flag that says that a writer is at work. Broken: a writer that is killed at
/// work leaves readers waiting. Fixed: the flag has no effect; a writer prepares a copy first, and
/// a reader takes the current one.
struct Flagged<M: Memory, const HOW: u8> {
    busy: M::AtomicU32,
    copy: M::AtomicU64,
    value: M::AtomicU64,
}

impl<M: Memory, const HOW: u8> Structure for Flagged<M, HOW> {
    type Memory = M;
    type Spec = Register<u64>;
    fn new(&first: &u64) -> Self {
        Self {
            busy: Atomic::new(0),
            copy: Atomic::new(first),
            value: Atomic::new(first),
        }
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                if HOW == MENDED {
                    self.copy.store(*value, Ordering::Relaxed);
                }
                self.busy.store(1, Ordering::Relaxed);
                self.value.store(*value, Ordering::Release);
                self.busy.store(0, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => {
                while HOW == BROKEN && self.busy.load(Ordering::Acquire) == 1 {
                    M::spin_loop();
                }
                RegisterRet::Value(self.value.load(Ordering::Acquire))
            }
        }
    }
}

#[test]
fn a_saved_kill_is_found_again_and_says_how_much_of_it_applies() {
    let directory = tempfile::tempdir().unwrap();
    let suite = || {
        super::suite("flagged")
            .setup(Just(0))
            .role("writer", 1, 1..=1, (1u64..9).prop_map(RegisterOp::Write))
            .role("reader", 1, 1..=2, Just(RegisterOp::Read))
            .regressions(Some(directory.path()))
    };
    let file = directory.path().join("zoo-flagged.ron");
    let red = check::<Kills, Flagged<_, BROKEN>>(&suite());
    let Verdict::Finding(finding) = &red.verdict else {
        panic!("{}", suite().report(&red))
    };
    assert_eq!(finding.kind, Kind::NotCrashTolerant);
    let saved = std::fs::read_to_string(&file).unwrap();
    assert!(
        saved.contains(r#"before: (operation: Some(0), word: "busy", nth: 2)"#),
        "{saved}"
    );
    // Edited by hand: the reader has read once before, so a step of its own is named as well.
    let edited = saved
        .replace("Read,", "Read, Read,")
        .replace("Turns([])", r#"Turns([(process: 1, until: Before((operation: Some(1), word: "flagged.busy", nth: 1))), (process: 0, until: End)])"#);
    std::fs::write(&file, &edited).unwrap();
    let red = check::<Kills, Flagged<_, BROKEN>>(&suite());
    let found = red.found.as_ref().unwrap();
    assert_eq!((found.origin, red.covered.programs), (Origin::Saved, 1));
    // Fixed: the reader does not look at the flag any more, and the writer has one more step, but
    // is killed where it was.
    let green = check::<Kills, Flagged<_, MENDED>>(&suite());
    assert_eq!(green.verdict, Verdict::Ok, "{}", suite().report(&green));
    assert!(
        green
            .stale
            .iter()
            .any(|stale| stale.starts_with("1 of 2 steps matched")),
        "{:?}",
        green.stale
    );
    // The fix is lost: red again, from the saved case first.
    let red = check::<Kills, Flagged<_, BROKEN>>(&suite());
    let found = red.found.as_ref().unwrap();
    assert_eq!((found.origin, red.covered.programs), (Origin::Saved, 1));
    assert!(suite().report(&red).contains("replayed 10 of 10 times"));
}

#[test]
fn a_token_whose_steps_no_process_takes_is_unknown_and_never_passes() {
    let directory = tempfile::tempdir().unwrap();
    let suite = pair(directory.path());
    let token = check::<Stepped, Pair<_, BROKEN>>(&suite)
        .found
        .unwrap()
        .token;
    let suite = suite.regressions(None).replay(&token);
    let again = check::<Stepped, Pair<_, BROKEN>>(&suite);
    assert_eq!(again.found.unwrap().origin, Origin::Replayed);
    assert_eq!(again.stale, Vec::<String>::new());
    let other = check::<Stepped, Pair<_, MENDED>>(&suite);
    let report = suite.report(&other);
    assert!(
        matches!(&other.verdict, Verdict::Unknown(why)
            if why.starts_with("only 0 of 1 steps of this token matched: this is no replay;")),
        "{report}"
    );
    assert!(
        report.contains("stale:       only 0 of 1 steps"),
        "{report}"
    );
}

/// A flag that is set before the data is written, by two forms of the same code.
struct Page<M: Memory, const WORDS: u8> {
    done: M::AtomicU32,
    data: [M::AtomicU64; 2],
}

const SHORT: u8 = 0;
const LONG: u8 = 1;
const REFERENCES: u8 = 2;

impl<M: Memory, const WORDS: u8> Page<M, WORDS> {
    fn set_short(p: &Self, value: u64) {
        p.done.store(1, Ordering::Release);
        p.data[1].store(value, Ordering::Relaxed);
    }
    fn set_long(page: &Self, value: u64) {
        page.done.store(1, Ordering::Release);
        page.data[1].store(value, Ordering::Relaxed);
    }
    fn set_by_references(&self, value: u64) {
        let done = &self.done;
        done.store(1, Ordering::Release);
        let last = &self.data[1];
        last.store(value, Ordering::Relaxed);
    }
}

impl<M: Memory, const WORDS: u8> Structure for Page<M, WORDS> {
    type Memory = M;
    type Spec = Once<u64>;
    fn new(_: &()) -> Self {
        Self {
            done: Atomic::new(0),
            data: [Atomic::new(0), Atomic::new(0)],
        }
    }
    fn apply(&self, op: &OnceOp<u64>) -> OnceRet<u64> {
        match op {
            OnceOp::Set(value) => {
                match WORDS {
                    SHORT => Self::set_short(self, *value),
                    LONG => Self::set_long(self, *value),
                    _ => self.set_by_references(*value),
                }
                OnceRet::Set(true)
            }
            OnceOp::Get => {
                let there = self.done.load(Ordering::Acquire) == 1;
                OnceRet::Got(there.then(|| self.data[1].load(Ordering::Relaxed)))
            }
        }
    }
}

fn page(directory: &Path) -> Suite<Once<u64>> {
    super::suite("page")
        .role("writer", 1, 1..=1, (1u64..9).prop_map(OnceOp::Set))
        .role("reader", 1, 1..=1, Just(OnceOp::Get))
        .regressions(Some(directory))
}

#[test]
fn a_variable_of_another_name_and_a_reference_leave_all_steps_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let suite = page(directory.path());
    let first = check::<Stepped, Page<_, SHORT>>(&suite).found.unwrap();
    let file = directory.path().join("zoo-page.ron");
    let saved = std::fs::read_to_string(&file).unwrap();
    assert!(saved.contains(r#"word: "data", nth: 1"#), "{saved}");
    let token = suite.clone().regressions(None).replay(&first.token);
    let others = [
        check::<Stepped, Page<_, LONG>> as fn(&Suite<Once<u64>>) -> Outcome<Once<u64>>,
        check::<Stepped, Page<_, REFERENCES>>,
    ];
    // The form of an earlier version.
    let earlier = saved.replace(r#""data""#, r#""p.data""#);
    for other in others {
        for (suite, text, origin) in [
            (&suite, &saved, Origin::Saved),
            (&suite, &earlier, Origin::Saved),
            (&token, &saved, Origin::Replayed),
        ] {
            std::fs::write(&file, text).unwrap();
            let outcome = other(suite);
            let report = suite.report(&outcome);
            let found = outcome.found.expect("it is as broken as before");
            assert_eq!(found.origin, origin, "{report}");
            assert_eq!(outcome.stale, [""; 0], "{report}");
            assert_eq!(
                (outcome.covered.matched, outcome.covered.programs),
                (outcome.covered.requested, 1)
            );
            assert!(outcome.covered.requested > 0, "{report}");
            assert_eq!(found.run.case, first.run.case, "{report}");
            // The report has the form of the source.
            assert!(report.contains("  data[1].store "), "{report}");
        }
    }
}

/// The directory for cases of another process.
const DIRECTORY: &str = "FORKCHECK_TESTS_DIRECTORY";

#[test]
fn what_is_mended_passes_on_what_was_saved() {
    let own = tempfile::tempdir().unwrap();
    let named = std::env::var_os(DIRECTORY);
    let directory = named.as_ref().map_or(own.path(), Path::new);
    let green = check::<Stepped, Pair<_, MENDED>>(&pair(directory));
    assert_eq!(
        (green.verdict, green.saved_cases),
        (Verdict::Ok, usize::from(named.is_some()))
    );
}
