//! `stepped` and `kills` search with coroutines of one process, and confirm with separate
//! processes. An effect that coroutines share and processes do not is noticed, and the search then
//! uses processes: right code stays right, and a fault stays one.
#![allow(unsafe_code, reason = "a stored address is followed")]

use forkcheck::Outcome;
use forkcheck::check::{Kind, Verdict};
use forkcheck::engine::{Engine, Kills, Stepped, SteppedMemory};
use forkcheck::memory::MemoryCell;
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use std::cell::Cell;
use std::hint::black_box;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};

/// A habit of an operation, besides reading or writing the register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    None,
    /// It counts in a static, in a static as it is built, in a thread-local.
    Static,
    StaticInNew,
    ThreadLocal,
    /// Where two meet, it takes and releases a lock in a static: others of its process wait for it,
    /// and those of other processes do not.
    StaticLock,
    /// It sets up a static in its first call, and never changes it again.
    SetUpOnce,
    /// It holds a lock of its process over a step.
    PrivateLock,
    /// It keeps a counter in its handle, on the heap.
    OwnHeap,
    /// It excludes others, and knows its own claim by its pid.
    OwnerByPid,
    /// It does so, but ignores another process's claim.
    WrongOwnerByPid,
    /// It writes nothing if a process with another pid came before it.
    ForgetsOthers,
    /// It leaves its pid behind, and no process reads that.
    TellsPid,
    /// It panics across a step, and catches that.
    Caught,
    /// It panics, aborts, overflows its stack, ends its process, raises a signal.
    Panics,
    Aborts,
    Overflows,
    Exits,
    Signals,
    /// It owns eight megabytes when it is killed, and panics where its process owns a hundred times that.
    OwnsMuch,
    /// It follows an address that another process has stored, where the two meet.
    Address,
    /// It does so, with an address that is stored without a step.
    AddressInCell,
}

static COUNTER: AtomicU64 = AtomicU64::new(0);
static SET_UP: OnceLock<u64> = OnceLock::new();
static LOCK: Mutex<()> = Mutex::new(());
static TAKEN: AtomicBool = AtomicBool::new(false);
thread_local! {
    static OWN: Cell<u64> = const { Cell::new(0) };
}

type Word = <SteppedMemory as Memory>::AtomicU64;

/// A register that does something odd at each operation.
struct Odd<const HABIT: usize> {
    value: Word,
    owner: Word,
    address: Word,
    cell: <SteppedMemory as Memory>::Cell<u64>,
}

const HABITS: [Habit; 21] = [
    Habit::None,
    Habit::Static,
    Habit::StaticInNew,
    Habit::ThreadLocal,
    Habit::StaticLock,
    Habit::SetUpOnce,
    Habit::PrivateLock,
    Habit::OwnHeap,
    Habit::OwnerByPid,
    Habit::WrongOwnerByPid,
    Habit::ForgetsOthers,
    Habit::TellsPid,
    Habit::Caught,
    Habit::Panics,
    Habit::Aborts,
    Habit::Overflows,
    Habit::Exits,
    Habit::Signals,
    Habit::OwnsMuch,
    Habit::Address,
    Habit::AddressInCell,
];

const fn number(habit: Habit) -> usize {
    let mut at = 0;
    while HABITS[at] as usize != habit as usize {
        at += 1;
    }
    at
}

struct Handle<'a, const HABIT: usize> {
    odd: &'a Odd<HABIT>,
    counts: Box<u64>,
    owned: Vec<u8>,
}

impl<const HABIT: usize> WithHandles for Odd<HABIT> {
    type Memory = SteppedMemory;
    type Spec = Register<u64>;
    type Handle<'a> = Handle<'a, HABIT>;
    fn new(&first: &u64) -> Self {
        if HABITS[HABIT] == Habit::StaticInNew {
            COUNTER.fetch_add(1, Relaxed);
        }
        Odd {
            value: Atomic::new(first),
            owner: Atomic::new(0),
            address: Atomic::new(0),
            cell: MemoryCell::new(0),
        }
    }
    fn attach<'a>(&'a self, _: Role<'_>) -> Handle<'a, HABIT> {
        let much = if HABITS[HABIT] == Habit::OwnsMuch {
            8 << 20
        } else {
            0
        };
        Handle {
            odd: self,
            counts: Box::new(0),
            owned: vec![1; much],
        }
    }
    fn apply(handle: &mut Handle<'_, HABIT>, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        let odd = handle.odd;
        match HABITS[HABIT] {
            Habit::None | Habit::SetUpOnce => {
                if HABITS[HABIT] == Habit::SetUpOnce {
                    black_box(SET_UP.get_or_init(|| 7));
                }
                odd.apply(op)
            }
            Habit::Static => {
                COUNTER.fetch_add(1, Relaxed);
                odd.apply(op)
            }
            Habit::ThreadLocal => {
                OWN.set(OWN.get() + 1);
                odd.apply(op)
            }
            Habit::StaticLock if odd.meets() => {
                while TAKEN.swap(true, Relaxed) {
                    SteppedMemory::spin_loop();
                }
                if odd.address.swap(1, Ordering::AcqRel) == 1 {
                    std::process::abort();
                }
                let ret = odd.apply(op);
                odd.address.store(0, Ordering::Release);
                TAKEN.store(false, Relaxed);
                ret
            }
            Habit::PrivateLock => {
                let held = LOCK.lock().unwrap();
                let ret = odd.apply(op);
                drop(held);
                ret
            }
            Habit::OwnHeap => {
                *handle.counts += 1;
                odd.apply(op)
            }
            Habit::OwnerByPid | Habit::WrongOwnerByPid => {
                let mine = u64::from(std::process::id());
                loop {
                    match odd
                        .owner
                        .compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire)
                    {
                        Ok(_) => break,
                        // Only where two of a kind meet: a process has its pid alone.
                        Err(other) if other == mine => std::process::abort(),
                        Err(_) if HABITS[HABIT] == Habit::WrongOwnerByPid => std::process::abort(),
                        Err(_) => SteppedMemory::spin_loop(),
                    }
                }
                let ret = odd.apply(op);
                odd.owner.store(0, Ordering::Release);
                ret
            }
            Habit::ForgetsOthers => {
                let mine = u64::from(std::process::id());
                let before = odd.owner.swap(mine, Ordering::AcqRel);
                match op {
                    RegisterOp::Write(_) if before != 0 && before != mine => RegisterRet::Written,
                    op => odd.apply(op),
                }
            }
            Habit::TellsPid => {
                let mine = u64::from(std::process::id());
                odd.owner.store(mine, Ordering::Release);
                odd.apply(op)
            }
            Habit::Caught => {
                let caught = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    struct Steps<'a>(&'a Word);
                    impl Drop for Steps<'_> {
                        fn drop(&mut self) {
                            self.0.fetch_add(1, Ordering::AcqRel);
                        }
                    }
                    let _steps = Steps(&odd.owner);
                    std::panic::resume_unwind(Box::new(()));
                }));
                assert!(caught.is_err());
                odd.apply(op)
            }
            Habit::Panics if odd.meets() => panic!("as it likes to"),
            Habit::Aborts if odd.meets() => std::process::abort(),
            Habit::Overflows if odd.meets() => RegisterRet::Value(deep(u64::MAX)),
            Habit::Exits if odd.meets() => std::process::exit(0),
            Habit::Signals if odd.meets() => {
                nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
                RegisterRet::Written
            }
            Habit::OwnsMuch => {
                let ret = odd.apply(op);
                let text = std::fs::read_to_string("/proc/self/statm").unwrap();
                let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
                assert!(pages < 1 << 18, "{pages} pages are used");
                black_box(&handle.owned);
                ret
            }
            Habit::Address | Habit::AddressInCell => {
                let here = (&raw const odd.value).expose_provenance() as u64;
                let there = match HABITS[HABIT] {
                    Habit::Address => odd.address.swap(here, Ordering::AcqRel),
                    _ => {
                        while odd.owner.swap(1, Ordering::AcqRel) == 1 {
                            SteppedMemory::spin_loop();
                        }
                        // SAFETY: of the cell, whose owner this process is.
                        let there = odd.cell.with_mut(|at| unsafe { at.replace(here) });
                        odd.owner.store(0, Ordering::Release);
                        there
                    }
                };
                if there == 0 || !odd.meets() {
                    return odd.apply(op);
                }
                let word = std::ptr::with_exposed_provenance::<Word>(there as usize);
                // SAFETY: not sound: another process has stored an address of its own, which is the bug to be found.
                let value = unsafe { &*word };
                match op {
                    RegisterOp::Read => RegisterRet::Value(value.load(Ordering::Acquire)),
                    RegisterOp::Write(_) => odd.apply(op),
                }
            }
            _ => odd.apply(op),
        }
    }
}

impl<const HABIT: usize> Odd<HABIT> {
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.value.store(*value, Ordering::Release);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.value.load(Ordering::Acquire)),
        }
    }

    /// Returns whether another process is in the middle of this, which takes a preemption.
    fn meets(&self) -> bool {
        let before = self.owner.fetch_add(1, Ordering::AcqRel);
        self.owner.fetch_sub(1, Ordering::AcqRel);
        before > 0
    }
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn deep(n: u64) -> u64 {
    let frame = black_box([n; 64]);
    deep(n - 1) + frame[(n % 64) as usize]
}

fn check<E: Engine<Memory = SteppedMemory>, const HABIT: usize>() -> Outcome<Register<u64>> {
    let ops = prop_oneof![
        (1u64..4).prop_map(RegisterOp::Write),
        Just(RegisterOp::Read)
    ];
    Suite::<Register<u64>>::new(forkcheck::site!(), "odd")
        .setup(Just(0))
        .role("one", 2, 1..=2, ops)
        .cases(6)
        .executions(1_000)
        .seed(1)
        .regressions(None)
        .check::<E, Odd<HABIT>>()
        .unwrap()
}

/// Asserts that both engines pass it, and that the search is by processes in all programs after the
/// one that showed the need, or by coroutines.
fn is_right<const HABIT: usize>(by_processes: bool) {
    for outcome in [check::<Stepped, HABIT>(), check::<Kills, HABIT>()] {
        assert_eq!(outcome.verdict, Verdict::Ok);
        let covered = outcome.covered;
        if by_processes {
            assert!(covered.by_processes > 0, "{covered:?}");
        } else {
            assert_eq!(covered.by_processes, 0, "{covered:?}");
            assert!(covered.samples >= covered.programs, "{covered:?}");
        }
    }
}

/// Asserts that both engines have this finding, which is reproduced each time.
fn is_found<const HABIT: usize>(kind: Kind, words: &str) {
    is_found_by::<Stepped, HABIT>(kind, words);
    is_found_by::<Kills, HABIT>(kind, words);
}

fn is_found_by<E: Engine<Memory = SteppedMemory>, const HABIT: usize>(kind: Kind, words: &str) {
    let outcome = check::<E, HABIT>();
    let Verdict::Finding(finding) = &outcome.verdict else {
        panic!("{:?}", outcome.verdict)
    };
    assert_eq!(finding.kind, kind, "{}", finding.detail);
    assert!(finding.detail.contains(words), "{}", finding.detail);
    let found = outcome.found.unwrap();
    assert!(!found.run.steps.is_empty());
}

#[test]
fn a_structure_without_habits_is_searched_by_coroutines() {
    is_right::<{ number(Habit::None) }>(false);
}

#[test]
fn a_static_that_changes_is_searched_by_processes() {
    is_right::<{ number(Habit::Static) }>(true);
}

#[test]
fn a_static_that_changes_as_the_structure_is_built_is_searched_by_processes() {
    is_right::<{ number(Habit::StaticInNew) }>(true);
}

#[test]
fn a_thread_local_that_changes_is_searched_by_processes() {
    is_right::<{ number(Habit::ThreadLocal) }>(true);
}

#[test]
fn a_static_that_is_as_it_was_after_each_execution_is_noticed_where_others_wait_for_it() {
    is_found::<{ number(Habit::StaticLock) }>(Kind::Died, "SIGABRT");
}

#[test]
fn a_static_that_is_set_up_once_is_searched_by_coroutines() {
    is_right::<{ number(Habit::SetUpOnce) }>(false);
}

#[test]
fn a_lock_of_one_process_is_searched_by_processes() {
    is_right::<{ number(Habit::PrivateLock) }>(true);
}

#[test]
fn what_a_handle_owns_on_the_heap_is_searched_by_coroutines() {
    is_right::<{ number(Habit::OwnHeap) }>(false);
}

#[test]
fn an_owner_that_is_known_by_its_pid_is_searched_by_processes() {
    // A process that is killed as the owner leaves the register locked.
    let outcome = check::<Stepped, { number(Habit::OwnerByPid) }>();
    assert_eq!(outcome.verdict, Verdict::Ok);
    assert!(outcome.covered.by_processes > 0, "{:?}", outcome.covered);
    is_found::<{ number(Habit::WrongOwnerByPid) }>(Kind::Died, "SIGABRT");
}

#[test]
fn a_pid_that_is_left_behind_is_searched_by_processes() {
    is_right::<{ number(Habit::TellsPid) }>(true);
}

#[test]
fn what_goes_wrong_between_two_pids_alone_is_found() {
    is_found::<{ number(Habit::ForgetsOthers) }>(Kind::NotLinearizable, "");
}

#[test]
fn a_panic_that_is_caught_is_none() {
    is_right::<{ number(Habit::Caught) }>(true);
}

#[test]
fn whatever_ends_a_process_is_reported_by_a_process() {
    is_found::<{ number(Habit::Panics) }>(Kind::Panic, "as it likes to");
    is_found::<{ number(Habit::Aborts) }>(Kind::Died, "SIGABRT");
    is_found::<{ number(Habit::Overflows) }>(Kind::Died, "SIG");
    is_found::<{ number(Habit::Exits) }>(Kind::Died, "code 0");
    is_found::<{ number(Habit::Signals) }>(Kind::Died, "SIGTERM");
}

#[test]
fn what_killed_processes_owned_does_not_pile_up() {
    let outcome = check::<Kills, { number(Habit::OwnsMuch) }>();
    assert_eq!(outcome.verdict, Verdict::Ok);
    assert!(
        outcome.covered.killed > 0 && outcome.covered.by_processes == 0,
        "{:?}",
        outcome.covered
    );
}

#[test]
fn an_address_of_another_process_is_none() {
    is_found::<{ number(Habit::Address) }>(Kind::Died, "SIGSEGV");
    is_found_by::<Stepped, { number(Habit::AddressInCell) }>(Kind::Died, "SIGSEGV");
}
