//! A structure that is its own spec, run by one process: two accounts with transfers; two words that a kill leaves half written; a
//! mailbox whose reader waits; an invariant of two words.

use crate::{caught, passes, suite};
use forkcheck::check::Kind;
use forkcheck::engine::{Kills, Stepped, SteppedMemory};
use forkcheck::prelude::*;
use forkcheck::spec::{Register, RegisterOp, RegisterRet};
use forkcheck::suite::{Alone, Sequential};

/// Money in two accounts, as the halves of one word. `ATOMIC`: a transfer changes both at once.
struct Bank<M: Memory, const ATOMIC: bool>(M::AtomicU64);

type Right<M> = Bank<M, true>;

impl<M: Memory, const ATOMIC: bool> Structure for Bank<M, ATOMIC> {
    type Memory = M;
    type Spec = Sequential<Bank<Alone, ATOMIC>, Option<u64>, u64>;
    fn new(_: &()) -> Self {
        Bank(Atomic::new(100 << 32))
    }
    /// Transfers an amount to the second account, or returns the sum of both.
    fn apply(&self, op: &Option<u64>) -> u64 {
        match op {
            Some(amount) if ATOMIC => {
                self.0.fetch_sub((amount << 32) - amount, Ordering::Relaxed);
                0
            }
            Some(amount) => {
                self.0.fetch_sub(amount << 32, Ordering::Relaxed);
                self.0.fetch_add(*amount, Ordering::Relaxed);
                0
            }
            None => {
                let both = self.0.load(Ordering::Relaxed);
                (both >> 32) + (both & 0xffff_ffff)
            }
        }
    }
}

forkcheck::suite! {
    bank: Right<_>,
    customer: 2 processes, 1..=2 ops of (1u64..9).prop_map(Some),
    auditor: 1..=1 ops of Just(None),
    with: .cases(3).executions(300).regressions(None),
}

#[test]
fn results_that_no_order_of_whole_operations_gives_are_found() {
    let suite = suite("bank")
        .role("customer", 1, 1..=2, (1u64..9).prop_map(Some))
        .role("auditor", 1, 1..=1, Just(None));
    let report = caught::<Stepped, Bank<SteppedMemory, false>>(&suite, Kind::NotLinearizable);
    assert!(report.contains("Sequential["), "{report}");
}

/// Two words. One process writes both and reads them again, so only a kill leaves them half written. `ONE`: it writes the second
/// word alone, whose value the first one only repeats.
struct Halves<M: Memory, const ONE: bool>(M::AtomicU64, M::AtomicU64);

impl<M: Memory, const ONE: bool> Structure for Halves<M, ONE> {
    type Memory = M;
    type Spec = Sequential<Halves<Alone, ONE>, Option<u64>, (u64, u64)>;
    fn new(_: &()) -> Self {
        Halves(Atomic::new(0), Atomic::new(0))
    }
    fn apply(&self, op: &Option<u64>) -> (u64, u64) {
        if let Some(value) = op {
            self.0.store(*value, Ordering::Relaxed);
            self.1.store(*value, Ordering::Relaxed);
        }
        let second = self.1.load(Ordering::Relaxed);
        match ONE {
            true => (second, second),
            false => (self.0.load(Ordering::Relaxed), second),
        }
    }
}

fn halves<S: Spec<Setup = (), Op = Option<u64>>>() -> Suite<S> {
    let op = prop_oneof![(1u64..9).prop_map(Some), Just(None)];
    suite("halves").role("owner", 1, 2..=3, op)
}

#[test]
fn what_a_killed_operation_left_half_done_is_found_and_what_is_done_or_not_is_not() {
    passes::<Stepped, Halves<SteppedMemory, false>>(&halves());
    let report = caught::<Kills, Halves<SteppedMemory, false>>(&halves(), Kind::NotLinearizable);
    assert!(report.contains("SIGKILL"), "{report}");
    passes::<Kills, Halves<SteppedMemory, true>>(&halves());
}

/// A mailbox: `Some` puts a letter in, `None` waits for one, by a futex or by looking. The process that put it in is
/// told that it did.
struct Mailbox<M: Memory, const SPINS: bool> {
    full: M::AtomicU32,
    sender: M::AtomicU64,
}

type Sleeps<M> = Mailbox<M, false>;
type Looks<M> = Mailbox<M, true>;

impl<M: Memory, const SPINS: bool> Structure for Mailbox<M, SPINS> {
    type Memory = M;
    type Spec = Sequential<Mailbox<Alone, SPINS>, Option<u32>, (u32, bool)>;
    fn new(_: &()) -> Self {
        Mailbox {
            full: Atomic::new(0),
            sender: Atomic::new(0),
        }
    }
    fn apply(&self, op: &Option<u32>) -> (u32, bool) {
        if let Some(letter) = op {
            self.sender.store(M::me().to_bits(), Ordering::Relaxed);
            self.full.store(*letter, Ordering::Release);
            M::wake(&self.full, u32::MAX);
        }
        loop {
            match self.full.load(Ordering::Acquire) {
                0 if SPINS => M::spin_loop(),
                0 => M::wait(&self.full, 0),
                letter => {
                    let mine = self.sender.load(Ordering::Relaxed) == M::me().to_bits();
                    return (letter, mine);
                }
            }
        }
    }
}

forkcheck::suite! {
    sleeps: Sleeps<_>,
    sender: 0..=1 ops of (1u32..9).prop_map(Some),
    reader: 2 processes, 1..=1 ops of Just(None),
    with: .cases(3).executions(300).regressions(None).watchdog(std::time::Duration::from_millis(300))
        .without("kills", "a sender that is killed before its wake-up leaves readers asleep"),
}

forkcheck::suite! {
    looks: Looks<_>,
    sender: 0..=1 ops of (1u32..9).prop_map(Some),
    reader: 1..=1 ops of Just(None),
    with: .cases(3).executions(300).regressions(None).watchdog(std::time::Duration::from_millis(300)),
}

/// Two words that are to be equal between operations alone: the invariant that they are equal always does not hold.
struct Doubled<M: Memory, const ALWAYS: bool>(M::Words<[u64; 2]>);

impl<M: Memory, const ALWAYS: bool> Structure for Doubled<M, ALWAYS> {
    type Memory = M;
    type Spec = Register<u64>;
    const INVARIANT: Option<fn(&Self)> = Some(|doubled| {
        let [first, second] = doubled.0.load();
        assert!(
            first == second || !ALWAYS && first > second,
            "{first} and {second}"
        );
    });
    fn new(first: &u64) -> Self {
        Doubled(Words::new([*first; 2]))
    }
    fn apply(&self, op: &RegisterOp<u64>) -> RegisterRet<u64> {
        match op {
            RegisterOp::Write(value) => {
                self.0.store([*value; 2]);
                RegisterRet::Written
            }
            RegisterOp::Read => RegisterRet::Value(self.0.load()[1]),
        }
    }
}

#[test]
fn the_invariant_of_a_structure_is_checked_between_the_words_of_a_payload() {
    let suite =
        suite("doubled")
            .setup(Just(0))
            .role("writer", 1, 1..=1, Just(RegisterOp::Write(1)));
    let report = caught::<Kills, Doubled<SteppedMemory, true>>(&suite, Kind::InvariantViolated);
    assert!(report.contains("1 and 0"), "{report}");
    passes::<Kills, Doubled<SteppedMemory, false>>(&suite);
}
