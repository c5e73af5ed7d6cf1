//! Two accounts, and a journal to undo a transfer that was interrupted.
use forkcheck::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Op {
    Move(u64),
    Look,
}

/// The spec: what is taken from one account is added to the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Accounts([u64; 2]);

impl Spec for Accounts {
    type Setup = ();
    type Op = Op;
    type Ret = [u64; 2];
    fn start(_: &()) -> Self {
        Accounts([100, 100])
    }
    fn step(&mut self, _process: usize, op: &Op) -> [u64; 2] {
        if let Op::Move(sum) = op {
            self.0 = [self.0[0] - sum, self.0[1] + sum];
        }
        self.0
    }
}

/// Two accounts, and what they held before the operation that is under way.
struct Bank<M: Memory, const REPAIRS: bool> {
    accounts: [M::AtomicU64; 2],
    before: [M::AtomicU64; 2],
    under_way: M::AtomicBool,
}

impl<M: Memory, const REPAIRS: bool> Bank<M, REPAIRS> {
    fn look(&self) -> [u64; 2] {
        [0, 1].map(|n: usize| self.accounts[n].load(Ordering::Relaxed))
    }
    fn put(&self, values: [u64; 2]) {
        self.accounts[0].store(values[0], Ordering::Relaxed);
        self.accounts[1].store(values[1], Ordering::Relaxed);
    }
    /// Undoes the operation that a killed process had begun.
    fn repair(&self) {
        if self.under_way.load(Ordering::Acquire) {
            let before = [0, 1].map(|n: usize| self.before[n].load(Ordering::Relaxed));
            self.put(before);
            self.under_way.store(false, Ordering::Release);
        }
    }
}

impl<M: Memory, const REPAIRS: bool> WithHandles for Bank<M, REPAIRS> {
    type Memory = M;
    type Spec = Accounts;
    type Handle<'a> = &'a Self;
    fn new(_: &()) -> Self {
        Bank {
            accounts: [Atomic::new(100), Atomic::new(100)],
            before: [Atomic::new(0), Atomic::new(0)],
            under_way: Atomic::new(false),
        }
    }
    fn attach<'a>(&'a self, role: Role<'_>) -> &'a Self {
        // Incarnation 0 is the first process; a later one replaces a process that was killed.
        if REPAIRS && role.incarnation > 0 {
            self.repair();
        }
        self
    }
    fn apply(handle: &mut &Self, op: &Op) -> [u64; 2] {
        if let Op::Move(sum) = op {
            let [from, to] = handle.look();
            handle.before[0].store(from, Ordering::Relaxed);
            handle.before[1].store(to, Ordering::Relaxed);
            handle.under_way.store(true, Ordering::Release);
            handle.put([from - sum, to + sum]);
            handle.under_way.store(false, Ordering::Release);
        }
        handle.look()
    }
}

type Forgetful<M> = Bank<M, false>;
type Robust<M> = Bank<M, true>;

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![Just(Op::Look), (1u64..9).prop_map(Op::Move)]
}

forkcheck::suite! {
    forgetful: Forgetful<_>,
    teller: 2..=4 ops of ops(),
    with: .regressions(None).seed(1).cases(8).without("kills", "tests/guide shows the finding"), // of the test alone
}

forkcheck::suite! {
    robust: Robust<_>,
    teller: 2..=4 ops of ops(),
    with: .regressions(None).seed(1).cases(8), // of the test alone
}

// Not on the page.

pub(crate) fn report() -> String {
    use forkcheck::engine::{Kills, SteppedMemory};
    let suite = forgetful::suite();
    let outcome = suite.check::<Kills, Forgetful<SteppedMemory>>();
    suite.report(&outcome.expect("it runs here"))
}
